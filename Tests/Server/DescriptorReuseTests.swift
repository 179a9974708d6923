// The kernel gives the descriptor of a closed connection to the next one that is accepted, which
// may be in the same turn. Code that still has the slot of the ended one must not reach it.

import Notifications
import Testing

@testable import Server

@Suite("Reuse of a descriptor")
struct DescriptorReuseTests {
  // Case 61
  @Test(arguments: StaleUse.allCases)
  func `nothing reaches the connection that has the descriptor of one that ended in this turn`(
    _ use: StaleUse
  ) throws {
    let fixture = try ShardFixture()
    let ended = try fixture.session("a")
    let next = try TestPeer(port: fixture.ports[0])
    let descriptor = ended.serverDescriptor
    fixture.script.keptDescriptor = descriptor
    fixture.shard.use(use, slotOf: ended.connection)
    let accepted = try #require(fixture.shard.newestConnection)
    #expect(accepted.descriptor == descriptor)
    #expect(accepted.slot != ended.connection.slot)
    try fixture.turn(2)
    #expect(next.receive().isEmpty && !next.isEnded)
    #expect(accepted.state == .http && accepted.queuedByteCount == 0)
    #expect(fixture.shard.connectionCount == 1 && fixture.shard.sessionCount == 0)
    #expect(fixture.shard.blockedConnectionCount == 0)
    // The next turn may use the slot again.
    let third = try fixture.session("b")
    #expect(third.connection.slot == ended.connection.slot)
  }
}
