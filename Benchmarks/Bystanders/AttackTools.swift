// The tools that all attackers use: connections, requests, and the progress.

internal import BenchmarkSupport
internal import Glibc
internal import LoadClient
internal import Reactor
internal import Wire

/// The order of an attacker, its progress, and its ways to reach the server.
///
/// Confined to the attacker's one thread.
final class AttackTools {
  /// The number of the first user of an attack; bystanders have smaller ones.
  static let userStart = 50_000
  /// The kernel's smallest receive buffer of a socket.
  static let leastReceiveBytes: Int32 = 2_304
  private static let path = "/ws/connect"
  private static let requestsOfWrite = 100
  private static let reportNanoseconds: UInt64 = 50_000_000
  /// The time by which a process may outlive its order.
  private static let lifeSeconds = 90

  let order: AttackOrder
  let server: ServerURL
  var progress = AttackProgress()
  let credentials: Credentials
  private let end: UInt64
  private var nextReport: UInt64 = 0

  init(_ order: AttackOrder, _ credentials: Credentials) {
    self.order = order
    self.credentials = credentials
    server = ServerURL(numericHost: "127.0.0.1", port: order.port)
    // Until the driver stops it.
    end = Kernel.real.monotonicNanoseconds &+ UInt64(order.milliseconds) * 1_000_000 &* 4
    // The alarm ends this process when the driver was killed and cannot stop it.
    _ = alarm(UInt32(order.milliseconds / 1_000 + Self.lifeSeconds))
  }

  /// Whether a signal to stop has arrived, or the time is up.
  var isOver: Bool { Kernel.real.monotonicNanoseconds >= end || isStopped(within: 0) }

  /// Waits so many milliseconds; true when a signal to stop has arrived.
  func isStopped(within milliseconds: Int32) -> Bool {
    Signals.wait(timeoutMilliseconds: milliseconds) != nil
  }

  /// Prints the progress.
  func report() { show(progress.line) }

  /// Prints the progress, if that was not done just now.
  func reportSometimes() {
    let now = Kernel.real.monotonicNanoseconds
    guard now >= nextReport else { return }
    nextReport = now &+ Self.reportNanoseconds
    report()
  }

  // MARK: Connections

  /// The field of a proxy for the client with that number.
  static func forwarding(_ client: Int) -> HTTPField {
    HTTPField("X-Forwarded-For", "10.\(client >> 16 & 255).\(client >> 8 & 255).\(client & 255)")
  }

  func token(of user: Int) -> HTTPField { .bearer(credentials.token(user: user)) }

  /// Opens a session of a user, from another machine if `client` is the number of one.
  func open(user: Int, client: Int?, rooms: String = "") throws -> HostileSocket {
    let socket = try HostileSocket(port: order.port, receiveBytes: nil)
    try socket.upgrade(
      "\(Self.path)?token=\(credentials.token(user: user))\(rooms)", on: server,
      fields: client.map { [Self.forwarding($0)] } ?? [])
    progress.begun += 1
    return socket
  }

  /// A text message of a client.
  static func frame(_ text: String) -> [UInt8] {
    var frame: [UInt8] = []
    WebSocketFrame.append(
      .text, payload: Array(text.utf8), maskingKey: 0x1234_5678, into: &frame)
    return frame
  }

  /// Sends all bytes; false when the server has ended the connection.
  func send(_ bytes: [UInt8], to socket: HostileSocket) -> Bool {
    var rest = bytes[...]
    while !rest.isEmpty {
      guard let count = socket.send(rest) else { return false }
      rest = rest.dropFirst(count)
      if count == 0, isOver { return false }
    }
    return true
  }

  // MARK: Requests

  /// The bytes of a GET.
  func request(_ path: String, _ fields: [HTTPField]) -> [UInt8] {
    var bytes: [UInt8] = []
    HTTPRequest("GET", path, fields: fields).write(to: server, into: &bytes)
    return bytes
  }

  /// Publishes `count` notifications of `byteCount` bytes to users.
  func publish(_ count: Int, of byteCount: Int, to users: Range<Int>) throws {
    let names = users.map { "\"\(Credentials.userID($0))\"" }.joined(separator: ",")
    let text = String(repeating: "x", count: byteCount)
    let body =
      #"{"user_ids":[\#(names)],"type":"info","title":"t","data":{"x":"\#(text)"}}"#
    let fields = credentials.publisher + [HTTPField("Content-Type", "application/json")]
    let connection = try HTTPConnection(to: server)
    for _ in 0..<count {
      let answer = try connection.perform(
        HTTPRequest("POST", "/api/v1/notifications", fields: fields, body: Array(body.utf8)))
      guard answer.isSuccess else { throw BenchmarkError("not published: \(answer.status)") }
    }
  }

  /// Pipelines a request on some connections as fast as the server answers, until the end.
  func pipeline(_ path: String, _ fields: [HTTPField], connections: Int) throws {
    let write = Array(
      repeatElement(request(path, fields), count: Self.requestsOfWrite).joined())
    var sockets: [HostileSocket] = []
    for _ in 0..<connections {
      sockets.append(try HostileSocket(port: order.port, receiveBytes: nil))
    }
    progress.begun = sockets.count
    progress.isReady = true
    // The unsent rest of the bytes for each socket.
    var rests = sockets.map { _ in write[...] }
    while !isOver {
      var hasMoved = false
      for index in sockets.indices {
        guard let received = sockets[index].receive(),
          let count = sockets[index].send(rests[index], waits: false)
        else {
          progress.ended += 1
          sockets[index] = try HostileSocket(port: order.port, receiveBytes: nil)
          rests[index] = write[...]
          continue
        }
        hasMoved = hasMoved || count > 0 || !received.isEmpty
        rests[index] = rests[index].dropFirst(count)
        guard rests[index].isEmpty else { continue }
        rests[index] = write[...]
        progress.sent += Self.requestsOfWrite
      }
      if !hasMoved, isStopped(within: 1) { return }
      reportSometimes()
    }
  }
}
