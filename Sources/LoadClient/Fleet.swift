// Many WebSocket connections on one thread: connects them, reads from them and closes them.

internal import Reactor
internal import Wire

/// Connections to a server's WebSocket endpoint, all in one thread's reactor.
///
/// Their masking key and Sec-WebSocket-Key are constants and the server's accept is not verified:
/// these protect browsers and proxies, and a load test has neither. Slots in the poller are
/// 0 ..< count.
package final class Fleet {
  private enum Phase { case connecting, upgrading, open, closed }

  private struct Connection {
    var socket: Socket
    var phase = Phase.connecting
    var tail = FrameTail()
    var subscription: Subscription
  }

  /// Concurrent handshakes: enough to hide the round trips, fewer than a listener's backlog.
  private static let handshakesLimit = 256
  /// The most bytes of one read, and so of one frame.
  private static let scratchCapacity = 256 << 10

  package let count: Int
  private let server: ServerURL
  private let target: (Int) -> String
  private let dialect: LoadDialect
  private let poller: Poller
  private let counter: MessageCounter
  private var connections: [Connection] = []
  private var scratch = [UInt8](repeating: 0, count: scratchCapacity)
  private var handshakes = 0

  package var tally: FleetTally { counter.tally }
  /// Connections that have received the greeting and have not ended.
  package private(set) var liveCount = 0
  /// Messages that the live connections have received since their greeting.
  package private(set) var receivedByLive: UInt64 = 0
  /// The count of failed or ended connections per reason.
  package private(set) var endings: [String: Int] = [:]

  init(
    server: ServerURL, count: Int, poller: Poller, ledger: MessageLedger,
    dialect: LoadDialect = .event, target: @escaping (Int) -> String
  ) {
    self.server = server
    self.count = count
    self.poller = poller
    counter = MessageCounter(ledger: ledger)
    self.target = target
    self.dialect = dialect
    connections.reserveCapacity(count)
  }

  deinit { close() }

  /// Whether every connection has been greeted or has failed.
  var isSettled: Bool { connections.count == count && handshakes == 0 }
  /// Connections started so far.
  var startedCount: Int { connections.count }

  /// Starts connections up to the limit of concurrent handshakes.
  func startConnections() throws(ClientError) {
    while connections.count < count, handshakes < Self.handshakesLimit {
      let socket = try Socket(connectingTo: server)
      try poller.add(socket, slot: UInt32(connections.count), forWriting: true)
      connections.append(
        Connection(
          socket: socket, subscription: Subscription(greetingCount: dialect.greetingCount)))
      handshakes += 1
    }
  }

  /// Sets all figures to zero; the connections stay.
  func beginTally() { counter.tally = FleetTally() }

  /// Closes every connection with a reset, so no port is left in TIME_WAIT for the next fleet.
  package func close() {
    for connection in connections where connection.phase != .closed { connection.socket.abort() }
    connections = []
    liveCount = 0
    receivedByLive = 0
    handshakes = 0
  }

  /// Handles one event of the poller.
  func handle(_ event: PollEvent) {
    let index = Int(event.slot)
    guard index < connections.count else { return }
    do throws(ClientError) {
      switch connections[index].phase {
      case .closed: return
      case .connecting: if event.isWritable || event.isReadable { try upgrade(index) }
      case .upgrading, .open: if event.isReadable { try receive(index) }
      }
    } catch {
      end(index, because: error.description)
    }
  }

  private func upgrade(_ index: Int) throws(ClientError) {
    let socket = connections[index].socket
    try socket.checkConnected()
    var request: [UInt8] = []
    request.appendText("GET \(server.basePath)\(target(index)) HTTP/1.1\r\n")
    request.appendText("Host: \(server.hostField)\r\n")
    request.appendText("Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n")
    request.appendText("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
    // These are the first bytes on the connection, so the kernel accepts the request head whole.
    guard socket.send(request) == .bytes(request.count) else { throw .closedByServer }
    connections[index].phase = .upgrading
    try poller.modify(socket, slot: UInt32(index), forWriting: false)
  }

  /// Reads once, for fairness; unread bytes make the next wait return immediately.
  private func receive(_ index: Int) throws(ClientError) {
    let held = connections[index].tail.bytes.count
    guard held < scratch.count else { throw .malformed("a frame of more than \(held) bytes") }
    let received: Int
    switch connections[index].socket.receive(into: &scratch, at: held) {
    case .bytes(let count): received = count
    case .wouldBlock: return
    case .closed: throw .closedByServer
    case .failed(let code): throw .broken(code: code)
    }
    counter.tally.bytesReceived &+= UInt64(received)
    let end = held + received
    if connections[index].tail.extend(with: held..<end, of: scratch) { return }
    connections[index].tail.restore(to: &scratch)
    // A second reference during the scan, dropped before the next read writes (so no copy is made).
    let bytes = scratch
    let scanned = try scan(index, bytes.span.extracting(0..<end))
    let isFrame = connections[index].phase == .open
    connections[index].tail.keep(scanned..<end, of: bytes, isFrame: isFrame)
  }

  /// Consumes the whole frames of the received bytes and returns their size.
  private func scan(
    _ index: Int, _ bytes: borrowing Span<UInt8>
  ) throws(ClientError) -> Int {
    var start = 0
    if connections[index].phase == .upgrading {
      guard let headByteCount = try acceptUpgrade(bytes) else { return 0 }
      connections[index].phase = .open
      start = headByteCount
      let opening = dialect.opening
      guard opening.isEmpty || connections[index].socket.send(opening) == .bytes(opening.count)
      else {
        throw .closedByServer
      }
    }
    // A copy, so the scan may call into this object for a control frame.
    var subscription = connections[index].subscription
    let wasGreeted = subscription.isGreeted
    let receivedBefore = subscription.received
    defer {
      connections[index].subscription = subscription
      receivedByLive &+= subscription.received &- receivedBefore
      if subscription.isGreeted, !wasGreeted {
        handshakes -= 1
        liveCount += 1
      }
    }
    let socket = connections[index].socket
    let now = Kernel.real.monotonicNanoseconds
    return try counter.scan(bytes, from: start, for: &subscription, now: now) {
      frame throws(ClientError) in
      try Self.takeControl(frame, payload: frame.payload.map { bytes[$0] }, from: socket)
    }
  }

  private static func takeControl(
    _ frame: ScannedFrame, payload: [UInt8], from socket: Socket
  ) throws(ClientError) {
    switch frame.opcode {
    case .ping:
      var pong: [UInt8] = []
      WebSocketFrame.append(.pong, payload: payload, maskingKey: 0x1234_5678, into: &pong)
      // The fleet sends nothing else, so a small frame always fits; if it does not, give up.
      guard socket.send(pong) == .bytes(pong.count) else { throw .closedByServer }
    case .close:
      let close = try? WebSocketFrame.parseClose(payload)  // A malformed close has no code.
      throw .malformed("close \(close?.code.map(String.init) ?? "without a code")")
    case .pong, .text, .binary, .continuation:
      break
    }
  }

  /// The size of the 101 answer's head; nil when it is not whole.
  private func acceptUpgrade(_ bytes: borrowing Span<UInt8>) throws(ClientError) -> Int? {
    var parser = HTTPResponseHeadParser()
    do {
      guard let head = try parser.parse(bytes) else { return nil }
      guard head.status == 101 else { throw ClientError.upgradeRefused(status: Int(head.status)) }
      return head.byteCount
    } catch let error as HTTPViolation {
      throw .malformed("a bad answer: \(error.reason)")
    } catch let error as ClientError {
      throw error
    } catch {
      throw .malformed("a bad answer")
    }
  }

  private func end(_ index: Int, because reason: String) {
    let connection = connections[index]
    guard connection.phase != .closed else { return }
    if connection.subscription.isGreeted {
      liveCount -= 1
      receivedByLive &-= connection.subscription.received
    } else {
      handshakes -= 1
    }
    connections[index].phase = .closed
    connections[index].tail = FrameTail()
    connection.socket.close()
    counter.tally.disconnected += 1
    endings[reason, default: 0] += 1
  }
}
