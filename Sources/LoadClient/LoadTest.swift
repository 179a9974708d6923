// The load test: a fleet of `event` connections, one publisher, and a pace.
//
// Everything runs on the caller's thread, in one reactor: on a machine with few processors, several
// client threads would compete with each other and distort the figures.

internal import Reactor
internal import Wire

/// The rule for the time of the next publish.
package enum LoadPace: Sendable, Equatable, CustomStringConvertible {
  /// Pipelined bursts of this many messages: the next burst follows when every connection has
  /// received all of this one. With 1: the next message when every connection has this one.
  case window(Int)
  /// This many messages a second, independent of their delivery.
  case rate(Double)

  package var description: String {
    switch self {
    case .window(let count): "window \(count)"
    case .rate(let perSecond): "rate \(perSecond)"
    }
  }
}

/// The dialect of a load test's clients.
package enum LoadDialect: Sendable {
  case event, socketIO

  /// The target of the upgrade request, up to the token; the token and more query items follow.
  fileprivate var target: String {
    switch self {
    case .event: "/api/v1/ws/notifications?token="
    case .socketIO: "/socket.io/?EIO=4&transport=websocket&token="
    }
  }

  /// The number of greeting messages; with Socket.IO: session, namespace and unread count.
  var greetingCount: Int { self == .event ? 1 : 3 }

  /// The frames that a client sends first.
  var opening: [UInt8] {
    guard self == .socketIO else { return [] }
    var frames: [UInt8] = []
    WebSocketFrame.append(
      .text, payload: Array("40/notifications,".utf8), maskingKey: 0x1234_5678, into: &frames)
    return frames
  }
}

/// The parameters of a load test.
package struct LoadConfiguration: Sendable {
  package var server: ServerURL
  package var connections = 1_000
  package var pace = LoadPace.window(1)
  package var durationMilliseconds = 10_000
  /// The size of the payload object of each message; at least about 40 bytes.
  package var payloadBytes = 64
  package var dialect = LoadDialect.event
  /// The room of all connections, to which the messages are published.
  ///
  /// Nil: the messages are broadcast to everyone. The name must consist of letters, digits and
  /// `-._~`, because it is part of a query.
  package var room: String?
  /// The fields that authenticate the publisher.
  package var credentials: [HTTPField]
  /// The token of connection 0, 1, 2...
  package var token: @Sendable (Int) -> String
  /// A measurement or an attempt to connect ends after this time without progress.
  package var stallMilliseconds = 10_000

  package init(
    server: ServerURL, credentials: [HTTPField], token: @escaping @Sendable (Int) -> String
  ) {
    self.server = server
    self.credentials = credentials
    self.token = token
  }
}

/// The progress of a load test.
package struct LoadProgress: Sendable {
  package enum Phase: Sendable { case connecting, measuring }
  package var phase: Phase
  /// From 0 to 1.
  package var fraction: Double
  package var live: Int
  package var accepted: Int
  package var delivered: UInt64
  package var latency: LatencyHistogram
}

/// Runs load tests.
package enum LoadTest {
  /// Connects, measures for the configured time, and disconnects.
  ///
  /// `onProgress` and `isInterrupted` are called about ten times a second. The first time that
  /// `isInterrupted` returns true, publishing ends, and the report follows once every message has
  /// arrived; the second time it follows at once.
  package static func run(
    _ configuration: LoadConfiguration, isInterrupted: @escaping () -> Bool = { false },
    onProgress: ((LoadProgress) -> Void)? = nil
  ) throws(ClientError) -> LoadReport {
    let session = try LoadSession(configuration)
    session.onProgress = onProgress
    session.isInterrupted = isInterrupted
    defer { session.close() }
    try session.connect()
    return try session.measure(
      configuration.pace, milliseconds: configuration.durationMilliseconds)
  }
}

