// One shard that a test turns by hand: real sockets, a clock that stands still until the test moves
// it, and a store that answers when the test answers for it.
//
// Everything runs on the test's thread, so a test writes down the order of events and never waits.

import Broadcast
import CReactor
import Glibc
import Notifications
import TestSupport
import Testing
import Tokens
import Wire

@testable import Reactor
@testable import Server

/// The calls of the shard's kernel that differ from the real one.
final class KernelScript {
  /// Milliseconds since the test began.
  var elapsed: UInt64 = 0
  /// Milliseconds by which the wall clock has been set.
  var wallShift: Int64 = 0
  /// How many of 1,000 receives, sends and waits a signal interrupts before they begin.
  var interruptedPermille = 0
  /// How many of 1,000 receives and sends move only one byte.
  var shortPermille = 0
  /// Decides which calls are interrupted or short.
  var generator = SeededGenerator(seed: 1)
  /// Sockets that the real kernel does not know.
  let crowd = Crowd()
  /// Results of the next sends to a descriptor, in place of sending: a negated errno, or the most
  /// bytes that the send takes.
  var sends: [Int32: [Int]] = [:]
  /// Bytes that each descriptor takes in all; a send past them is refused.
  var room: [Int32: Int] = [:]
  /// The files that the process may have open.
  var fileLimit = Int(Int32.max)
  /// Accepts that fail with EMFILE before they take a connection.
  var failingAccepts = 0
  /// The descriptor that is kept when it is closed, for the next connection that is accepted.
  ///
  /// The kernel gives the lowest free number, but other tests of the process open files meanwhile.
  var keptDescriptor: Int32?
  /// Bytes that went to each descriptor since it was accepted.
  fileprivate var sent: [Int32: Int] = [:]

  static func of(_ context: UnsafeMutableRawPointer?) -> KernelScript {
    Unmanaged<KernelScript>.fromOpaque(context!).takeUnretainedValue()
  }

  fileprivate func note(_ count: Int, to descriptor: Int32) -> Int {
    guard count >= 0 else { return Int(-errno) }
    sent[descriptor, default: 0] += count
    return count
  }

  private func strikes(_ permille: Int) -> Bool {
    permille > 0 && Int.random(in: 0..<1_000, using: &generator) < permille
  }

  /// The most of `count` bytes that the call moves, or -EINTR.
  fileprivate func cut(_ count: Int) -> Int {
    if strikes(interruptedPermille) { return Int(-EINTR) }
    return strikes(shortPermille) ? min(1, count) : count
  }

  /// The number of `count` bytes that the descriptor takes now, or a negated errno.
  fileprivate func take(_ descriptor: Int32, _ count: Int) -> Int {
    if var script = sends[descriptor], !script.isEmpty {
      let next = script.removeFirst()
      sends[descriptor] = script
      return min(next, count)
    }
    guard let left = room[descriptor] else { return cut(count) }
    if left == 0 { return Int(-EAGAIN) }
    let taken = min(left, count)
    room[descriptor] = left - taken
    return taken
  }
}

/// A store that keeps each query and command until the test answers it.
final class ScriptedStore: Store, @unchecked Sendable {
  // Unchecked: a fixture's shard runs on the test's thread, and so does everything here.
  /// Set by the fixture.
  var history = StoreHistory(epoch: "test")
  var horizon: UInt64 = 0
  /// Set by the fixture.
  var apiKeys: [APIKey] = []
  var nextExpiry: Int64?
  var status = StoreStatus.ready
  /// What each check finds at once; nil keeps the checks for the test.
  var checkResult: StoreStatus? = .ready
  var checks: [@Sendable (StoreStatus) -> Void] = []
  var metrics = StoreMetrics()
  var lastOffset: UInt64 { metrics.lastOffset }
  var isFull = false
  var reads: [(query: StoreQuery, reply: @Sendable (StoreAnswer) -> Void)] = []
  /// The times of uses of API keys, which are stored at once.
  var keyUses: [[APIKeyID: Int64]] = []
  var commands: [(command: StoreCommand, reply: @Sendable (StoreOutcome) -> Void)] = []

  func check(reply: @escaping @Sendable (StoreStatus) -> Void) {
    if let checkResult { return reply(checkResult) }
    checks.append(reply)
  }

  func submit(_ command: StoreCommand, reply: @escaping @Sendable (StoreOutcome) -> Void) -> Bool {
    if isFull { return false }
    if case .apiKeys(.noteUses(let uses)) = command {
      keyUses.append(uses)
      reply(.apiKeys(.noted))
      return true
    }
    commands.append((command, reply))
    return true
  }

