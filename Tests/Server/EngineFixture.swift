// Clients of Engine.IO and Socket.IO for a shard that a test turns by hand, and applications that
// the test controls.
//
// A packet is a text that begins with its type, as on the wire.

import Cryptography
import Testing
import Wire

@testable import Server

/// Sends every message back.
struct Echo: EngineApplication {
  func received(text: [UInt8], from client: EngineClient) { client.send(text: text) }
  func received(binary: [UInt8], from client: EngineClient) { client.send(binary: binary) }
}

/// Sends every event back, asks the client on `ask`, refuses `/closed`, and records its calls.
final class Namespaces: SocketIOApplication, @unchecked Sendable {
  // Unchecked: a fixture's shard runs on the test's thread, and so does everything here.
  static let askTimeoutMilliseconds: UInt64 = 5_000

  let namespaces = ["/", "/other", "/closed"]
  var keepAliveEvent: String?
  /// The payloads of the clients that connected.
  private(set) var payloads: [String?] = []
  /// The namespaces that clients have left.
  private(set) var left: [Int] = []
  /// The answer to each question; nil where there was none.
  private(set) var replies: [String?] = []

  func connect(_ client: SocketIOClient, payload: [UInt8]?) {
    payloads.append(payload?.text)
    if client.namespace == 2 { client.refuse("closed") } else { client.accept() }
  }

  func received(_ event: SocketIOEvent, from client: SocketIOClient) {
    if event.wantsAcknowledgement {
      client.acknowledge(event, event.arguments, attachments: event.attachments)
    } else if event.name == "ask" {
      client.ask(
        "question", event.arguments, timeoutMilliseconds: Self.askTimeoutMilliseconds
      ) { [unowned self] reply in
        replies.append(reply.map { $0.arguments.map(\.text).joined(separator: ",") })
      }
    } else {
      client.emit(event.name, event.arguments, attachments: event.attachments)
    }
  }

  func left(_ client: SocketIOClient) { left.append(client.namespace) }
}

extension ShardFixture {
  static let pingInterval: UInt64 = 20_000
  static let pingTimeout: UInt64 = 10_000
  static let connectTimeout: UInt64 = 15_000

  /// A server of Engine.IO at `/engine.io/` and of Socket.IO at `/namespaces/` and `/socket.io/`.
  static func engine(
    _ application: Namespaces = Namespaces(), shardCount: Int = 1,
    _ change: (inout Configuration) -> Void = { _ in },
    settings changeSettings: (inout EngineSettings) -> Void = { _ in }
  ) throws -> ShardFixture {
    var settings = EngineSettings()
    settings.pingIntervalMilliseconds = pingInterval
    settings.pingTimeoutMilliseconds = pingTimeout
    settings.connectTimeoutMilliseconds = connectTimeout
    changeSettings(&settings)
    return try ShardFixture(shardCount: shardCount) { configuration in
      configuration.limits.messageRate = .off
      configuration.engines = [
        EnginePath("/engine.io/", .messages(Echo()), settings),
        EnginePath("/namespaces/", .socketIO(application), settings),
        .notifications(settings),
      ]
      change(&configuration)
    }
  }

  /// The session of that sid on the shard.
  func engineSession(_ sid: String, on index: Int = 0) -> EngineSessionView? {
    shards[index].engineSession(sid)
  }

  /// Whether nothing is left of the connections and of the bytes queued for them.
  func isEmpty(_ index: Int = 0) -> Bool {
    let shard = shards[index]
    return shard.connectionCount == 0 && shard.engineSessionCount == 0
      && shard.sessionCount == 0 && shard.localRooms.isEmpty
      && shard.blockedConnectionCount == 0 && shard.blockedByteCount == 0
      && shard.unauthenticatedCount == 0 && shard.bodyBytesInFlight == 0
  }

  /// Fails unless everything is returned once the peers have gone.
  func expectEmpty(_ location: SourceLocation = #_sourceLocation) throws {
    try turn(until: { shards.indices.allSatisfy { isEmpty($0) } }, location)
  }

  /// Sends a request; `query` holds the `sid` and any other part of the query string.
  func request(
    _ method: String, _ path: String, _ query: String, body: String? = nil, on peer: TestPeer
  ) {
    let length = body.map { "Content-Length: \($0.utf8.count)\r\n" } ?? ""
    peer.send(
      "\(method) \(path)?EIO=4&transport=polling\(query) HTTP/1.1\r\nHost: x\r\n\(length)\r\n"
        + (body ?? ""))
  }

