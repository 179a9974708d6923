// The slots of connections: taken lowest first, and freed at the end of a turn.

import Testing

@testable import Delivery

@Suite("Slots of connections")
struct SendTableTests {
  @Test func `the fields that a broadcast reads are in the first cache line`() {
    #expect(MemoryLayout<SendState>.offset(of: \.groupCursor)! + 8 <= 64)
    #expect(MemoryLayout<SendState>.offset(of: \.flags)! < 64)
    #expect(MemoryLayout<SendState>.offset(of: \.fd)! < 64)
  }

  @Test func `the lowest free slot is taken first, so a walk follows the order of arrival`() {
    let table = SendTable()
    let slots = (0..<2_000).map { table.insert(fd: $0, limit: .max)! }
    #expect(slots == Array(0..<2_000))
    table.end(7)
    table.end(600)
    table.reap { _, _ in }
    #expect(table.insert(fd: 1, limit: .max) == 7)
    #expect(table.insert(fd: 1, limit: .max) == 600)
    #expect(table.insert(fd: 1, limit: .max) == 2_000)
  }

  // Case 61
  @Test func `an id does not match the next connection in its slot`() {
    let table = SendTable()
    var earlier: [ConnectionID] = []
    for _ in 0..<1_000 {
      let slot = table.insert(fd: 9, limit: .max)!
      #expect(slot == 0)
      let id = table.id(of: slot)
      for old in earlier.suffix(3) { #expect(!table.holds(old)) }
      #expect(table.holds(id))
      table.end(slot)
      #expect(!table.holds(id))
      table.reap { _, _ in }
      #expect(!table.holds(id))
      earlier.append(id)
    }
  }

  @Test func `a full table returns no slot`() {
    let table = SendTable()
    for _ in 0..<10 { #expect(table.insert(fd: 1, limit: 10) != nil) }
    #expect(table.insert(fd: 1, limit: 10) == nil)
    table.end(4)
    table.reap { _, _ in }
    #expect(table.insert(fd: 1, limit: 10) == 4)
  }

  @Test func `a slot may be removed during a walk`() {
    let table = SendTable()
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
    let table = SendTable()
    var freed: [UInt32] = []
    let slot = table.insert(fd: 7, limit: 1)!
    let id = table.id(of: slot)
    table[slot].privateBytes = [1]
    table.end(slot)
    #expect(!table.holds(id) && !table.isOpen(slot) && table.count == 0)
    #expect(table[slot].fd == -1 && table[slot].privateBytes.isEmpty)
    #expect(!table.holds(table.id(of: slot)))
    // The next connection gets a slot of its own, although the ended one no longer counts.
    #expect(table.insert(fd: 7, limit: 1) == slot + 1)
    table.reap { slot, _ in freed.append(slot) }
    #expect(freed == [slot] && table[slot + 1].fd == 7)
    #expect(table.insert(fd: 8, limit: 2) == slot)
  }

  @Test func `a chunk is empty when the last connection in it is reaped`() {
    let table = SendTable()
    let count = UInt32(SendTable.slotsPerChunk) + 1
    for _ in 0..<count { _ = table.insert(fd: 1, limit: .max) }
    var chunks: [Int] = []
    for slot in 0..<count - 1 { table.end(slot) }
    table.reap { _, chunk in if let chunk { chunks.append(chunk) } }
    #expect(chunks == [0])
    table.end(count - 1)
    table.reap { _, chunk in if let chunk { chunks.append(chunk) } }
    #expect(chunks == [0, 1])
  }
}
