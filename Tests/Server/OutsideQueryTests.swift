// Queries by the program that embeds a server, from another thread, over real shards.

import Broadcast
import Notifications
import Testing
import Tokens

@testable import Server

@Suite("Queries from outside the shards", .timeLimit(.minutes(10)))
struct OutsideQueryTests {
  static func server(
    shards: Int = 2, _ change: (inout Configuration) -> Void = { _ in }
  ) throws -> CarillonServer {
    var configuration = Configuration(
      tokenPolicy: TokenPolicy(keys: [.hmac(secret: ShardFixture.secret)]))
    configuration.port = 0
    configuration.shardCount = shards
    change(&configuration)
    return try CarillonServer(configuration)
  }

  /// A session of `user`, after the answer to its upgrade.
  static func session(_ user: String, on server: CarillonServer) async throws -> TestPeer {
    let peer = try TestPeer(port: server.port)
    let token = TokenSigner.sign(
      userID: user, scopes: [], issuedAtSeconds: 0, expiresAtSeconds: 4_000_000_000,
      secret: ShardFixture.secret)
    peer.send(
      "GET /api/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        + "User-Agent: Tab/1\r\nAuthorization: Bearer \(token)\r\n\r\n")
    while peer.receive().headEnd == nil { await Task.yield() }
    try #require(peer.received.text.hasPrefix("HTTP/1.1 101"))
    peer.received.removeFirst(try #require(peer.received.headEnd))
    return peer
  }

  @Test(arguments: [1, 2])
  func `queries list the connected users and disconnect one`(shards: Int) async throws {
    let server = try Self.server(shards: shards)
    #expect(try await server.connectedUsers().users.isEmpty)
    var peers: [TestPeer] = []
    for user in ["a", "b", "b", "c"] { peers.append(try await Self.session(user, on: server)) }
    let first = try await server.connectedUsers(limit: 2)
    #expect(first.users == ["a", "b"] && first.total == 3 && first.next == "b")
    let second = try await server.connectedUsers(limit: 2, after: first.next)
    #expect(second.users == ["c"] && second.total == 3 && second.next == nil)
    #expect(try await server.isUserConnected("b"))
    #expect(try await server.isUserConnected("d") == false)
    #expect(try await server.connectionCount(of: "b") == 2)
    let connections = try await server.connections(of: "b")
    #expect(connections.map(\.dialect) == ["flat", "flat"])
    #expect(connections.allSatisfy { $0.userAgent == "Tab/1" && $0.rooms.isEmpty })
    #expect(Set(connections.map(\.id)).count == 2)
    #expect(try await server.disconnect("b", reason: "over") == 2)
    for peer in peers[1...2] {
      while !peer.isEnded {
        peer.receive()
        await Task.yield()
      }
      #expect(try peer.frames() == ["close 1008"])
    }
    #expect(try await server.connectedUsers().users == ["a", "c"])
    #expect(try await server.disconnect("b") == 0)
    server.stop()
  }

  @Test func `many concurrent queries are each answered once, by a result or as busy`() async throws
  {
    let server = try Self.server()
    let answers = await withTaskGroup(of: ShardQueryFailure?.self) { group in
      for _ in 0..<500 {
        group.addTask {
          do throws(ShardQueryFailure) {
            _ = try await server.connectedUsers()
            return nil
          } catch {
            return error
          }
        }
      }
      return await group.reduce(into: []) { $0.append($1) }
    }
    #expect(answers.count == 500)
    #expect(answers.contains(nil) && answers.allSatisfy { $0 == nil || $0 == .busy })
    server.stop()
  }

  @Test func `a query to a stopped server fails as stopping`() async throws {
    let server = try Self.server()
    server.stop()
    await #expect(throws: ShardQueryFailure.stopping) { try await server.connectedUsers() }
  }

  @Test func `a query that no shard is left to read fails as stopping`() async throws {
    let server = try Self.server(shards: 1) { $0.limits.drainTimeoutMilliseconds = 1 }
    let peer = try await Self.session("u", on: server)
    server.core.mailboxes[0].append(.stop)
    while !peer.isEnded {
      peer.receive()
      await Task.yield()
    }
    let told = await withCheckedContinuation { continuation in
      server.core.mailboxes[0].append(
        .outsideQuery(.users(limit: 1, after: nil, online: false)) {
          continuation.resume(returning: $0)
        }
      )
      server.stop()
    }
    guard case .failure(.stopping) = told else {
      Issue.record("\(told)")
      return
    }
  }
}
