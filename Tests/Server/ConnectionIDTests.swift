import Testing

@testable import Server

@Suite("Connection ids")
struct ConnectionIDTests {
  @Test func `an id is two numbers, and a session keeps two of them in sixteen bytes each`() {
    #expect(MemoryLayout<ConnectionID>.stride == 8)
    #expect(MemoryLayout<ConnectionID>.alignment == 4)
    #expect(MemoryLayout<ShardConnectionID>.stride == 16)
  }
}
