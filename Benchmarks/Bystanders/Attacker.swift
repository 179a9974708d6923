// The code of the attacker's process.
//
// One thread, no reactor, and as little work per byte as possible: the attackers share the machine
// with their targets, and every cycle that they use is lost to the server and the bystanders.

internal import BenchmarkSupport
internal import Glibc
internal import LoadClient
internal import Reactor
internal import Wire

/// Executes its order until a signal stops it or its time is up.
final class Attacker {
  /// The room of the readers that never read.
  private static let room = "zero-window"
  private static let path = "/api/v1/ws/notifications"
  private static let writeBytes = 64 << 10
  /// The delay between connecting and publishing, in which the driver begins to measure.
  private static let graceMilliseconds: Int32 = 300

  private let tools: AttackTools
  /// Whether a signal to stop has arrived.
  private var isStopping = false
  /// Bytes of the bodies that clients without a token post.
  private var bodyBytes = Stranger.largestBodyBytes

  init(_ tools: AttackTools) { self.tools = tools }

  private var order: AttackOrder { tools.order }

  /// Runs the attack, which is none of the other attackers'.
  func run() throws {
    switch order.attack {
    case .pacedFlood: try flood(with: Self.frames(.text, "{}"), perMinute: order.rate)
    case .unpacedFlood: try flood(with: Self.frames(.text, "{}"), perMinute: nil)
    case .pings:
      try flood(
        with: Self.frames(.ping, String(repeating: "p", count: 125)), perMinute: nil,
        receiveBytes: AttackTools.leastReceiveBytes)
    case .zeroWindowReaders: try publishToReaders(in: Self.room)
    case .stalledReaders: try publishToReaders(in: nil)
    case .heldBodies: try keepUp { try Stranger(holdingBodyOn: order.port, $0, &bodyBytes) }
    case .idleStrangers: try keepUp { try Stranger(idlingOn: order.port, $0) }
    case .takenRooms, .requestFlood, .typingToggles, .unreadPages, .busyReader, .fetchFlood,
      .ownLists:
      throw BenchmarkError("\(order.attack.rawValue) has another attacker")
    }
  }

  /// One frame, repeated to the size of a write.
  private static func frames(
    _ opcode: WebSocketOpcode, _ payload: String
  ) -> (bytes: [UInt8], count: Int) {
    var frame: [UInt8] = []
    WebSocketFrame.append(
      opcode, payload: Array(payload.utf8), maskingKey: 0x1234_5678, into: &frame)
    let count = writeBytes / frame.count
    return (Array(repeatElement(frame, count: count).joined()), count)
  }

  /// Sends on one connection, and on a new one each time the server ends it; never reads.
  private func flood(
    with frames: (bytes: [UInt8], count: Int), perMinute: Int?, receiveBytes: Int32? = nil
  ) throws {
    let start = Kernel.real.monotonicNanoseconds
    let interval = perMinute.map { 60e9 * Double(frames.count) / Double($0) } ?? 0
    var writes = 0
    while !isStopping {
      let socket = try open(user: 90_000, in: nil, receiveBytes: receiveBytes)
      tools.progress.isReady = true
      var rest = frames.bytes[...]
      while !isStopping {
        guard let count = socket.send(rest) else { break }
        // The send buffer was full for a while: check for a signal.
        if count == 0 { checkSignals(milliseconds: 0) }
        rest = rest.dropFirst(count)
        if rest.isEmpty {
          rest = frames.bytes[...]
          tools.progress.sent += frames.count
          writes += 1
          let due = start &+ UInt64(Double(writes) * interval)
          let now = Kernel.real.monotonicNanoseconds
          checkSignals(milliseconds: due > now ? Int32(clamping: (due - now) / 1_000_000) : 0)
        }
        tools.reportSometimes()
      }
      tools.progress.ended += 1
    }
  }

  /// Keeps up a crowd without tokens: opens another one for each that the server has ended.
  private func keepUp(_ open: (Int) throws -> Stranger) throws {
    var crowd: [Stranger] = []
    for number in 0..<order.clients {
      crowd.append(try open(number))
      tools.progress.begun += 1
      tools.progress.sent += 1
      tools.reportSometimes()
    }
    tools.progress.isReady = true
    tools.report()
    while !isStopping {
      for number in crowd.indices where !isStopping {
        // Ten clients are looked at each 10 ms, so that this process takes little time.
        if number.isMultiple(of: 10) { checkSignals(milliseconds: 10) }
        guard crowd[number].hasEnded else { continue }
        tools.progress.ended += 1
        crowd[number] = try open(number)
        tools.progress.begun += 1
        tools.progress.sent += 1
        tools.reportSometimes()
      }
    }
  }

  /// Subscribes many readers that never read, and publishes to them.
  private func publishToReaders(in room: String?) throws {
    // Held to the end: the readers stay connected.
    let zeroWindow = try (0..<order.clients).map { number in
      try open(user: 10_000 + number, in: room, receiveBytes: AttackTools.leastReceiveBytes)
    }
    var configuration = LoadConfiguration(
      server: tools.server, credentials: tools.credentials.publisher, token: { _ in "" })
    configuration.connections = 0
    configuration.payloadBytes = order.payloadBytes
    configuration.room = room
    let publisher = try LoadSession(configuration)
    defer { publisher.close() }
    try publisher.connect()
    tools.progress.isReady = true
    tools.report()
    checkSignals(milliseconds: Self.graceMilliseconds)
    publisher.onProgress = { now in
      self.tools.progress.sent = now.accepted
      self.tools.reportSometimes()
      self.checkSignals(milliseconds: 0)
      if self.isStopping { exit(0) }
    }
    let result = try publisher.measure(
      .rate(Double(order.rate)),
      milliseconds: max(1, order.milliseconds - 2 * Int(Self.graceMilliseconds)))
    tools.progress.sent = result.accepted
    tools.report()
    // The readers stay connected until the driver ends the attack.
    while !isStopping { checkSignals(milliseconds: 1_000) }
    withExtendedLifetime(zeroWindow) {}
  }

  private func open(user: Int, in room: String?, receiveBytes: Int32?) throws -> HostileSocket {
    let socket = try HostileSocket(port: order.port, receiveBytes: receiveBytes)
    let rooms = room.map { "&rooms=" + $0 } ?? ""
    try socket.upgrade(
      "\(Self.path)?token=\(tools.credentials.token(user: user))\(rooms)", on: tools.server)
    tools.progress.begun += 1
    tools.reportSometimes()
    return socket
  }

  /// Waits up to this time for a signal to stop.
  private func checkSignals(milliseconds: Int32) {
    if Signals.wait(timeoutMilliseconds: milliseconds) != nil { isStopping = true }
  }
}
