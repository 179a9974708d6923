// The attacks, and the process that each runs in as its driver sees it.
//
// An attacker has a process of its own, so that it and the innocents never wait for each other in
// one thread. What it has done it writes to a file, a line at a time; the last whole line counts.

internal import BenchmarkSupport
internal import LoadClient

/// What is done to the server.
enum Attack: String, CaseIterable {
  /// Text frames of two bytes, 64 KiB of them a write, at a pace.
  case pacedFlood
  /// The same as fast as the server takes them.
  case unpacedFlood
  /// Pings of 125 bytes as fast as the server takes them; the pongs are never read.
  case pings
  /// Subscribers of a busy room that never read.
  case zeroWindowReaders
  /// Subscribers that never read what everybody is sent, the innocents included.
  case stalledReaders
}

/// What the driver tells an attacker, as its arguments.
struct AttackOrder {
  static let word = "attack"

  let attack: Attack
  let port: UInt16
  /// How many sleep.
  let zeroWindowReaders: Int
  /// Frames a minute, or messages a second.
  let rate: Int
  let payloadBytes: Int
  let milliseconds: Int

  init(_ attack: Attack, _ options: Options, port: UInt16) {
    self.attack = attack
    self.port = port
    zeroWindowReaders = options.zeroWindowReaders
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
    (zeroWindowReaders, rate, payloadBytes, milliseconds) = (
      numbers[1], numbers[2], numbers[3], numbers[4]
    )
  }

  var arguments: [String] {
    [Self.word, attack.rawValue]
      + [Int(port), zeroWindowReaders, rate, payloadBytes, milliseconds].map(String.init)
  }
}

/// How far an attacker has come.
struct AttackProgress {
  /// Frames handed to the kernel; of those who sleep, messages that were accepted for them.
  var sent = 0
  /// Connections begun, and those that the server has ended.
  var begun = 0
  var ended = 0
  /// Whether all connections stand.
  var isReady = false

  var line: String { "\(sent) \(begun) \(ended) \(isReady ? 1 : 0)" }

  init() {}

  init?(line: Substring) {
    let numbers = line.split(separator: " ").compactMap { Int($0) }
    guard numbers.count == 4 else { return nil }
    (sent, begun, ended, isReady) = (numbers[0], numbers[1], numbers[2], numbers[3] == 1)
  }
}

/// An attacker at work, stopped at the latest when this goes away.
struct RunningAttack {
  private let output: String
  let process: ChildProcess

  /// Starts it and waits until its connections stand.
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
    guard isReady else { throw BenchmarkError("the attacker's connections do not stand") }
  }

  var progress: AttackProgress {
    let lines = (System.read(output) ?? "").split(
      separator: "\n", omittingEmptySubsequences: false)
    // What follows the last line break is not whole yet.
    return lines.dropLast().last.flatMap { AttackProgress(line: $0) } ?? AttackProgress()
  }
}
