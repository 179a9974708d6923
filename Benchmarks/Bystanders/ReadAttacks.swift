// Attacks of users that read as much as they can: pages that they don't take, one after the other
// on many connections, and lists of their own connections.
//
// Those of one user over HTTP are local, so that no rate of requests slows them down.

internal import BenchmarkSupport
internal import LoadClient
internal import Reactor

/// The code of the attacker's process for these attacks.
final class ReadAttacker {
  private static let inbox = "/api/v1/notifications?limit=200"
  private static let ownConnections = "/api/v1/websocket/connections/user"
  private static let user = AttackTools.userStart
  private static let largeBytes = 8_000
  private static let smallBytes = 100
  private static let pageCount = 200
  /// Connections of the user that takes no pages, other such users, and the notifications of each.
  private static let greedyConnections = 1_500
  private static let otherUsers = 380
  private static let otherCount = 33
  /// Connections of an address: fewer than the server admits.
  private static let connectionsPerAddress = 90
  private static let readerConnections = 50
  private static let listConnections = 95
  private static let fetchSockets = 20
  /// Below the rate of messages of a connection.
  private static let fetchesPerSecond = 48

  private let tools: AttackTools

  init(_ tools: AttackTools) { self.tools = tools }

  /// Runs the attack, which is one of these.
  func run() throws {
    switch tools.order.attack {
    case .unreadPages: try leavePagesUnread()
    case .busyReader:
      try tools.publish(Self.pageCount, of: Self.smallBytes, to: Self.user..<Self.user + 1)
      try tools.pipeline(
        Self.inbox, [tools.token(of: Self.user)], connections: Self.readerConnections)
    case .fetchFlood: try fetch()
    case .ownLists:
      try tools.pipeline(
        Self.ownConnections, [tools.token(of: Self.user)], connections: Self.listConnections)
    default: throw BenchmarkError("\(tools.order.attack.rawValue) has another attacker")
    }
  }

  /// Asks for large pages on many connections, and takes none of them.
  private func leavePagesUnread() throws {
    let others = Self.user + 1..<Self.user + 1 + Self.otherUsers
    try tools.publish(Self.pageCount, of: Self.largeBytes, to: Self.user..<Self.user + 1)
    try tools.publish(Self.otherCount, of: Self.largeBytes, to: others)
    let users = [Int](repeating: Self.user, count: Self.greedyConnections) + others
    var sockets: [HostileSocket] = []
    for user in users {
      sockets.append(
        try HostileSocket(port: tools.order.port, receiveBytes: AttackTools.leastReceiveBytes))
      tools.progress.begun += 1
      ask(user, on: sockets[sockets.count - 1], number: sockets.count)
    }
    tools.progress.isReady = true
    while !tools.isOver {
      tools.report()
      if tools.isStopped(within: 1_000) { return }
      // Those that were refused ask again.
      for (index, user) in users.enumerated() { ask(user, on: sockets[index], number: index) }
    }
  }

  private func ask(_ user: Int, on socket: HostileSocket, number: Int) {
    let client = AttackTools.forwarding(number / Self.connectionsPerAddress)
    let bytes = tools.request(Self.inbox, [tools.token(of: user), client])
    if let count = socket.send(bytes[...], waits: false), count > 0 { tools.progress.sent += 1 }
  }

  /// Asks for pages over WebSockets, below their rate, and reads them.
  private func fetch() throws {
    try tools.publish(Self.pageCount, of: Self.smallBytes, to: Self.user..<Self.user + 1)
    let sockets = try (0..<Self.fetchSockets).map { _ in try tools.open(user: Self.user, client: 9)
    }
    let message = AttackTools.frame(
      #"{"type":"fetch_notifications","data":{"limit":\#(Self.pageCount)}}"#)
    tools.progress.isReady = true
    let start = Kernel.real.monotonicNanoseconds
    var rounds = 0
    while !tools.isOver {
      let elapsed = Double(Kernel.real.monotonicNanoseconds &- start) / 1e9
      if Int(elapsed * Double(Self.fetchesPerSecond)) > rounds {
        rounds += 1
        for socket in sockets where tools.send(message, to: socket) { tools.progress.sent += 1 }
      }
      for socket in sockets where socket.receive() == nil {
        throw BenchmarkError("a session of the user is cut")
      }
      tools.reportSometimes()
      if tools.isStopped(within: 1) { return }
    }
  }
}