/// A connected fleet and its publisher, for any number of measurements.
///
/// Confined to one thread.
package final class LoadSession {
  private static let progressNanoseconds: UInt64 = 100_000_000

  private let configuration: LoadConfiguration
  private let poller: Poller
  private let ledger = MessageLedger()
  private let fleet: Fleet
  private var broadcaster: Broadcaster
  private var connectSeconds = 0.0
  private var nextProgress: UInt64 = 0
  package var onProgress: ((LoadProgress) -> Void)?
  /// Whether the user has asked to end since the last call.
  package var isInterrupted: () -> Bool = { false }
  /// How often `isInterrupted` returned true.
  private var interruptions = 0
  private var nextInterruptionCheck: UInt64 = 0

  package init(_ configuration: LoadConfiguration) throws(ClientError) {
    self.configuration = configuration
    poller = try Poller.forSockets()
    let token = configuration.token
    let room = configuration.room.map { "&rooms=" + $0 } ?? ""
    fleet = Fleet(
      server: configuration.server, count: configuration.connections, poller: poller,
      ledger: ledger, dialect: configuration.dialect,
      target: { configuration.dialect.target + token($0) + room })
    broadcaster = try Broadcaster(
      server: configuration.server, poller: poller, ledger: ledger,
      credentials: configuration.credentials, payloadBytes: configuration.payloadBytes,
      room: configuration.room)
  }

  /// Live connections.
  package var liveCount: Int { fleet.liveCount }
  /// The count of failed or ended connections per reason.
  package var endings: [String: Int] { fleet.endings }

  /// Connects the publisher and the fleet, and waits for every greeting.
  ///
  /// The reports count connections that fail; it is an error when all of them fail.
  package func connect() throws(ClientError) {
    let start = Kernel.real.monotonicNanoseconds
    let isConnected = { self.fleet.isSettled && self.broadcaster.isConnected }
    try pump(
      until: { isConnected() || self.broadcaster.failure != nil }, interruptionsLimit: 1
    ) {
      () throws(ClientError) -> Int in
      try self.fleet.startConnections()
      self.progress(
        .connecting,
        Double(self.fleet.liveCount) / Double(max(1, self.configuration.connections)))
      return self.fleet.startedCount + self.fleet.liveCount
    }
    connectSeconds = seconds(since: start)
    try checkPublisher()
    guard interruptions == 0 || isConnected() else {
      throw .interrupted("connecting, \(fleet.liveCount) of \(fleet.count) were established")
    }
    guard isConnected() else {
      throw .timedOut("connecting, \(fleet.liveCount) of \(fleet.count) are established")
    }
    guard fleet.liveCount > 0 || configuration.connections == 0 else {
      let why = fleet.endings.max { $0.value < $1.value }?.key ?? "unknown"
      throw .timedOut("no connection was established; most frequent reason: \(why)")
    }
  }

  /// Publishes at a pace for a time and waits for the remaining deliveries.
  ///
  /// With a window it publishes at least one burst, even when the time is 0.
  package func measure(
    _ pace: LoadPace, milliseconds: Int
  ) throws(ClientError) -> LoadReport {
    fleet.beginTally()
    var report = LoadReport(pace: pace)
    report.connections = configuration.connections
    report.established = fleet.liveCount
    report.connectSeconds = connectSeconds
    let before = (
      published: broadcaster.published, accepted: broadcaster.accepted,
      refused: broadcaster.refused
    )
    let start = Kernel.real.monotonicNanoseconds
    let deadline = start &+ UInt64(clamping: milliseconds) &* 1_000_000
    let finished: Bool
    switch pace {
    case .window(let count): finished = try publishBursts(of: max(1, count), until: deadline)
    case .rate(let perSecond):
      finished = try publish(perSecond: perSecond, from: start, until: deadline)
    }
    report.seconds = seconds(since: start)
    report.wasInterrupted = interruptions > 0
    report.hasStalled = !finished && !report.wasInterrupted
    report.published = broadcaster.published - before.published
    report.accepted = broadcaster.accepted - before.accepted
    report.refused = broadcaster.refused.reduce(into: [:]) { result, entry in
      let count = entry.value - (before.refused[entry.key] ?? 0)
      if count > 0 { result[entry.key] = count }
    }
    report.tally = fleet.tally
    let owed = UInt64(report.accepted) &* UInt64(fleet.liveCount)
    report.missing = owed > fleet.tally.delivered ? owed - fleet.tally.delivered : 0
    report.endings = fleet.endings
    return report
  }

  package func close() {
    fleet.close()
    broadcaster.close()
  }

  /// Whether every accepted message has reached every live connection.
  private var isDelivered: Bool {
    broadcaster.outstanding == 0
      && fleet.receivedByLive == UInt64(broadcaster.accepted) &* UInt64(fleet.liveCount)
  }

  private var deliveryProgress: Int {
    broadcaster.accepted &+ Int(truncatingIfNeeded: fleet.tally.bytesReceived)
      &+ fleet.tally.disconnected
  }

  private func publishBursts(
    of count: Int, until deadline: UInt64
  ) throws(ClientError) -> Bool {
    let start = Kernel.real.monotonicNanoseconds
    repeat {
      let now = Kernel.real.monotonicNanoseconds
      for _ in 0..<count { broadcaster.enqueue(intendedAt: now) }
      try broadcaster.flush()
      let delivered = try pump(until: { self.isDelivered }) { () throws(ClientError) -> Int in
        try self.checkPublisher()
        self.progress(.measuring, from: start, until: deadline)
        return self.deliveryProgress
      }
      guard delivered else { return false }
    } while Kernel.real.monotonicNanoseconds < deadline && interruptions == 0
    return true
  }

  private func publish(
    perSecond: Double, from start: UInt64, until deadline: UInt64
  ) throws(ClientError) -> Bool {
    let interval = 1e9 / max(perSecond, 0.001)
    var issued = 0
    while true {
      let now = Kernel.real.monotonicNanoseconds
      var due = start &+ UInt64(Double(issued) * interval)
      while due <= now, due < deadline,
        broadcaster.outstanding < Broadcaster.outstandingLimit
      {
        broadcaster.enqueue(intendedAt: due)
        issued += 1
        due = start &+ UInt64(Double(issued) * interval)
      }
      try broadcaster.flush()
      if due >= deadline || interruptions > 0 { break }
      // The kernel's timer has a resolution of 1 ms: the last fraction is spent polling.
      let wait = due > now ? Int((due - now) / 1_000_000) : 1
      try pumpOnce(milliseconds: min(wait, 100))
      try checkPublisher()
      progress(.measuring, from: start, until: deadline)
      if now > deadline &+ UInt64(configuration.stallMilliseconds) &* 1_000_000 { return false }
    }
    return try pump(until: { self.isDelivered }) { () throws(ClientError) -> Int in
      try self.checkPublisher()
      return self.deliveryProgress
    }
  }

  /// Handles events until a condition holds; false after the stall time without progress, or when
  /// the interruptions have reached the limit.
  ///
  /// `turn` runs before each wait and returns a number that changes with any progress.
  @discardableResult
  private func pump(
    until condition: () -> Bool, interruptionsLimit: Int = 2, turn: () throws(ClientError) -> Int
  ) throws(ClientError) -> Bool {
    var lastProgress = try turn()
    var lastMove = Kernel.real.monotonicNanoseconds
    while !condition() {
      try pumpOnce(milliseconds: 100)
      if interruptions >= interruptionsLimit { return false }
      let progress = try turn()
      let now = Kernel.real.monotonicNanoseconds
      if progress != lastProgress {
        lastProgress = progress
        lastMove = now
      } else if now &- lastMove > UInt64(configuration.stallMilliseconds) &* 1_000_000 {
        return false
      }
    }
    return true
  }

  private func pumpOnce(milliseconds: Int) throws(ClientError) {
    let count = try poller.wait(milliseconds: milliseconds)
    let now = Kernel.real.monotonicNanoseconds
    if now >= nextInterruptionCheck {
      nextInterruptionCheck = now &+ Self.progressNanoseconds
      if isInterrupted() { interruptions += 1 }
    }
    for position in 0..<count {
      let event = poller.event(position)
      if event.slot == Broadcaster.index {
        broadcaster.handle(event)
      } else {
        fleet.handle(event)
      }
    }
  }

  private func checkPublisher() throws(ClientError) {
    if let failure = broadcaster.failure { throw failure }
  }

  private func progress(_ phase: LoadProgress.Phase, from start: UInt64, until end: UInt64) {
    let elapsed = Double(Kernel.real.monotonicNanoseconds &- start)
    progress(phase, min(1, elapsed / max(1, Double(end &- start))))
  }

  private func progress(_ phase: LoadProgress.Phase, _ fraction: Double) {
    guard let onProgress else { return }
    let now = Kernel.real.monotonicNanoseconds
    guard now >= nextProgress else { return }
    nextProgress = now &+ Self.progressNanoseconds
    onProgress(
      LoadProgress(
        phase: phase, fraction: fraction, live: fleet.liveCount,
        accepted: broadcaster.accepted, delivered: fleet.tally.delivered,
        latency: fleet.tally.latency))
  }

  private func seconds(since start: UInt64) -> Double {
    Double(Kernel.real.monotonicNanoseconds &- start) / 1e9
  }
}
