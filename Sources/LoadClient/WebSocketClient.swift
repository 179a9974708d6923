// A blocking WebSocket client for commands: connect, wait for the next message, answer pings.

internal import Reactor
internal import Wire

/// A message or close from a WebSocket server.
package enum ClientMessage: Equatable, Sendable {
  case text(String)
  case binary([UInt8])
  /// The server's close: its code (nil when it gave none) and reason. Nothing follows.
  case closed(code: UInt16?, reason: String)
}

/// One WebSocket connection, read like a file: each call waits for the next message.
///
/// Confined to one thread. It answers pings and the server's close itself. It does not verify the
/// server's Sec-WebSocket-Accept: that check guards against intermediate caches, not against a
/// server, which can always compute it.
package final class WebSocketClient {
  /// The most bytes of one message: larger than any message of the server.
  private static let messageBytesLimit = 16 << 20
  private static let readByteCount = 64 << 10

  private let socket: Socket
  private let poller: Poller
  private var scratch = [UInt8](repeating: 0, count: readByteCount)
  private var received: [UInt8] = []
  /// Bytes of `received` that have been consumed.
  private var consumedCount = 0
  private var sequence = FrameSequence(messageBytesLimit: messageBytesLimit)
  private var message: [UInt8] = []
  private var isText = false
  /// Our close frame was sent; the server's close ends the connection.
  private var isClosing = false
  private var isClosed = false
  /// The subprotocol that the server chose.
  package private(set) var subprotocol: String?

  /// Connects, asks for the upgrade and waits for the 101.
  package init(
    to server: ServerURL, target: String, fields: [HTTPField] = [],
    timeoutMilliseconds: Int = 10_000
  ) throws(ClientError) {
    poller = try Poller.forSockets()
    socket = try Socket(connectingTo: server)
    try poller.add(socket, slot: 0, forWriting: true)
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    guard try poller.wait(until: deadline) else {
      throw .timedOut("connecting to \(server.hostField)")
    }
    try socket.checkConnected()
    try poller.modify(socket, slot: 0, forWriting: false)
    let handshake = [
      HTTPField("Upgrade", "websocket"), HTTPField("Connection", "Upgrade"),
      HTTPField("Sec-WebSocket-Version", "13"),
      HTTPField("Sec-WebSocket-Key", Base64.encode(Kernel.real.randomBytes(count: 16))),
    ]
    var request: [UInt8] = []
    HTTPRequest("GET", target, fields: handshake + fields).write(to: server, into: &request)
    try poller.send(request, to: socket, until: deadline)
    try receiveUpgrade(until: deadline)
  }

  deinit { socket.close() }

  /// The next message; nil when none arrives in time.
  package func receive(timeoutMilliseconds: Int) throws(ClientError) -> ClientMessage? {
    guard !isClosed else { throw .closedByServer }
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    while true {
      do throws(ProtocolViolation) {
        if let found = try nextMessage() { return found }
      } catch {
        sendClose(code: error.closeCode, reason: error.reason)
        throw .malformed("a bad frame: \(error.reason)")
      }
      guard try receiveBytes(until: deadline) else { return nil }
    }
  }

  /// Sends one text message.
  package func sendText(_ text: String) throws(ClientError) {
    guard !isClosed else { throw .closedByServer }
    let bytes = frame(.text, Array(text.utf8))
    try poller.send(bytes, to: socket, until: Deadline(milliseconds: 10_000))
  }

  /// Sends a close frame, waits briefly for the server's close, and closes the connection.
  package func close(code: UInt16 = 1000, timeoutMilliseconds: Int = 1_000) {
    if !isClosed {
      isClosing = true
      sendClose(code: code, reason: "")
      // Messages and errors are ignored: the connection is closed below in any case.
      while let message = try? receive(timeoutMilliseconds: timeoutMilliseconds) {
        if case .closed = message { break }
      }
    }
    isClosed = true
    socket.close()
  }

  /// Consumes whole frames until one ends a message.
  private func nextMessage() throws(ProtocolViolation) -> ClientMessage? {
    while true {
      let bytes = received
      guard let frame = try FrameScanner.next(bytes.span, from: consumedCount) else {
        try refuseOversized(from: consumedCount)
        return nil
      }
      let header = FrameHeader(
        isFinal: frame.isFinal, opcode: frame.opcode, isMasked: false, maskingKey: 0,
        payloadLength: frame.payload.count, byteCount: frame.payload.lowerBound - consumedCount)
      let role = try sequence.accept(header)
      consumedCount = frame.payload.upperBound
      if let found = try take(role, bytes[frame.payload]) { return found }
    }
  }

  /// Rejects an oversized frame by the length in its header, before its payload is buffered.
  private func refuseOversized(from position: Int) throws(ProtocolViolation) {
    let bytes = received
    let rest = bytes.span.extracting(position..<bytes.count)
    guard let header = try FrameHeader.parse(rest, from: .server) else { return }
    guard header.payloadLength <= Self.messageBytesLimit else { throw .messageTooBig }
  }

  private func take(
    _ role: FrameRole, _ payload: ArraySlice<UInt8>
  ) throws(ProtocolViolation) -> ClientMessage? {
    switch role {
    case .control(.close):
      let close = try WebSocketFrame.parseClose(Array(payload))
      if !isClosing { sendClose(code: close.code ?? 1000, reason: "") }
      isClosed = true
      return .closed(code: close.code, reason: close.reason)
    case .control(.ping):
      // A pong is dropped when the socket is full: the server is not reading then.
      _ = socket.send(frame(.pong, Array(payload)))
      return nil
    case .control:
      return nil
    case .data(let isText, let startsMessage, let endsMessage):
      if startsMessage { self.isText = isText }
      message.append(contentsOf: payload)
      guard endsMessage else { return nil }
      defer { message = [] }
      guard self.isText else { return .binary(message) }
      guard let text = String(validating: message, as: UTF8.self) else { throw .invalidUTF8 }
      return .text(text)
    }
  }

  private func receiveUpgrade(until deadline: Deadline) throws(ClientError) {
    var parser = HTTPResponseHeadParser()
    var head: HTTPResponseHead?
    while head == nil {
      guard try receiveBytes(until: deadline) else { throw .timedOut("waiting for the upgrade") }
      let bytes = received
      do throws(HTTPViolation) {
        head = try parser.parse(bytes.span)
      } catch {
        throw .malformed("a bad answer: \(error.reason)")
      }
    }
    guard let head, head.status == 101 else {
      throw .upgradeRefused(status: Int(head?.status ?? 0))
    }
    consumedCount = head.byteCount
    subprotocol = head.value(of: "sec-websocket-protocol")
  }

  /// Waits for bytes and receives them; false when none arrive in time.
  private func receiveBytes(until deadline: Deadline) throws(ClientError) -> Bool {
    guard let bytes = try poller.receive(from: socket, into: &scratch, until: deadline) else {
      return false
    }
    // Once for each read and not once for each frame in it.
    received.removeSubrange(..<consumedCount)
    consumedCount = 0
    received.append(contentsOf: bytes)
    return true
  }

  private func sendClose(code: UInt16, reason: String) {
    var bytes: [UInt8] = []
    WebSocketFrame.appendClose(code: code, reason: reason, maskingKey: maskingKey(), into: &bytes)
    _ = socket.send(bytes)
  }

  private func frame(_ opcode: WebSocketOpcode, _ payload: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    WebSocketFrame.append(opcode, payload: payload, maskingKey: maskingKey(), into: &bytes)
    return bytes
  }

  private func maskingKey() -> UInt32 {
    Kernel.real.randomBytes(count: 4).reduce(0) { $0 << 8 | UInt32($1) }
  }
}

/// A time on the monotonic clock, or never.
struct Deadline {
  private let nanoseconds: UInt64?

  /// This many milliseconds from now; a negative number means never.
  init(milliseconds: Int) {
    nanoseconds =
      milliseconds < 0 ? nil : Kernel.real.monotonicNanoseconds &+ UInt64(milliseconds) &* 1_000_000
  }

  /// The remaining time, rounded up; -1 without a limit.
  var remainingMilliseconds: Int {
    guard let nanoseconds else { return -1 }
    let now = Kernel.real.monotonicNanoseconds
    return now >= nanoseconds ? 0 : Int((nanoseconds - now + 999_999) / 1_000_000)
  }
}
