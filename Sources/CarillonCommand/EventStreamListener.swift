// `carillon listen --dialect sse`: prints the events of a stream, and reconnects where it ended.

internal import LoadClient
internal import Reactor
internal import Wire

/// An event stream that goes on after its connection has ended, as that of a browser does.
///
/// It keeps the id of the last event, the cursor, and continues with it: nothing is missed, and
/// nothing is printed twice.
struct EventStreamListener {
  /// The delay before a reconnect while the server has not sent one.
  private static let standardDelayMilliseconds = 3_000
  /// The delays that a server can set: not so short that its clients are a load.
  private static let delays = 100...60_000
  /// Short, because Ctrl-C waits for its end.
  private static let reconnectTimeoutMilliseconds = 5_000

  private let server: ServerURL
  private let target: String
  private let fields: [HTTPField]
  /// Whether events are printed with their cursor, as the other dialects send it.
  private let showsCursor: Bool
  private var client: EventStreamClient
  private var cursor: String?
  private var delayMilliseconds = standardDelayMilliseconds

  /// Connects; a failure of this first attempt is final.
  init(
    to server: ServerURL, target: String, fields: [HTTPField], showsCursor: Bool
  ) throws(ClientError) {
    self.server = server
    self.target = target
    self.fields = fields
    self.showsCursor = showsCursor
    client = try EventStreamClient(to: server, target: target, fields: fields)
  }

  /// Prints events until there are `count` or a signal arrives, and returns the exit status.
  mutating func printEvents(count: Int) throws(ClientError) -> Int32 {
    // From here on signals are blocked and polled, so Ctrl-C closes the connection normally.
    Signals.block()
    var printed = 0
    while printed < count, !Signals.endIsRequested() {
      do throws(ClientError) {
        guard
          let event = try client.receive(timeoutMilliseconds: ListenCommand.waitMilliseconds),
          !ListenCommand.isHeartbeat(event.data)
        else { continue }
        Terminal.print(text(of: event))
        printed += 1
      } catch {
        guard error.endsOnlyTheConnection else { throw error }
        guard try reconnect(after: error) else { return 0 }
      }
    }
    client.close()
    return 0
  }

  /// Connects again, after the server's delay and as often as needed; false when a signal arrives.
  ///
  /// Throws when the server refuses the stream for good, for example because the token has expired.
  private mutating func reconnect(after failure: ClientError) throws(ClientError) -> Bool {
    // guard: listener-keeps-cursor
    if let id = client.lastID, HTTPField.canHold(id) { cursor = id }
    if let delay = client.retryMilliseconds {
      delayMilliseconds = min(max(delay, Self.delays.lowerBound), Self.delays.upperBound)
    }
    client.close()
    Terminal.say("carillon listen: \(failure); reconnecting every \(delayMilliseconds) ms")
    let position = cursor.map { [HTTPField("Last-Event-ID", $0)] } ?? []
    while !Signals.endIsRequested(within: Int32(clamping: delayMilliseconds)) {
      do throws(ClientError) {
        client = try EventStreamClient(
          to: server, target: target, fields: fields + position,
          timeoutMilliseconds: Self.reconnectTimeoutMilliseconds)
        Terminal.say("carillon listen: connected again")
        return true
      } catch {
        guard error.mayPass else { throw error }
      }
    }
    return false
  }

  private func text(of event: StreamEvent) -> String {
    // JSON may span several lines; a newline between its tokens equals a space.
    let text = event.data.split(separator: "\n").joined(separator: " ")
    guard showsCursor, let id = event.id, text.hasPrefix("{\"") else { return text }
    var json: [UInt8] = []
    json.openObject()
    json.member("cursor", id)
    return String(decoding: json, as: UTF8.self) + "," + text.dropFirst()
  }
}

extension ClientError {
  /// Whether an open stream can continue over another connection.
  fileprivate var endsOnlyTheConnection: Bool {
    switch self {
    case .closedByServer, .broken: true
    case .badURL, .system, .unreachable, .upgradeRefused, .refused, .timedOut, .interrupted,
      .malformed:
      false
    }
  }

  /// Whether a later attempt to connect may succeed.
  fileprivate var mayPass: Bool {
    switch self {
    case .closedByServer, .broken, .unreachable, .timedOut: true
    case .refused(let status): status == 429 || status >= 500
    case .badURL, .system, .upgradeRefused, .interrupted, .malformed: false
    }
  }
}