  func read(_ query: StoreQuery, reply: @escaping @Sendable (StoreAnswer) -> Void) -> Bool {
    if isFull { return false }
    reads.append((query, reply))
    return true
  }

  func observeOutbox(_ observer: @escaping @Sendable (OutboxNews) -> Void) {}

  func close() {}

  /// Answers the oldest query.
  func answer(_ answer: StoreAnswer) throws {
    try #require(!reads.isEmpty, "no query was asked")
    reads.removeFirst().reply(answer)
  }

  /// Answers the oldest command.
  func answer(_ outcome: StoreOutcome) throws {
    try #require(!commands.isEmpty, "no command was submitted")
    commands.removeFirst().reply(outcome)
  }
}

/// One shard with its core and its store, or several shards that share a ring.
///
/// Each listens on its own port, so a test chooses the shard of a connection.
final class ShardFixture {
  static let secret = Array("a secret of thirty-two bytes, ok?".utf8)
  static let startWall: Int64 = 1_700_000_000_000

  let script = KernelScript()
  let store = ScriptedStore()
  let core: ServerCore
  /// The shard, or the first of several.
  var shard: ShardView { shards[0] }
  let shards: [ShardView]
  let ports: [UInt16]
  /// The indices of the shards that do not turn: the machine runs other threads instead.
  var stalled: Set<Int> = []
  private let table: UnsafeMutablePointer<cl_kernel>

  init(
    shardCount: Int = 1, log: Log = Log(level: .error), files: ClientFiles = .embedded,
    history: StoreHistory = StoreHistory(epoch: "test"), fileLimit: Int = Int(Int32.max),
    timeZones: TimeZoneTable = .empty,
    apiKeys: [APIKey] = [],
    _ change: (inout Configuration) -> Void = { _ in }
  ) throws {
    var configuration = Configuration(tokenPolicy: TokenPolicy(keys: [.hmac(secret: Self.secret)]))
    change(&configuration)
    script.fileLimit = fileLimit
    table = .allocate(capacity: 1)
    table.initialize(to: cl_kernel_real().pointee)
    table.pointee.context = Unmanaged.passUnretained(script).toOpaque()
    Self.script(table)
    let kernel = Kernel(table: UnsafePointer(table))
    let listeners = try (0..<shardCount).map { _ in
      try Listener(kernel: kernel, host: "127.0.0.1", port: 0)
    }
    ports = listeners.map(\.port)
    store.history = history
    store.apiKeys = apiKeys
    let limits = configuration.limits
    let sockets = try listeners.map { listener in
      try ShardSockets([listener], kernel: kernel, limits: limits)
    }
    let parkers = sockets.map { sockets in
      let waker = sockets.poller.waker
      return Parker(wake: { waker.wake() })
    }
    let ring = BroadcastRing<Event>(
      capacity: configuration.limits.ringCapacity, parkers: parkers)
    let core = ServerCore(
      configuration: configuration, kernel: kernel, ring: ring, parkers: parkers,
      mailboxes: parkers.map { Mailbox(capacity: .max, parker: $0) }, store: store,
      log: log, files: files, timeZones: timeZones)
    self.core = core
    shards = sockets.indices.map { index in
      ShardView(index: index, core: core, sockets: sockets[index])
    }
  }

  /// Overrides calls of the real kernel with the script's.
  private static func script(_ table: UnsafeMutablePointer<cl_kernel>) {
    table.pointee.clock_gettime = { context, clock, time in
      let script = KernelScript.of(context)
      let start =
        clock == CLOCK_REALTIME ? ShardFixture.startWall + script.wallShift : 1_000_000
      let now = Int(start) + Int(script.elapsed)
      time.pointee = timespec(tv_sec: now / 1_000, tv_nsec: now % 1_000 * 1_000_000)
      return 0
    }
    // A turn never sleeps long: the test turns again until something comes.
    table.pointee.epoll_wait = { context, epoll, events, capacity, timeout in
      let script = KernelScript.of(context)
      if script.cut(1) < 0 { return -EINTR }
      let timeout = script.crowd.isReady ? 0 : min(timeout, 1)
      let count = cl_kernel_real().pointee.epoll_wait(context, epoll, events, capacity, timeout)
      return count < 0 ? count : script.crowd.fill(events, from: count, to: capacity)
    }
    table.pointee.recv = { context, descriptor, bytes, count, flags in
      let script = KernelScript.of(context)
      let moved = script.cut(count)
      guard moved >= 0 else { return moved }
      if let socket = script.crowd[descriptor] { return socket.receive(into: bytes, moved) }
      let received = Glibc.recv(descriptor, bytes, moved, flags)
      return received < 0 ? Int(-errno) : received
    }
    Crowd.install(in: table)
    scriptSending(table)
    scriptFiles(table)
  }

