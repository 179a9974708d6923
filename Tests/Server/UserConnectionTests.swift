// The first and the last connection of a user, over all shards: its owner shard counts them.

import Notifications
import Synchronization
import Testing

@testable import Server

@Suite("The connections of a user over all shards")
struct UserConnectionTests {
  @Test func `a user whose newer connection is on another shard stays connected`() throws {
    let fixture = try ShardFixture(shardCount: 2)
    let names = (0..<100).map { "u\($0)" }
    let user = try #require(names.first { fixture.core.ownerShard(of: $0) == 0 })
    let seen = Mutex<[String]>([])
    fixture.shards[0].observe { event in seen.withLock { $0.append("\(event)") } }
    let first = try fixture.session(user, on: 0)
    try fixture.turn(2)
    #expect(seen.withLock { $0.count } == 1)
    // Only the other shard turns, so its message waits in the owner's mailbox.
    let second = try fixture.connect(to: 1)
    second.send(ShardFixture.upgrade(of: user))
    while second.receive().headEnd == nil { try fixture.shards[1].turn() }
    first.endSending()
    try fixture.turn(until: { first.connection.hasEnded })
    try fixture.turn(2)
    #expect(seen.withLock { $0.count } == 1, "it has not left in between")
    second.endSending()
    try fixture.turn(until: { seen.withLock { $0.count } == 2 })
    #expect(seen.withLock { $0[1] }.contains("disconnected"))
  }
}
