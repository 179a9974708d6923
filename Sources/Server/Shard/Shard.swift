// A shard: one thread, one reactor, one listener, its own connections.
//
// Everything here belongs to the shard's thread. Other threads reach it by the ring and its
// mailbox, and wake it through its parker. A turn goes
//
//     wait ─ read sockets ─ timers ─ mailbox ─ deadlines as owner ─ ring ─ flush ─ settle ─ reap
//
// and all bytes that a turn gathers for a connection are written at its end with one call. Under
// load a turn takes longer, gathers more, and each write carries more.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// One reactor thread's state.
///
/// Not Sendable: created, used and freed on its own thread.
final class Shard: ShardComponent {
  /// Events taken from the ring before the next look at the sockets.
  static let drainLimit = 1_024
  /// Times that a turn polls for more input before it flushes a large fan-out.
  static let gatherLimit = 16
  /// The longest wait of a turn in the poller.
  static let waitMilliseconds: Int32 = 1_000

  let context: ShardContext
  private let poller: Poller
  private let parker: Parker

  // The components, each after those that it calls.
  let pendingEvents: PendingEvents
  let connectionLog: ConnectionLog
  let observers: Observers
  let recorder: EventRecorder
  let drain: Drain
  let storeWatch: StoreWatch
  let readiness: Readiness
  let metricsStreams: MetricsStreams
  /// Nil except on the first shard.
  let metricsSampler: MetricsSampler?
  let connections: Connections
  let receiver: Receiver
  let idle: IdleConnections
  let admission: AdmissionControl
  let apiKeys: APIKeys
  let authenticator: Authenticator
  let migration: Migration
  let pages: PageMemory
  let storeReads: StoreReads
  let shardQueries: ShardQueries
  let users: Users
  let rooms: Rooms
  let access: EndpointAccess
  let http: HTTPConnections
  let life: SessionLife
  let reads: SessionReads
  let sessions: Sessions
  let engine: EngineSessions
  let socketIO: SocketIOSessions
  let webSockets: WebSocketConnections
  let upgrade: WebSocketUpgrade
  let polls: Polls
  let fanOut: FanOut

  init(index: Int, core: ServerCore, sockets: ShardSockets) {
    context = ShardContext(index: index, core: core, poller: sockets.poller)
    poller = sockets.poller
    parker = core.parkers[index]
    pendingEvents = PendingEvents(context)
    connectionLog = ConnectionLog(context)
    observers = Observers(context)
    drain = Drain(context)
    storeWatch = StoreWatch(context, drain: drain)
    readiness = Readiness(context, drain: drain)
    metricsStreams = MetricsStreams(context)
    metricsSampler = index == 0 ? MetricsSampler(context) : nil
    connections = Connections(context, sockets.acceptors)
    receiver = Receiver(context, connections)
    idle = IdleConnections(context, connections)
    admission = AdmissionControl(context, idle)
    apiKeys = APIKeys(context)
    authenticator = Authenticator(context, connectionLog, apiKeys, admission)
    migration = Migration(context, connections, admission)
    pages = PageMemory(context, admission)
    storeReads = StoreReads(context, pages)
    shardQueries = ShardQueries(context, pages)
    recorder = EventRecorder(context)
    users = Users(context, admission, observers, recorder)
    rooms = Rooms(context, admission, recorder)
    access = EndpointAccess(context, admission, authenticator)
    http = HTTPConnections(
      context, connections, receiver, access, users: users, pages: pages, drain: drain,
      storeWatch: storeWatch)
    life = SessionLife(context, connections, admission, users, rooms, http, connectionLog)
    reads = SessionReads(context, life, pages, storeReads)
    sessions = Sessions(context, connections, admission, authenticator, rooms, life, reads)
    engine = EngineSessions(
      context, connections, receiver, admission, authenticator, migration, rooms, http, life,
      reads, connectionLog, drain)
    socketIO = SocketIOSessions(
      context, connections, admission, authenticator, users, rooms, life, reads, sessions, engine,
      drain)
    webSockets = WebSocketConnections(
      context, connections, receiver, life, sessions, engine, socketIO)
    upgrade = WebSocketUpgrade(
      context, connections, admission, authenticator, rooms, access, http, sessions,
      connectionLog, drain)
    polls = Polls(context, connections, admission, users, http, storeReads, reads, drain)
    fanOut = FanOut(context, users, rooms, reads, polls)
    connections.owner = self
    life.owner = self
    engine.user = socketIO
  }

