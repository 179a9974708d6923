// The mailbox: order, bounds and lifetimes, on one thread and between several.

import Glibc
import Synchronization
import Testing

@testable import Broadcast

@Suite("Mailbox")
struct MailboxTests {
  private func mailbox<Message>(capacity: Int, of: Message.Type = Int.self) -> Mailbox<Message> {
    Mailbox(capacity: capacity, parker: Parker(wake: {}))
  }

  private func contents(of mailbox: Mailbox<Int>, limit: Int = .max) -> [Int] {
    var contents: [Int] = []
    let count = mailbox.drain(limit: limit) { contents.append($0) }
    #expect(count == contents.count)
    return contents
  }

  @Test("messages arrive in the order they were posted, also after a drain with a limit")
  func order() {
    let mailbox = mailbox(capacity: 100)
    #expect(!mailbox.hasWork)
    for number in 0..<10 { mailbox.append(number) }
    #expect(contents(of: mailbox, limit: 0) == [])
    #expect(contents(of: mailbox, limit: 4) == [0, 1, 2, 3])
    for number in 10..<13 { #expect(mailbox.offer(number)) }
    #expect(mailbox.count == 9)
    #expect(mailbox.hasWork)
    #expect(contents(of: mailbox, limit: 8) == [4, 5, 6, 7, 8, 9, 10, 11])
    #expect(mailbox.hasWork)
    #expect(contents(of: mailbox) == [12])
    #expect(!mailbox.hasWork)
    #expect(mailbox.count == 0)
  }

  @Test("offer refuses past the capacity, append does not")
  func bounds() {
    let mailbox = mailbox(capacity: 2)
    #expect(mailbox.offer(0))
    #expect(mailbox.offer(1))
    #expect(!mailbox.offer(2))
    mailbox.append(3)
    #expect(mailbox.count == 3)
    #expect(contents(of: mailbox, limit: 1) == [0])
    #expect(!mailbox.offer(4), "two are still waiting")
    #expect(contents(of: mailbox, limit: 1) == [1])
    #expect(mailbox.offer(5))
    #expect(contents(of: mailbox) == [3, 5])
  }

  @Test("a message taken but not handed over still counts, and is still work")
  func takenAndWaiting() {
    let mailbox = mailbox(capacity: 3)
    for number in 0..<3 { #expect(mailbox.offer(number)) }
    #expect(contents(of: mailbox, limit: 1) == [0])
    #expect(mailbox.hasWork)
    #expect(mailbox.count == 2)
  }

  @Test("a drain's body may post to the same mailbox")
  func postWithinDrain() {
    let mailbox = mailbox(capacity: 1)
    #expect(mailbox.offer(0))
    var seen: [Int] = []
    let count = mailbox.drain(limit: 5) { number in
      seen.append(number)
      #expect(mailbox.offer(number + 1), "the message's own slot is free")
    }
    #expect(count == 5)
    #expect(seen == [0, 1, 2, 3, 4])
  }

  @Test("messages are released when handed over, or with the mailbox")
  func lifetime() {
    let liveCount = LiveCount()
    do {
      let mailbox = mailbox(capacity: 10, of: Item.self)
      for number in 0..<6 { mailbox.append(Item(number, liveCount: liveCount)) }
      #expect(mailbox.drain(limit: 2) { _ in } == 2)
      #expect(liveCount.count == 4)
      for number in 0..<3 { mailbox.append(Item(number, liveCount: liveCount)) }
      #expect(liveCount.count == 7)
    }
    #expect(liveCount.count == 0)
  }

  @Test("each poster's messages stay in order and all arrive", arguments: [2, 4])
  func posters(posterCount: Int) {
    let countEach = 50_000
    let mailbox = mailbox(capacity: 64, of: Item.self)
    let liveCount = LiveCount()
    let posters = (0..<posterCount).map { poster -> @Sendable () -> Void in
      {
        for number in 0..<countEach {
          let item = Item(producer: poster, number, liveCount: liveCount)
          var patience = Patience()
          while !mailbox.offer(item) {
            if !patience.yield() { return }
          }
        }
      }
    }
    let reader: @Sendable () -> Void = {
      var next = [Int](repeating: 0, count: posterCount)
      var isInOrder = true
      var isBounded = true
      var total = 0
      var patience = Patience()
      while total < posterCount * countEach {
        isBounded = isBounded && (0...64).contains(mailbox.count)
        let count = mailbox.drain(limit: 10) { item in
          isInOrder = isInOrder && item.number == next[item.producer]
          next[item.producer] = item.number + 1
        }
        total += count
        if count == 0, !patience.yield() { break }
      }
      #expect(isInOrder)
      #expect(isBounded)
      #expect(next == [Int](repeating: countEach, count: posterCount))
    }
    runThreads(posters + [reader])
    #expect(mailbox.count == 0)
    #expect(liveCount.count == 0)
  }

  @Test func `a mailbox of capacity zero is a programming error`() async {
    await #expect(processExitsWith: .failure) {
      _ = Mailbox<Int>(capacity: 0, parker: Parker(wake: {}))
    }
  }
}
