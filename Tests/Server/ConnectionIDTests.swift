import Delivery
import Testing

@testable import Server

@Suite("Connection ids")
struct ConnectionIDTests {
  @Test func `an id takes 8 bytes, and an id with its shard takes 16`() {
    #expect(MemoryLayout<ConnectionID>.stride == 8)
    #expect(MemoryLayout<ConnectionID>.alignment == 4)
    #expect(MemoryLayout<ShardConnectionID>.stride == 16)
  }
}