  private static func scriptFiles(_ table: UnsafeMutablePointer<cl_kernel>) {
    // Other tests of the process open files, too, so the process's own limit says nothing here.
    table.pointee.getrlimit = { context, _, limit in
      limit.pointee = UInt64(KernelScript.of(context).fileLimit)
      return 0
    }
  }

  private static func scriptSending(_ table: UnsafeMutablePointer<cl_kernel>) {
    table.pointee.send = { context, descriptor, bytes, count, flags in
      if let socket = KernelScript.of(context).crowd[descriptor] {
        return socket.take(UnsafeRawBufferPointer(start: bytes, count: count))
      }
      let taken = KernelScript.of(context).take(descriptor, count)
      guard taken > 0 else { return taken }
      let sent = Glibc.send(descriptor, bytes, taken, flags)
      return KernelScript.of(context).note(sent, to: descriptor)
    }
    table.pointee.sendmsg = { context, descriptor, message, flags in
      var copy = message.pointee
      if let socket = KernelScript.of(context).crowd[descriptor] {
        return socket.take(copy)
      }
      let count = (0..<copy.msg_iovlen).reduce(0) { $0 + copy.msg_iov[Int($1)].iov_len }
      let taken = KernelScript.of(context).take(descriptor, count)
      guard taken > 0 else { return taken }
      if taken < count {
        // As much of the first piece as there is room for.
        let first = copy.msg_iov[0]
        let sent = Glibc.send(descriptor, first.iov_base, min(taken, first.iov_len), flags)
        return KernelScript.of(context).note(sent, to: descriptor)
      }
      let sent = Glibc.sendmsg(descriptor, &copy, flags)
      return KernelScript.of(context).note(sent, to: descriptor)
    }
  }

  deinit {
    for shard in shards { shard.tearDown() }
    // The real kernel closes the rest with the poller; the script may be gone by then.
    table.update(from: cl_kernel_real(), count: 1)
  }

  func turn(_ count: Int = 1) throws {
    for _ in 0..<count {
      for (index, shard) in shards.enumerated() where !stalled.contains(index) {
        try shard.turn()
      }
    }
  }

  /// Turns until `condition` holds, and fails after 20 seconds.
  func turn(
    until condition: () -> Bool, _ location: SourceLocation = #_sourceLocation
  ) throws {
    // Limited by the clock, not by turns: a turn that finds a socket writable does not wait, and
    // the kernel may take its time to bring a peer's bytes.
    let start = ContinuousClock.now
    while start.duration(to: .now) < .seconds(20) {
      if condition() { return }
      try turn()
    }
    try #require(condition(), "the condition did not come to hold", sourceLocation: location)
  }

  /// Moves the clock, with a turn a second as in a running shard, and then two more.
  ///
  /// The last one delivers the events that the shard itself has offered in the turn before.
  func pass(milliseconds: UInt64) throws {
    var left = milliseconds
    while left > 0 {
      let step = min(left, 1_000)
      script.elapsed += step
      left -= step
      try turn()
    }
    try turn(2)
  }