  /// Runs turns until the `stop` message.
  func run() throws(SystemError) {
    while !context.isStopping { try turn() }
    for query in shardQueries.abandon() { respond(query) }
    table.forEachSlot { connections.drop($0, because: "the server has stopped") }
  }

  /// One turn; see the file's opening.
  func turn() throws(SystemError) {
    context.assertOnThread()
    var timeout = waitLimit()
    if timeout != 0 {
      let ring = core.ring
      let mailbox = mailbox
      let index = index
      if !parker.park(unless: { mailbox.hasWork || ring.hasWork(consumer: index) }) { timeout = 0 }
    }
    var count = try poller.wait(timeoutMilliseconds: timeout)
    parker.resume()
    let wasSet = clock.read(kernel, afterWaiting: timeout)
    delivery.now = now
    // guard: wall-clock-jump
    if wasSet { connections.wallClockJumped() }
    receiver.beginTurn()
    handleEvents(count)
    runTimers()
    deliverWaiting()
    // Gather the rest of a burst that is still arriving: one more poll costs one system call, and a
    // second flush of the fan-out costs one for each connection. Do not gather a flood: each of its
    // shares would delay the members that wait for the fan-out.
    var rounds = 0
    // guard: no-gathering-after-flood
    while delivery.hasLargeFanOut, rounds < Shard.gatherLimit, !receiver.isFlooded {
      count = try poller.wait(timeoutMilliseconds: 0)
      if count == 0 { break }
      clock.readNanoseconds(kernel)
      handleEvents(count)
      deliverWaiting()
      rounds += 1
    }
    delivery.flush()
    settle()
    recorder.flush()
    receiver.resume { parse(at: $0, byteCount: $1) }
    table.reap()
    delivery.rewindDirectLog()
    assert(checkInvariants())
    publishGauges()
  }

  /// How long this turn may wait in the poller: 0 when work is left, at most a second.
  func waitLimit() -> Int32 {
    if delivery.hasWork || connections.hasResumable { return 0 }
    // guard: set-aside-events-awake
    if pendingEvents.hasSetAside { return 0 }
    if reads.hasTakeableAnswers { return 0 }
    var limit = Shard.waitMilliseconds
    if let timeout = connections.timeout { limit = min(limit, timeout) }
    limit = min(limit, wait(until: nextDueAsOwner))
    limit = min(limit, wait(until: drain.nextBatchAt))
    limit = min(limit, wait(until: shardQueries.nextEnd))
    limit = min(limit, wait(until: metricsStreams.nextAt))
    limit = min(limit, wait(until: metricsSampler?.nextAt))
    if let pause = reads.pauseMilliseconds { limit = min(limit, pause) }
    return limit
  }

  /// The milliseconds until a time; without one, longer than any wait.
  private func wait(until due: UInt64?) -> Int32 {
    due.map { Int32(clamping: $0 - min($0, now)) } ?? .max
  }

  private func handleEvents(_ count: Int) {
    for index in 0..<count {
      let event = poller.event(index)
      let id = ConnectionID(slot: event.slot, generation: event.generation)
      if id.slot > Connections.listenerSlot - UInt32(Connections.listenerLimit) {
        let listener = Int(Connections.listenerSlot - id.slot)
        connections.accept(at: listener, makeRoom: { idle.makeRoom() }, { begin($0) })
      } else if table.holds(id) {  // guard: event-generation
        handle(event.readiness, at: id.slot)
      }
    }
  }

  /// Handles the messages and events of other threads and of this turn's own requests.
  private func deliverWaiting() {
    // Before the messages: an event of a room must not come before the message that takes a
    // connection into the room. See `BroadcastRing.end`.
    let end = core.ring.end
    // Take every message present at the start. With a fixed share, the backlog would grow at every
    // turn of a flood. Messages posted meanwhile wait for the next turn.
    // guard: mailbox-drained-whole, owner-expires-after-messages
    _ = mailbox.drain(limit: mailbox.count) { receive($0) }
    // After the messages: the turn may be late, and a return that came before the deadline counts.
    expireAsOwner()
    // Later events, also those that this shard has just offered, wait for the next turn: it does
    // not park.
    // guard: events-after-their-messages
    deliverEvents(before: end, limit: Shard.drainLimit)
    reads.takeAnswersAheadOfRing()
    for id in reads.startReads() where table.holds(id) { refuseRead(at: id.slot) }
  }

