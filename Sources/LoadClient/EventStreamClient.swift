// A blocking client of server-sent events for commands: connect, then wait for the next event.

internal import Reactor
internal import Wire

/// One event stream, read like a file: each call waits for the next event.
///
/// Confined to one thread. It does not reconnect: its caller makes another one, with the id of the
/// last event.
package final class EventStreamClient {
  private static let readByteCount = 64 << 10

  private let socket: Socket
  private let poller: Poller
  private var scratch = [UInt8](repeating: 0, count: readByteCount)
  private var parser = EventStreamParser()
  /// Nil when the stream is not chunked.
  private var decoder: ChunkedBodyDecoder?
  /// Received and not yet decoded bytes of a chunked stream.
  private var undecoded: [UInt8] = []
  /// The last chunk has arrived, and nothing follows.
  private var isComplete = false

  /// Connects, asks for the stream and waits for the 200.
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
    var request: [UInt8] = []
    HTTPRequest("GET", target, fields: [HTTPField("Accept", "text/event-stream")] + fields)
      .write(to: server, into: &request)
    try poller.send(request, to: socket, until: deadline)
    try poller.modify(socket, slot: 0, forWriting: false)
    try receiveHead(until: deadline)
  }

  deinit { socket.close() }

  /// The id of the last event that had one; nil before that.
  package var lastID: String? { parser.lastID }
  /// The time after which the server wants its clients to reconnect; nil when it has not sent one.
  package var retryMilliseconds: Int? { parser.retryMilliseconds }

  /// The next event; nil when none arrives in time.
  package func receive(timeoutMilliseconds: Int) throws(ClientError) -> StreamEvent? {
    let deadline = Deadline(milliseconds: timeoutMilliseconds)
    while true {
      if let event = parser.next() { return event }
      guard !isComplete else { throw .closedByServer }
      guard let bytes = try receiveBytes(until: deadline) else { return nil }
      try take(bytes)
    }
  }

  package func close() { socket.close() }

  private func receiveHead(until deadline: Deadline) throws(ClientError) {
    var parser = HTTPResponseHeadParser()
    var received: [UInt8] = []
    while true {
      guard let bytes = try receiveBytes(until: deadline) else {
        throw .timedOut("waiting for an answer")
      }
      received.append(contentsOf: bytes)
      let head: HTTPResponseHead?
      do throws(HTTPViolation) {
        head = try parser.parse(received.span)
      } catch {
        throw .malformed("a bad answer: \(error.reason)")
      }
      guard let head else { continue }
      guard head.status == 200 else { throw .refused(status: Int(head.status)) }
      let type = head.value(of: "content-type")?.lowercased() ?? ""
      guard type.hasPrefix("text/event-stream") else {
        throw .malformed("an answer that is not an event stream")
      }
      if head.isChunked { decoder = ChunkedBodyDecoder(bodyBytesLimit: .max) }
      return try take(received[head.byteCount...])
    }
  }

  private func take(_ bytes: ArraySlice<UInt8>) throws(ClientError) {
    guard decoder != nil else { return try parse(bytes) }
    undecoded.append(contentsOf: bytes)
    let input = undecoded
    var output: [UInt8] = []
    do throws(HTTPViolation) {
      let count = try decoder?.decode(input.span, into: &output) ?? 0
      undecoded.removeFirst(count)
    } catch {
      throw .malformed("a bad chunked body: \(error.reason)")
    }
    try parse(output[...])
    isComplete = decoder?.isComplete ?? false
  }

  private func parse(_ bytes: ArraySlice<UInt8>) throws(ClientError) {
    guard parser.append(bytes) else { throw .malformed("an event that is too long") }
  }

  /// Waits for bytes and receives them; nil when none arrive in time.
  private func receiveBytes(until deadline: Deadline) throws(ClientError) -> ArraySlice<UInt8>? {
    try poller.receive(from: socket, into: &scratch, until: deadline)
  }
}
