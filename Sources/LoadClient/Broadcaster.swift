// The publisher of a load test: one connection that pipelines ephemeral broadcasts.

internal import Reactor
internal import Wire

/// Publishes the run's messages over one pipelined connection, in the fleet's reactor.
///
/// Bytes that the socket does not accept stay in `outgoing`, bounded by `outstandingLimit`.
final class Broadcaster {
  /// Its slot in the poller, above the fleet's slots.
  static let index = UInt32.max
  /// The most requests without an answer.
  ///
  /// At the limit publishing waits, and the wait counts as latency, which is measured from the
  /// intended time.
  static let outstandingLimit = 4_096

  private let server: ServerURL
  private let poller: Poller
  private let ledger: MessageLedger
  private let socket: Socket
  private let fields: [HTTPField]
  private let padding: String
  private let path: String
  /// The body before the payload's members.
  private let opening: [UInt8]
  private var reader = AnswerReader()
  private var scratch: [UInt8] = []
  private var outgoing: [UInt8] = []
  private var sent = 0
  private var waitsForRoom = true
  private(set) var isConnected = false

  private(set) var published = 0
  /// Answered with a 2xx.
  private(set) var accepted = 0
  /// Answered with another status: the count per status.
  private(set) var refused: [Int: Int] = [:]
  private(set) var failure: ClientError?

  var outstanding: Int { published - accepted - refused.values.reduce(0, +) }

  /// Begins to connect.
  ///
  /// `payloadBytes` is the size of the payload object; a size too small for the run's mark is
  /// raised to the smallest that holds it.
  init(
    server: ServerURL, poller: Poller, ledger: MessageLedger, credentials: [HTTPField],
    payloadBytes: Int, room: String?
  ) throws(ClientError) {
    self.server = server
    self.poller = poller
    self.ledger = ledger
    fields = credentials + [HTTPField("Content-Type", "application/json")]
    if let room {
      path = "/api/v1/websocket/send/room"
      opening = Array(
        "{\"room\":\"\(room)\",\"notification_type\":\"bench\",\"title\":\"\",\"payload\":{".utf8)
    } else {
      path = "/api/v1/websocket/live/broadcast"
      opening = Array("{\"update_type\":\"bench\",\"payload\":{".utf8)
    }
    // Braces, the mark, its digits and quotation mark; then `,"pad":""`.
    let bare = 2 + ledger.prefix.count + 9
    let pad = payloadBytes - bare - 9
    padding = pad >= 0 ? ",\"pad\":\"\(String(repeating: "x", count: pad))\"" : ""
    socket = try Socket(connectingTo: server)
    try poller.add(socket, slot: Self.index, forWriting: true)
  }

  private var isClosed = false

  deinit { close() }

  /// Queues one message with its intended send time on the monotonic clock.
  func enqueue(intendedAt nanoseconds: UInt64) {
    var body = opening
    ledger.appendMark(ledger.issue(at: nanoseconds), into: &body)
    body.appendText(padding)
    body.appendText("}}")
    let request = HTTPRequest("POST", path, fields: fields, body: body)
    request.write(to: server, into: &outgoing)
    published += 1
  }

  /// Sends the queued bytes until the socket accepts no more.
  func flush() throws(ClientError) {
    while sent < outgoing.count {
      switch socket.send(outgoing, from: sent) {
      case .bytes(let count): sent += count
      case .wouldBlock:
        try setWaitsForRoom(true)
        return
      case .closed: throw .closedByServer
      case .failed(let code): throw .broken(code: code)
      }
    }
    outgoing.removeAll(keepingCapacity: true)
    sent = 0
    try setWaitsForRoom(false)
  }

  /// Handles one event of the poller.
  func handle(_ event: PollEvent) {
    guard failure == nil else { return }
    do throws(ClientError) {
      if !isConnected {
        try socket.checkConnected()
        isConnected = true
      }
      if event.isReadable { try receive() }
      if event.isWritable { try flush() }
    } catch {
      failure = error
      close()
    }
  }

  func close() {
    guard !isClosed else { return }
    isClosed = true
    poller.remove(socket)
    socket.close()
  }

  private func receive() throws(ClientError) {
    switch reader.receive(from: socket, scratch: &scratch) {
    case .bytes: break
    case .wouldBlock: return
    case .closed: throw .closedByServer
    case .failed(let code): throw .broken(code: code)
    }
    while let answer = try reader.next() {
      if answer.isSuccess {
        accepted += 1
      } else {
        refused[answer.status, default: 0] += 1
      }
    }
  }

  private func setWaitsForRoom(_ waits: Bool) throws(ClientError) {
    guard waits != waitsForRoom else { return }
    waitsForRoom = waits
    try poller.modify(socket, slot: Self.index, forWriting: waits)
  }
}
