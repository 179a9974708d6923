// Rooms and disconnections, by the embedding program.

import LoadClient
import Testing

@testable import Carillon

@Suite("Rooms, as an embedding program uses them", .serialized, .ownThreads)
struct RoomTests {
  @Test("a user's devices on every shard enter a room and leave it at once")
  func joining() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    let devices = try (0..<6).map { _ in try Listener(typed: "alice", at: bus) }
    let bob = try Listener(typed: "bob", at: bus)
    #expect(await comesTrue { bus.stats.totalConnections == 7 })
    #expect(try await bus.addUser("alice", toRoom: "lobby") == 6)
    #expect(try await bus.addUser("stranger", toRoom: "lobby") == 0)
    // Already there: nothing changes.
    #expect(try await bus.addUser("alice", toRoom: "lobby") == 6)
    #expect(try await bus.addUser("bob", toRoom: "lobby") == 1)
    #expect(try await bus.members(ofRoom: "lobby").users == ["alice", "bob"])
    for device in devices {
      #expect(try device.next().hasPrefix(#"{"type":"room_joined","data":{"room":"lobby""#))
    }
    #expect(try bob.next().contains(#""members":["alice","bob"]"#))
    let message = RoomMessage(
      type: "hello", title: "Hello", message: "all", payload: ["n": 1])
    try await bus.send(message, toRoom: "lobby")
    try await bus.send(.liveUpdate(type: "score", payload: 3), toRoom: "lobby")
    try await bus.send(message, toRoom: "empty room")
    for device in devices + [bob] {
      #expect(
        try device.next().hasPrefix(
          #"{"type":"room_notification","data":{"room":"lobby","notification_type":"hello","#
            + #""title":"Hello","message":"all","payload":{"n":1}}"#))
      #expect(
        try device.next().hasPrefix(
          #"{"type":"live_update","data":{"update_type":"score","payload":3}"#))
    }
    #expect(try await bus.removeUser("alice", fromRoom: "lobby") == 6)
    #expect(try await bus.removeUser("alice", fromRoom: "lobby") == 0)
    #expect(try await bus.members(ofRoom: "lobby") == .init(users: ["bob"], total: 1))
    try await bus.send(RoomMessage(type: "bye", title: "Bye"), toRoom: "lobby")
    try await bus.broadcast(.systemMessage(title: "last"))
    for device in devices {
      #expect(try device.next().hasPrefix(#"{"type":"room_left""#))
      #expect(try device.next().contains(#""title":"last""#))
    }
    #expect(try bob.next().contains(#""title":"Bye""#))
    await bus.stop()
  }

  @Test("a program may add a user to a room that the token does not name, and take that back")
  func claimed() async throws {
    let bus = try startBus { $0.roomPolicy = .claimed }
    let alice = try Listener(typed: "alice", at: bus, rooms: ["own:*"])
    #expect(await comesTrue { bus.stats.totalConnections == 1 })
    func join(_ room: String) throws -> String {
      try alice.client.sendText(#"{"type":"join_room","data":{"room":"\#(room)"}}"#)
      return try alice.next()
    }
    #expect(try join("own:1").contains(#""room_joined""#))
    #expect(try join("staff").contains(#""code":"forbidden""#))
    #expect(try await bus.addUser("alice", toRoom: "staff") == 1)
    #expect(try alice.next().contains(#""room_joined","data":{"room":"staff""#))
    #expect(try await bus.removeUser("alice", fromRoom: "staff") == 1)
    #expect(try alice.next().contains(#""room_left""#))
    #expect(try join("staff").contains(#""code":"forbidden""#))
    await bus.stop()
  }

  @Test("the members of a room are limited, and their number is not")
  func members() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    let users = ["alice", "bob", "carol"]
    let listeners = try users.map { try Listener(typed: $0, at: bus) }
    #expect(await comesTrue { bus.stats.totalUsers == 3 })
    for user in users { try await bus.addUser(user, toRoom: "r") }
    let two = try await bus.members(ofRoom: "r", limit: 2)
    #expect(two == .init(users: ["alice", "bob"], total: 3))
    #expect(try await bus.members(ofRoom: "r", limit: 0) == .init(users: [], total: 3))
    #expect(try await bus.members(ofRoom: "other") == .init(users: [], total: 0))
    listeners[1].client.close()
    #expect(try await comesTrue { try await bus.members(ofRoom: "r").users == ["alice", "carol"] })
    await bus.stop()
  }

  @Test("an invalid name, limit, reason or message is rejected with its field")
  func refusals() async throws {
    let bus = try startBus()
    let long = String(repeating: "x", count: 129)
    #expect(await refusedField { try await bus.addUser("a", toRoom: "") } == "room")
    #expect(await refusedField { try await bus.addUser("", toRoom: "r") } == "user")
    #expect(await refusedField { try await bus.removeUser("a", fromRoom: long) } == "room")
    #expect(await refusedField { _ = try await bus.members(ofRoom: "r\n") } == "room")
    for limit in [-1, 10_001] {
      #expect(
        await refusedField { _ = try await bus.members(ofRoom: "r", limit: limit) } == "limit")
    }
    let message = RoomMessage(type: "no type", title: "t")
    #expect(
      await refusedField { try await bus.send(message, toRoom: "r") } == "notification_type")
    let greeting = RoomMessage(type: "t", title: "t")
    #expect(await refusedField { try await bus.send(greeting, toRoom: "") } == "room")
    let update = LiveMessage.liveUpdate(type: "t", payload: 1)
    #expect(await refusedField { try await bus.send(update, toRoom: "") } == "room")
    #expect(await refusedField { try await bus.disconnect("") } == "user")
    let reason = String(repeating: "x", count: 124)
    #expect(await refusedField { try await bus.disconnect("a", reason: reason) } == "reason")
    await bus.stop()
  }

  @Test("a disconnected user's clients get the messages before it, and the reason")
  func disconnecting() async throws {
    let bus = try startBus { $0.shardCount = 2 }
    let devices = try (0..<3).map { _ in try Listener("alice", at: bus) }
    let bob = try Listener("bob", at: bus)
    #expect(await comesTrue { bus.stats.totalConnections == 4 })
    try await bus.send(.systemMessage(title: "before"), to: "alice")
    #expect(try await bus.disconnect("alice", reason: "signed out elsewhere") == 3)
    #expect(try await bus.disconnect("stranger") == 0)
    for device in devices {
      #expect(try device.next().contains(#""title":"before""#))
      let end = try device.client.receive(timeoutMilliseconds: 20_000)
      #expect(end == .closed(code: 1008, reason: "signed out elsewhere"))
    }
    try await bus.broadcast(.systemMessage(title: "still here"))
    #expect(try bob.next().contains(#""title":"still here""#))
    await bus.stop()
  }
}
