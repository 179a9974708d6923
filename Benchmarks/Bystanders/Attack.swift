// The attacks, and the driver's handle of the process that runs one.
//
// An attacker has its own process, so it and the bystanders never share a thread. It writes its
// progress to a file, line by line; the last whole line counts.

internal import BenchmarkSupport
internal import LoadClient

/// An attack on the server; the raw value is its name on the command line and in the report.
enum Attack: String, CaseIterable {
  /// Text frames with a payload of two bytes, 64 KiB of frames per write, at a fixed pace.
  case pacedFlood = "paced-flood"
  /// The same frames as fast as the server accepts them.
  case unpacedFlood = "unpaced-flood"
  /// Pings of 125 bytes as fast as the server accepts them; the pongs are never read.
  case pings
  /// Subscribers of a busy room of their own that never read.
  case zeroWindowReaders = "zero-window"
  /// Subscribers of the bystanders' broadcast that never read.
  case stalledReaders = "stalled-broadcast"
  /// 40 accounts that open as many rooms as they are granted, while an honest user opens some.
  case takenRooms = "taken-rooms"
  /// Pipelined requests of one user, as fast as the server answers them.
  case requestFlood = "request-flood"
  /// 18,000 changes of typing a second, in a room with 20 other members.
  case typingToggles = "typing-toggles"
  /// 1,500 connections of one user, and 380 other users, that ask for large pages and take none.
  case unreadPages = "unread-pages"
  /// One user that reads pages on 50 connections as fast as it is answered.
  case busyReader = "busy-reader"
  /// 20 sockets of one user that fetch 48 pages a second each.
  case fetchFlood = "fetch-flood"
  /// One user that asks for its own connections on 95 connections as fast as it is answered.
  case ownLists = "own-lists"
  /// Clients without a token that post bodies and keep back the last byte of each.
  case heldBodies = "held-bodies"
  /// More idle clients without a token than a server with 1,000 files may have connections.
  case idleStrangers = "idle-strangers"

  /// The files that the server may open; nil for those of the machine.
  var fileLimit: Int? { self == .idleStrangers ? 1_000 : nil }
}

/// The driver's order to an attacker, passed as its arguments.
struct AttackOrder {
  static let word = "attack"

  let attack: Attack
  let port: UInt16
  /// The number of readers that never read, or of clients without a token.
  let clients: Int
  /// Frames a minute, or messages a second.
  let rate: Int
  let payloadBytes: Int
  let milliseconds: Int

  init(_ attack: Attack, _ options: Options, port: UInt16) {
    self.attack = attack
    self.port = port
    clients =
      switch attack {
      case .heldBodies: options.heldBodies
      case .idleStrangers: options.idleStrangers
      default: options.zeroWindowReaders
      }
    rate = attack == .pacedFlood ? options.framesPerMinute : options.channelRate
    payloadBytes = options.channelPayloadBytes
    milliseconds = options.windowMilliseconds
  }

  init?(_ arguments: [String]) {
    let numbers = arguments.dropFirst(2).compactMap { Int($0) }
    guard arguments.count == 7, numbers.count == 5, let attack = Attack(rawValue: arguments[1]),
      let port = UInt16(exactly: numbers[0])
    else { return nil }
    self.attack = attack
    self.port = port
    (clients, rate, payloadBytes, milliseconds) = (
      numbers[1], numbers[2], numbers[3], numbers[4]
    )
  }

  var arguments: [String] {
    [Self.word, attack.rawValue]
      + [Int(port), clients, rate, payloadBytes, milliseconds].map(String.init)
  }
}

/// The progress of an attacker.
struct AttackProgress {
  /// Frames accepted by the kernel; with readers that never read: accepted publishes to them.
  var sent = 0
  /// Opened connections, and those that the server has ended.
  var begun = 0
  var ended = 0
  /// Whether all connections are established.
  var isReady = false

  var line: String { "\(sent) \(begun) \(ended) \(isReady ? 1 : 0)" }

  init() {}

  init?(line: Substring) {
    let numbers = line.split(separator: " ").compactMap { Int($0) }
    guard numbers.count == 4 else { return nil }
    (sent, begun, ended, isReady) = (numbers[0], numbers[1], numbers[2], numbers[3] == 1)
  }
}

/// A running attacker; the process is stopped at the latest when this value goes away.
struct RunningAttack {
  private let output: String
  let process: ChildProcess

  /// Starts the attacker and waits until its connections are established.
  init(_ order: AttackOrder, _ credentials: Credentials) throws {
    output = System.productPath() + "-\(order.attack.rawValue).log"
    process = try ChildProcess(
      [System.productPath()] + order.arguments, environment: credentials.environment,
      processor: nil, output: output)
    let isReady = try System.wait(seconds: 60) {
      guard self.process.isAlive() else {
        throw BenchmarkError("the attacker ended; see \(self.output)")
      }
      return self.progress.isReady
    }
    guard isReady else { throw BenchmarkError("the attacker's connections are not established") }
  }

  var progress: AttackProgress {
    let lines = (System.read(output) ?? "").split(
      separator: "\n", omittingEmptySubsequences: false)
    // The text after the last newline is an incomplete line.
    return lines.dropLast().last.flatMap { AttackProgress(line: $0) } ?? AttackProgress()
  }
}
