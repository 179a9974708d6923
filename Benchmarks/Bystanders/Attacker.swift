// The attackers' side of the attacks: what runs in the attacker's process.
//
// One thread, no reactor, and as little work a byte as there can be: the attackers share the
// machine with those whom they attack, and every cycle of theirs is one that the server and the
// innocents do not get.

internal import BenchmarkSupport
internal import Glibc
internal import LoadClient
internal import Reactor
internal import Wire

/// Does what it was ordered to until it is told to stop, or its time is up.
final class Attacker {
  /// The room of the subscribers that sleep.
  private static let room = "asleep"
  private static let path = "/api/v1/ws/notifications"
  private static let progressNanoseconds: UInt64 = 50_000_000
  /// The least that the kernel gives a socket to receive with.
  private static let leastReceiveBytes: Int32 = 2_304
  private static let writeBytes = 64 << 10
  /// Between standing and publishing, in which the driver begins to measure.
  private static let graceMilliseconds: Int32 = 300
  /// By how much a process may outlive its order.
  private static let lifeSeconds = 90

  private let order: AttackOrder
  private let credentials: Credentials
  private let server: ServerURL
  private var progress = AttackProgress()
  private var nextProgress: UInt64 = 0
  /// Whether somebody wants this to end.
  private var isTold = false

  init(_ order: AttackOrder, _ credentials: Credentials) {
    self.order = order
    self.credentials = credentials
    server = ServerURL(numericHost: "127.0.0.1", port: order.port)
  }

  func run() throws {
    // A driver that was killed cannot stop anyone.
    _ = alarm(UInt32(order.milliseconds / 1_000 + Self.lifeSeconds))
    switch order.attack {
    case .pacedFlood: try flood(with: Self.frames(.text, "{}"), perMinute: order.rate)
    case .unpacedFlood: try flood(with: Self.frames(.text, "{}"), perMinute: nil)
    case .pings:
      try flood(
        with: Self.frames(.ping, String(repeating: "p", count: 125)), perMinute: nil,
        receiveBytes: Self.leastReceiveBytes)
    case .zeroWindowReaders: try sleep(in: Self.room)
    case .stalledReaders: try sleep(in: nil)
    }
  }

  /// A write's worth of one frame, again and again.
  private static func frames(
    _ opcode: WebSocketOpcode, _ payload: String
  ) -> (bytes: [UInt8], count: Int) {
    var frame: [UInt8] = []
    WebSocketFrame.append(
      opcode, payload: Array(payload.utf8), maskingKey: 0x1234_5678, into: &frame)
    let count = writeBytes / frame.count
    return (Array(repeatElement(frame, count: count).joined()), count)
  }

  /// Sends on one connection, and on a new one whenever the server has ended it; never reads.
  private func flood(
    with frames: (bytes: [UInt8], count: Int), perMinute: Int?, receiveBytes: Int32? = nil
  ) throws {
    let start = Kernel.real.monotonicNanoseconds
    let interval = perMinute.map { 60e9 * Double(frames.count) / Double($0) } ?? 0
    var writes = 0
    while !isTold {
      let socket = try open(user: 90_000, in: nil, receiveBytes: receiveBytes)
      progress.isReady = true
      var rest = frames.bytes[...]
      while !isTold {
        guard let count = socket.send(rest) else { break }
        // The kernel had no room for a while: as good a time as any.
        if count == 0 { look(milliseconds: 0) }
        rest = rest.dropFirst(count)
        if rest.isEmpty {
          rest = frames.bytes[...]
          progress.sent += frames.count
          writes += 1
          let due = start &+ UInt64(Double(writes) * interval)
          let now = Kernel.real.monotonicNanoseconds
          look(milliseconds: due > now ? Int32(clamping: (due - now) / 1_000_000) : 0)
        }
        tell()
      }
      progress.ended += 1
    }
  }

  /// Subscribes many who never read, and publishes to them.
  private func sleep(in room: String?) throws {
    // Held to the end: they are asleep, not gone.
    let zeroWindow = try (0..<order.zeroWindowReaders).map { number in
      try open(user: 10_000 + number, in: room, receiveBytes: Self.leastReceiveBytes)
    }
    var configuration = LoadConfiguration(
      server: server, credentials: credentials.publisher, token: { _ in "" })
    configuration.connections = 0
    configuration.payloadBytes = order.payloadBytes
    configuration.room = room
    let publisher = try LoadSession(configuration)
    defer { publisher.close() }
    try publisher.connect()
    progress.isReady = true
    tell(atOnce: true)
    look(milliseconds: Self.graceMilliseconds)
    publisher.onProgress = { now in
      self.progress.sent = now.accepted
      self.tell()
      self.look(milliseconds: 0)
      if self.isTold { exit(0) }
    }
    let report = try publisher.measure(
      .rate(Double(order.rate)),
      milliseconds: max(1, order.milliseconds - 2 * Int(Self.graceMilliseconds)))
    progress.sent = report.accepted
    tell(atOnce: true)
    // Awake or not, they stay until the driver has seen enough.
    while !isTold { look(milliseconds: 1_000) }
    withExtendedLifetime(zeroWindow) {}
  }

  private func open(user: Int, in room: String?, receiveBytes: Int32?) throws -> HostileSocket {
    let socket = try HostileSocket(port: order.port, receiveBytes: receiveBytes)
    let rooms = room.map { "&rooms=" + $0 } ?? ""
    try socket.upgrade(
      "\(Self.path)?token=\(credentials.token(user: user))\(rooms)", on: server)
    progress.begun += 1
    tell()
    return socket
  }

  /// Waits so long for somebody to want this to end.
  private func look(milliseconds: Int32) {
    if Signals.wait(timeoutMilliseconds: milliseconds) != nil { isTold = true }
  }

  /// Writes down how far this has come, now and then.
  private func tell(atOnce: Bool = false) {
    let now = Kernel.real.monotonicNanoseconds
    guard atOnce || now >= nextProgress else { return }
    nextProgress = now &+ Self.progressNanoseconds
    show(progress.line)
  }
}
