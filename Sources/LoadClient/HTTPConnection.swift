// A blocking keep-alive connection to an HTTP server, for commands.

internal import Reactor

/// One connection that carries any number of requests, one after another or pipelined.
///
/// Confined to one thread. Every wait is bounded: `timeoutMilliseconds` without a byte in either
/// direction is an error.
package final class HTTPConnection {
  package let server: ServerURL
  private let timeoutMilliseconds: Int
  private let socket: Socket
  private let poller: Poller
  private var reader = AnswerReader()
  private var scratch: [UInt8] = []

  /// Connects.
  package init(
    to server: ServerURL, timeoutMilliseconds: Int = 10_000
  ) throws(ClientError) {
    self.server = server
    self.timeoutMilliseconds = timeoutMilliseconds
    poller = try Poller.forSockets()
    socket = try Socket(connectingTo: server)
    try poller.add(socket, slot: 0, forWriting: true)
    try waitOnce("connecting to \(server.hostField)")
    try socket.checkConnected()
    try poller.modify(socket, slot: 0, forWriting: false)
  }

  deinit { socket.close() }

  /// Sends one request and waits for its answer.
  package func perform(_ request: HTTPRequest) throws(ClientError) -> HTTPAnswer {
    try send(request)
    return try receive()
  }

  /// Sends a request; its answer follows the answers to the earlier requests.
  ///
  /// A caller that pipelines must also receive: a server that cannot send its answers stops reading
  /// requests.
  package func send(_ request: HTTPRequest) throws(ClientError) {
    var bytes: [UInt8] = []
    request.write(to: server, into: &bytes)
    var sent = 0
    while sent < bytes.count {
      switch socket.send(bytes, from: sent) {
      case .bytes(let count): sent += count
      case .wouldBlock:
        try poller.modify(socket, slot: 0, forWriting: true)
        try waitOnce("sending a request")
        try poller.modify(socket, slot: 0, forWriting: false)
        _ = try receiveOnce()
      case .closed: throw .closedByServer
      case .failed(let code): throw .broken(code: code)
      }
    }
  }

  /// Waits for the next answer.
  package func receive() throws(ClientError) -> HTTPAnswer {
    while true {
      if let answer = try reader.next() { return answer }
      if try !receiveOnce() { try waitOnce("waiting for an answer") }
    }
  }

  package func close() { socket.close() }

  /// Receives the bytes that have arrived; false when there are none.
  private func receiveOnce() throws(ClientError) -> Bool {
    switch reader.receive(from: socket, scratch: &scratch) {
    case .bytes: return true
    case .wouldBlock: return false
    case .closed: throw .closedByServer
    case .failed(let code): throw .broken(code: code)
    }
  }

  private func waitOnce(_ what: String) throws(ClientError) {
    guard try poller.wait(milliseconds: timeoutMilliseconds) > 0 else { throw .timedOut(what) }
  }
}