  /// The status and the body of the next answer.
  func answer(to peer: TestPeer) throws -> (status: Int, body: String) {
    let (head, body) = try EndpointTests.answer(to: peer, self)
    return (try #require(Int(head.dropFirst("HTTP/1.1 ".count).prefix(3))), body)
  }

  /// A session over a WebSocket, or the WebSocket that is to take over the session `sid`.
  func webSocket(
    _ path: String = "/engine.io/", sid: String? = nil, on index: Int = 0
  ) throws -> TestPeer {
    let named = sid.map { "&sid=\($0)" } ?? ""
    return try session(nil, path: "\(path)?EIO=4&transport=websocket\(named)", on: index)
  }

  /// Takes the open packet off the received frames and returns its sid.
  func takeOpening(of peer: TestPeer) throws -> String {
    var frames: [String] = []
    try turn(until: {
      frames += (try? self.frames(of: peer)) ?? []
      return !frames.isEmpty
    })
    #expect(frames.count == 1)
    return try PollingClient.sid(in: frames[0])
  }

  /// Turns until `count` frames have come, and fails if more have.
  func frames(_ count: Int, of peer: TestPeer) throws -> [String] {
    var found: [String] = []
    try turn(until: {
      found += (try? frames(of: peer)) ?? []
      return found.count >= count
    })
    return found
  }
}

/// A client of a polled session: one connection for its polls, one for its POSTs.
final class PollingClient {
  let fixture: ShardFixture
  let path: String
  let index: Int
  private(set) var polls: TestPeer
  private(set) var posts: TestPeer
  let opening: String
  let sid: String

  init(_ fixture: ShardFixture, _ path: String = "/engine.io/", on index: Int = 0) throws {
    self.fixture = fixture
    self.path = path
    self.index = index
    polls = try fixture.connect(to: index)
    posts = try fixture.connect(to: index)
    fixture.request("GET", path, "", on: polls)
    opening = try fixture.answer(to: polls).body
    sid = try Self.sid(in: opening)
  }

  static func sid(in opening: String) throws -> String {
    let mark = try #require(opening.firstRange(of: #"0{"sid":""#))
    return String(opening[mark.upperBound...].prefix { $0 != "\"" })
  }

  var session: EngineSessionView? { fixture.engineSession(sid) }

  /// Sends a poll, and turns until the shard holds it or has answered it.
  func begin() throws {
    polls = try alive(polls)
    fixture.request("GET", path, "&sid=\(sid)", on: polls)
    try fixture.turn(until: {
      self.session?.isPollWaiting == true || !self.polls.receive().isEmpty
    })
  }

  /// The connection, or a new one if the server has ended it for being idle.
  private func alive(_ peer: TestPeer) throws -> TestPeer {
    peer.receive()
    guard peer.isEnded else { return peer }
    peer.leave()
    return try fixture.connect(to: index)
  }

  /// The status and packets of the answer to a poll, which is begun here unless it was before.
  func poll(isBegun: Bool = false) throws -> (status: Int, packets: [String]) {
    if !isBegun { try begin() }
    let (status, body) = try fixture.answer(to: polls)
    return (status, body.split(separator: "\u{1e}").map { String($0) })
  }

  /// The packets of a poll, which must be answered with 200.
  func packets(isBegun: Bool = false) throws -> [String] {
    let (status, packets) = try poll(isBegun: isBegun)
    #expect(status == 200)
    return packets
  }

  /// Sends packets in one body and returns the status of the answer.
  @discardableResult
  func post(_ packets: String...) throws -> Int {
    try post(packets)
  }

  func post(_ packets: [String]) throws -> Int {
    let body = packets.joined(separator: "\u{1e}")
    posts = try alive(posts)
    fixture.request("POST", path, "&sid=\(sid)", body: body, on: posts)
    return try fixture.answer(to: posts).status
  }

  /// Ends both connections.
  func leave() {
    polls.leave()
    posts.leave()
  }
}

extension TestPeer {
  /// Ends the connection from its own side, in both directions.
  func leave() { endSending() }

  /// Sends a masked binary message.
  func say(binary: [UInt8]) {
    var frame: [UInt8] = []
    WebSocketFrame.append(.binary, payload: binary, maskingKey: 0x1234_5678, into: &frame)
    send(frame)
  }
}
