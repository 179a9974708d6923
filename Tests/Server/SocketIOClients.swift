// Socket.IO clients of a fixture that connect, and that return to their session.

import Notifications
import Testing
import Tokens
import Wire

@testable import Server

extension SocketIORecoveryTests {
  /// A user that has just connected, with the pid that it recovers by.
  static func connected(
    _ user: String, _ fixture: ShardFixture, at offset: UInt64 = 5
  ) throws -> (peer: TestPeer, sid: String, pid: String) {
    let (peer, sid) = try open(fixture, saying: connecting(user))
    try answerPosition(offset, fixture)
    let packets = try fixture.frames(2, of: peer)
    #expect(packets[1] == #"42/notifications,["unread_count",{"count":0}]"#)
    return (peer, sid, try member("pid", of: packets[0]))
  }

  /// A client that reconnects with its pid and offset, before the store is asked for its rooms.
  static func returning(
    _ user: String, _ pid: String, offset: String? = nil, _ fixture: ShardFixture
  ) throws -> (peer: TestPeer, sid: String) {
    let heard = offset.map { #","offset":"\#($0)""# } ?? ""
    let known = #","pid":"\#(pid)"\#(heard)"#
    return try open(fixture, saying: connecting(user, more: known))
  }

  /// Answers the store's query for the rooms of a reconnecting client.
  static func answerRooms(_ rooms: [RoomName], _ fixture: ShardFixture) throws {
    try beginToReadRooms(fixture)
    guard case .keptRooms = fixture.store.reads[0].query else {
      return _ = Issue.record("\(fixture.store.reads[0].query)")
    }
    try fixture.store.answer(.keptRooms(rooms))
  }

  static func beginToReadRooms(_ fixture: ShardFixture) throws {
    try fixture.turn(until: { !fixture.store.commands.isEmpty })
    try fixture.store.answer(.saved)
    try fixture.turn(until: { !fixture.store.reads.isEmpty })
  }
}
