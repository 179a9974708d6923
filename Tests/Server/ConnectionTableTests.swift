// The slab with the parts of connections that sending does not use.

import Delivery
import Testing

@testable import Server

@Suite("Connection slab")
struct ConnectionTableTests {
  @Test
  func `a connection takes at most 224 bytes, so an idle one costs less than a third of a KiB`() {
    #expect(MemoryLayout<SendState>.stride + MemoryLayout<Connection>.stride <= 224)
  }

  @Test func `an activity takes eight bytes`() {
    #expect(MemoryLayout<Activity>.size == 8)
  }

  @Test func `nothing of a connection is left for the next one in its slot`() {
    let table = ConnectionTable(SendTable())
    let slot = table.insert(fd: 3, limit: .max)!
    table[slot].user = "somebody"
    table[slot].partial = [4]
    table[slot].flags = [.usedBefore, .pinged]
    table[slot].state = .session
    table.end(slot)
    table.reap()
    let next = table.insert(fd: 4, limit: .max)!
    #expect(next == slot)
    #expect(table[next].user == "" && table[next].partial == [])
    #expect(table[next].flags == [])
    #expect(table[next].state == .free)
  }

  @Test func `an ended connection is blank until its slot is reaped`() {
    let table = ConnectionTable(SendTable())
    let slot = table.insert(fd: 7, limit: 1)!
    table[slot].user = "u"
    table.end(slot)
    #expect(!table.isOpen(slot) && table.count == 0)
    #expect(table[slot].user == "" && table[slot].state == .ended)
    table.reap()
    #expect(table.insert(fd: 8, limit: 2) == slot)
    #expect(table[slot].state == .free)
  }
}