  private func receive(_ message: ShardMessage) {
    switch message {
    case .outcome(let id, let outcome, let count):
      storeWatch.noteFinishedCommand(of: id)
      if case .published = outcome { metrics.add(.published, count) }
      // guard: outcome-generation
      if table.holds(id) { http.answer(id.slot, with: outcome) }
    case .read(let number, let answer):
      if let read = storeReads.finish(number, answer) { dispatch(read) }
      for read in storeReads.startNext() { dispatch(read) }
    case .storeChecked(let status):
      respond(readiness.storeChecked(status))
    case .swept(let outcome):
      storeWatch.continueSweep(after: outcome)
    case .userShardCounts(let user, let arrived):
      users.count(user, arrived: arrived)
    case .room(let question, let name, let user, let address):
      publish(rooms.answer(question, name, user, to: address))
    case .roomAnswer(let id, let answer, let name):
      if table.holds(id) { take(answer, of: name, at: id.slot) }
    case .roomPresence(let update, let name, let isReturn):
      publish(rooms.send(update, to: name, isReturn: isReturn))
    case .presence(let note, let user):
      users.take(note, of: user)
    case .shardQuery(let question, let ringEnd, let reply):
      reply(answer(question, ringEnd: ringEnd))
    case .shardQueryAnswer(let number, let answer):
      if let query = shardQueries.take(answer, of: number) { respond(query) }
      for query in shardQueries.startNext() { respond(query) }
    case .outsideQuery(let question, let done):
      begin(question, done)
    case .relayed(let outcome, let count, let byteCount):
      http.endRelay(byteCount: byteCount)
      if case .published = outcome {
        metrics.add(.published, count)
      } else {
        metrics.add(.relayedLost, count)
      }
    case .marked(let id, let marking, let outcome):
      if table.holds(id) { socketIO.acknowledge(marking, outcome, at: id.slot) }
    case .roomsWritten(let id, let recovery):
      if table.holds(id) { socketIO.readKeptRooms(of: recovery, at: id.slot) }
    case .recovered(let recovery, let user, let openedAt, let address):
      socketIO.evictStale(recovery, of: user, openedAt: openedAt, at: address)
    case .handedOver(let connection):
      migration.accept(connection, isAccepting: !drain.hasBegun || connections.isListening)
    case .makeRoom(let kind):
      idle.makeRoom(kind)
    case .webhookTypes(let types):
      recorder.record(types)
    case .eventsLost(let count):
      metrics.add(.webhookEventsLost, count)
    case .replaced(let id):
      if table.holds(id) { endReplaced(id.slot) }
    case .apiKeys(let ring, let taken):
      take(ring)
      taken()
    case .keyUsed(let id, let minute):
      apiKeys.take(useOf: id, at: minute)
    case .keysChanged:
      authenticator.takeKeys()
      if index == 0 { metrics.add(.keySetsFetched) }
    case .keysNotFetched:
      metrics.add(.keySetFailures)
    case .drain:
      drain.begin()
    case .stop:
      context.stop()
    }
  }

  /// Begins a query of a caller outside the shards' threads.
  private func begin(
    _ question: ShardQueryRequest, _ done: @escaping @Sendable (ShardQueryResult) -> Void
  ) {
    guard let refused = shardQueries.begin(question, for: .outside(done), of: nil) else {
      return done(.failure(.busy))
    }
    for query in refused { respond(query) }
  }

  private func runTimers() {
    connections.resumeAccepting()
    connections.expireTimers { timerFired(at: $0) }
    respond(readiness.expire())
    for query in shardQueries.expire() { respond(query) }
    for query in shardQueries.startNext() { respond(query) }
    storeWatch.sweep()
    apiKeys.writeUses(isDraining: drain.hasBegun)
    reportMetrics()
    continueDrain()
    connections.trimHeap()
  }

  /// Publishes the gauges of this shard.
  func publishGauges() {
    metrics.set(.connections, table.count)
    metrics.set(.sessions, users.connectionCount)
    metrics.set(.users, users.ownedCount)
    metrics.set(.rooms, rooms.ownedCount)
    metrics.set(.blockedConnections, delivery.blockedCount)
    metrics.set(.pageBytes, pages.byteCount)
    metrics.set(.unauthenticated, admission.unauthenticatedCount)
    metrics.set(.draining, drain.hasBegun ? 1 : 0)
  }
}