  func publish(_ event: Event) throws { try #require(core.ring.offer(event)) }

  static func token(_ user: String, scopes: [String] = [], seconds: Int64 = 86_400) -> String {
    let now = startWall / 1_000
    return TokenSigner.sign(
      userID: user, scopes: scopes, issuedAtSeconds: now, expiresAtSeconds: now + seconds,
      secret: secret)
  }

  /// A connection that the shard of that index has accepted.
  func connect(to index: Int = 0) throws -> TestPeer {
    // By the count of arrivals and not of connections: another one may end meanwhile.
    let metrics = core.metrics[index]
    let arrivals = { metrics.value(.accepted) + metrics.value(.refusedConnections) }
    let before = arrivals()
    let peer = try TestPeer(port: ports[index])
    try turn(until: { arrivals() == before + 1 })
    peer.connection = try #require(shards[index].newestConnection)
    peer.serverDescriptor = peer.connection.descriptor
    // Left from an earlier connection with that descriptor.
    script.sent[peer.serverDescriptor] = nil
    script.sends[peer.serverDescriptor] = nil
    script.room[peer.serverDescriptor] = nil
    return peer
  }

  /// Sends a message, and turns until it was read and handled.
  func say(_ text: String, _ peer: TestPeer) throws {
    let before = core.metrics[0].value(.framesReceived)
    peer.say(text)
    try turn(until: { core.metrics[0].value(.framesReceived) > before })
    // To the owner shard's mailbox, back, into the ring, and out of it a turn later.
    try turn(4)
  }

  /// The frames that the shard has sent so far and that were not taken yet.
  ///
  /// The kernel may be slow to bring them.
  func frames(of peer: TestPeer) throws -> [String] {
    try receiveAll(peer)
    return try peer.frames()
  }

  /// Receives the bytes that the shard has sent so far.
  func receiveAll(_ peer: TestPeer) throws {
    while peer.receivedCount < script.sent[peer.serverDescriptor, default: 0], !peer.isEnded {
      var watched = pollfd(fd: peer.descriptor, events: Int16(POLLIN), revents: 0)
      try #require(poll(&watched, 1, 10_000) == 1, "sent bytes do not arrive")
      peer.receive()
    }
  }

  /// The request that opens a session of `user`, or of a client that has shown no token.
  static func upgrade(
    to target: String = "/api/v1/ws/notifications", of user: String?, seconds: Int64 = 86_400,
    fields: String = ""
  ) -> String {
    let credentials =
      user.map { "Authorization: Bearer \(token($0, seconds: seconds))\r\n" } ?? ""
    return "GET \(target) HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
      + "\(credentials)\(fields)\r\n"
  }

  /// An open session of `user`, or of a client that has shown no token.
  func session(
    _ user: String?, path: String = "/api/v1/ws/notifications", since: String? = nil,
    seconds: Int64 = 86_400, fields: String = "", on index: Int = 0
  ) throws -> TestPeer {
    let peer = try connect(to: index)
    let query = since.map { "?since=" + $0 } ?? ""
    peer.send(Self.upgrade(to: path + query, of: user, seconds: seconds, fields: fields))
    try turn(until: { peer.receive().headEnd != nil })
    peer.received.removeFirst(try #require(peer.received.headEnd))
    return peer
  }
}

/// A client's end of a connection.
final class TestPeer {
  let descriptor: Int32
  /// The server's end.
  var connection = ConnectionView()
  var serverDescriptor: Int32 = -1
  /// Bytes that came and were not taken yet.
  var received: [UInt8] = []
  /// Whether the server has ended its side, or reset the connection.
  private(set) var isEnded = false
  /// Bytes that came in all.
  private(set) var receivedCount = 0

  init(port: UInt16) throws {
    descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    let result = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
      }
    }
    try #require(result == 0)
    _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
  }

  deinit { _ = Glibc.close(descriptor) }

  func send(_ text: String) { send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) {
    let sent = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    #expect(sent == bytes.count)
  }

  /// Sends bytes that a closed connection may refuse.
  func sendIfOpen(_ text: String) {
    _ = Glibc.send(descriptor, text, text.utf8.count, Int32(MSG_NOSIGNAL))
  }

  /// Sends a masked text message.
  func say(_ text: String) {
    var frame: [UInt8] = []
    WebSocketFrame.append(.text, payload: Array(text.utf8), maskingKey: 0x1234_5678, into: &frame)
    send(frame)
  }

  /// Ends the peer's side and goes on receiving.
  func endSending() { shutdown(descriptor, Int32(SHUT_WR)) }

  /// Receives the bytes that have come and returns all that were not taken yet.
  @discardableResult
  func receive() -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 1 << 16)
    while true {
      let count = recv(descriptor, &buffer, buffer.count, 0)
      if count > 0 {
        received += buffer[..<count]
        receivedCount += count
      } else {
        if count == 0 || errno != EAGAIN { isEnded = true }
        return received
      }
    }
  }

  /// Takes the whole frames that have come: their texts, and a close frame as its code.
  func frames() throws -> [String] {
    receive()
    return try received.takeFrames()
  }
}

extension [UInt8] {
  /// Takes the whole frames at the beginning: their texts, and a close frame as its code.
  mutating func takeFrames() throws -> [String] {
    var texts: [String] = []
    var taken = 0
    while true {
      let bytes = self[taken...]
      let parsed = try FrameHeader.parse(bytes.span, from: .server)
      guard let header = parsed, bytes.count >= header.byteCount + header.payloadLength else {
        break
      }
      let payload = Array(bytes.dropFirst(header.byteCount).prefix(header.payloadLength))
      taken += header.byteCount + header.payloadLength
      switch header.opcode {
      case .close: texts.append("close \(try WebSocketFrame.parseClose(payload).code ?? 0)")
      case .ping: texts.append("ping")
      case .pong: texts.append("pong")
      case .text, .binary, .continuation: texts.append(String(decoding: payload, as: UTF8.self))
      }
    }
    removeFirst(taken)
    return texts
  }

  /// Where the first head ends, if it is whole.
  var headEnd: Int? {
    firstRange(of: Array("\r\n\r\n".utf8))?.upperBound
  }

  var text: String { String(decoding: self, as: UTF8.self) }
}
