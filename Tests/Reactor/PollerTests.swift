// The poller: every ready descriptor is reported, and any thread can end a wait.

import Glibc
import Testing

@testable import Reactor

@Suite("Poller and wake-up")
struct PollerTests {
  @Test("every ready descriptor is reported, even when there are more than one wait reports")
  func nothingIsDropped() throws {
    let count = 2 * Poller.capacity + 88
    let poller = try Poller()
    let wakeups = try (0..<count).map { _ in try Wakeup() }
    for (index, wakeup) in wakeups.enumerated() {
      try poller.add(
        wakeup.descriptor, .readable, slot: UInt32(index), generation: UInt32(index) &* 3)
      wakeup.signal()
    }
    var seen: Set<UInt32> = []
    // Each wait reports the least recently reported descriptors first.
    for _ in 0..<3 {
      for index in 0..<(try poller.wait(timeoutMilliseconds: 10_000)) {
        let event = poller.event(index)
        #expect(event.generation == event.slot &* 3)
        #expect(event.isReadable && !event.isWritable)
        seen.insert(event.slot)
      }
    }
    #expect(seen.count == count)
  }

  @Test("interest decides which readiness is reported")
  func interest() throws {
    let poller = try Poller()
    let wakeup = try Wakeup()
    // An eventfd is always writable.
    try poller.add(wakeup.descriptor, .readable, slot: 3)
    #expect(try poller.wait(timeoutMilliseconds: 0) == 0)
    try poller.modify(wakeup.descriptor, .readable.union(.writable), slot: 4, generation: 8)
    #expect(try poller.wait(timeoutMilliseconds: 0) == 1)
    let event = poller.event(0)
    #expect(event.slot == 4)
    #expect(event.generation == 8)
    #expect(event.readiness == .writable)
    #expect(poller.remove(wakeup.descriptor))
    #expect(!poller.remove(wakeup.descriptor))
    #expect(try poller.wait(timeoutMilliseconds: 0) == 0)
  }

  @Test("a hang-up counts as readable, so that receiving shows it")
  func hangup() throws {
    let poller = try Poller()
    var ends: [Int32] = [-1, -1]
    try #require(socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &ends) == 0)
    defer { close(ends[0]) }
    try poller.add(ends[0], .none, slot: 1)
    close(ends[1])
    #expect(try poller.wait(timeoutMilliseconds: 10_000) == 1)
    #expect(poller.event(0).readiness.contains(.hangup))
    #expect(poller.event(0).isReadable)
  }

  @Test("adding a watched descriptor again is an error with the kernel's errno")
  func twice() throws {
    let poller = try Poller()
    let wakeup = try Wakeup()
    try poller.add(wakeup.descriptor, .readable, slot: 0)
    let error = #expect(throws: SystemError.self) {
      try poller.add(wakeup.descriptor, .readable, slot: 1)
    }
    #expect(error?.code == EEXIST)
  }

  @Test("a waker ends the next wait, and from another thread the current one")
  func waking() throws {
    let poller = try Poller()
    let waker = poller.waker
    waker.wake()
    #expect(try poller.wait(timeoutMilliseconds: -1) == 0)
    let thread = try Thread(name: "waker") { waker.wake() }
    #expect(try poller.wait(timeoutMilliseconds: -1) == 0)
    thread.join()
  }

  @Test("an event index out of range is a programming error")
  func bounds() async {
    await #expect(processExitsWith: .failure) { _ = try Poller().event(Poller.capacity) }
    await #expect(processExitsWith: .failure) { _ = try Poller().event(-1) }
  }

  @Test("a signal ends the next sleep once, and from another thread the current one")
  func wakeup() throws {
    let wakeup = try Wakeup()
    #expect(!wakeup.wait(timeoutMilliseconds: 0))
    wakeup.signal()
    wakeup.signal()
    #expect(wakeup.wait())
    #expect(!wakeup.wait(timeoutMilliseconds: 0))
    let thread = try Thread(name: "signaller") { wakeup.signal() }
    #expect(wakeup.wait())
    thread.join()
  }
}
