// The slab of connections, its sets of slots and the ends of frames in a log.

import TestSupport
import Testing

@testable import Server

@Suite("Connection slab")
struct ConnectionTableTests {
  @Test
  func `a connection takes at most 256 bytes, so an idle one costs less than a third of a KiB`() {
    #expect(MemoryLayout<Connection>.stride <= 256)
  }

  @Test func `an activity takes eight bytes`() {
    #expect(MemoryLayout<Activity>.size == 8)
  }

  @Test func `the fields that a broadcast reads are in the first cache line`() {
    #expect(MemoryLayout<Connection>.offset(of: \.groupCursor)! + 8 <= 64)
    #expect(MemoryLayout<Connection>.offset(of: \.flags)! < 64)
    #expect(MemoryLayout<Connection>.offset(of: \.fd)! < 64)
  }

  @Test func `the lowest free slot is taken first, so a walk follows the order of arrival`() {
    let table = ConnectionTable()
    let slots = (0..<2_000).map { table.insert(fd: $0, limit: .max)! }
    #expect(slots == Array(0..<2_000))
    table.end(7)
    table.end(600)
    table.reap()
    #expect(table.insert(fd: 1, limit: .max) == 7)
    #expect(table.insert(fd: 1, limit: .max) == 600)
    #expect(table.insert(fd: 1, limit: .max) == 2_000)
  }

  // Case 61
  @Test func `an id does not match the next connection in its slot`() {
    let table = ConnectionTable()
    var earlier: [ConnectionID] = []
    for _ in 0..<1_000 {
      let slot = table.insert(fd: 9, limit: .max)!
      #expect(slot == 0)
      let id = table.id(of: slot)
      for old in earlier.suffix(3) { #expect(!table.holds(old)) }
      #expect(table.holds(id))
      table.end(slot)
      #expect(!table.holds(id))
      table.reap()
      #expect(!table.holds(id))
      earlier.append(id)
    }
  }

  @Test func `nothing of a connection is left for the next one in its slot`() {
    let table = ConnectionTable()
    let slot = table.insert(fd: 3, limit: .max)!
    table[slot].user = "somebody"
    table[slot].privateBytes = [1, 2, 3]
    table[slot].partial = [4]
    table[slot].flags = [.blocked, .queued]
    table[slot].groupCursor = 99
    table[slot].state = .session
    table.end(slot)
    table.reap()
    let next = table.insert(fd: 4, limit: .max)!
    #expect(next == slot)
    #expect(table[next].user == "" && table[next].privateBytes == [] && table[next].partial == [])
    #expect(table[next].flags == [] && table[next].groupCursor == 0)
    #expect(table[next].state == .free)
  }

  @Test func `a full table returns no slot`() {
    let table = ConnectionTable()
    for _ in 0..<10 { #expect(table.insert(fd: 1, limit: 10) != nil) }
    #expect(table.insert(fd: 1, limit: 10) == nil)
    table.end(4)
    table.reap()
    #expect(table.insert(fd: 1, limit: 10) == 4)
  }

  @Test func `a slot may be removed during a walk`() {
    let table = ConnectionTable()
    for _ in 0..<1_500 { _ = table.insert(fd: 1, limit: .max) }
    var walked = 0
    table.forEachSlot { slot in
      walked += 1
      table.end(slot)
    }
    #expect(walked == 1_500)
    #expect(table.count == 0)
  }

  @Test func `an ended connection keeps its slot, blank and without an id, until it is reaped`() {
    let table = ConnectionTable()
    let slot = table.insert(fd: 7, limit: 1)!
    let id = table.id(of: slot)
    table[slot].user = "u"
    table.end(slot)
    #expect(!table.holds(id) && !table.isOpen(slot) && table.count == 0)
    #expect(table[slot].fd == -1 && table[slot].user == "" && table[slot].state == .ended)
    #expect(!table.holds(table.id(of: slot)))
    // The next connection gets a slot of its own, although the ended one no longer counts.
    #expect(table.insert(fd: 7, limit: 1) == slot + 1)
    table.reap()
    #expect(table[slot + 1].fd == 7)
    #expect(table.insert(fd: 8, limit: 2) == slot)
  }
}

@Suite("Set of slots")
struct SlotSetTests {
  @Test func `it behaves like a set and is walked in order`() {
    var random = SeededGenerator.announced()
    var set = SlotSet()
    var model: Set<UInt32> = []
    for step in 0..<20_000 {
      let slot = UInt32.random(in: 0..<700, using: &random)
      switch Int.random(in: 0..<4, using: &random) {
      case 0: #expect(set.insert(slot) == model.insert(slot).inserted)
      case 1: #expect(set.remove(slot) == (model.remove(slot) != nil))
      case 2:
        let lowest = (0...).first { !model.contains($0) }!
        #expect(set.insertLowestFree() == lowest)
        model.insert(lowest)
        if model.count > 600 {
          set.removeAll()
          model.removeAll()
        }
      default: #expect(set.contains(slot) == model.contains(slot))
      }
      #expect(set.count == model.count)
      if step % 500 == 0 {
        var walked: [UInt32] = []
        set.forEach { walked.append($0) }
        #expect(walked == model.sorted())
      }
    }
  }
}

@Suite("Ends of frames")
struct FrameEndsTests {
  @Test func `the end of the frame at a position is found among the frames still held`() {
    var ends = FrameEnds()
    for end in stride(from: UInt64(300), through: 300_000, by: 300) {
      ends.append(end, logStart: end > 30_000 ? end - 30_000 : 0)
    }
    #expect(ends.end(at: 299_950) == 300_000)
    #expect(ends.end(at: 299_700) == 299_700)
    #expect(ends.end(at: 270_001) == 270_300)
    #expect(ends.end(at: 300_000) == 300_000)
    #expect(ends.end(at: 300_001) == nil)
  }

  @Test func `the end of a small frame is found within 270 bytes of a position`() {
    var ends = FrameEnds()
    for end in stride(from: UInt64(10), through: 10_000, by: 10) { ends.append(end, logStart: 0) }
    for position in UInt64(0)...9_700 {
      let end = ends.end(at: position)!
      #expect(end % 10 == 0 && end >= position && end < position + 270)
    }
    #expect(ends.end(at: 9_999) == nil)
  }
}
