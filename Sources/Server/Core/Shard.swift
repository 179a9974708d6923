// A shard: one thread, one reactor, one listener, its own connections.
//
// Everything here belongs to the shard's thread. Other threads reach it by the ring and its
// mailbox, and wake it through its parker. A turn goes
//
//     wait ─ read sockets ─ timers ─ mailbox ─ ring ─ flush
//
// and whatever a turn gathers for a connection is written at its end with one call. Under load the
// turn gets longer, gathers more, and each write carries more.

internal import Broadcast
internal import Notifications
internal import Reactor
internal import Wire

/// One reactor thread's state.
///
/// Not Sendable: made, used and freed on its own thread.
final class Shard {
  /// The place that the first listener's events carry; the others' are those before it.
  static let listenerSlot = UInt32.max
  /// Listeners that a shard may have.
  static let listenerLimit = 16
  /// Events taken from the ring before the sockets are looked at again.
  static let drainLimit = 1_024
  /// Bytes added to a frame log before they are flushed in the middle of a turn: far enough below
  /// a log's capacity that nothing unsent is ever overwritten.
  static let flushBytes: UInt64 = 256 * 1_024
  /// Bytes by which a log may grow past `flushBytes` between two flushes: twice the longest event.
  ///
  /// The parsers bound an event. With each text at its limit and every byte of it escaped, neither
  /// a notification (`Draft`) nor a live message (`BroadcastFields`) takes 64 KiB in any encoding.
  /// Only the direct log may grow by more, for an event in several encodings or a list of ids:
  /// `flush(before:)` gets that size first. `send` puts a longer reply into the private buffer of
  /// its connection.
  static let largestFrameBytes = 128 * 1_024
  /// Connections accepted in one turn, so that a storm of them does not starve the others.
  static let acceptLimit = 256
  /// Times that a turn looks for more input before a large fan-out is flushed.
  static let gatherLimit = 16
  /// By how much more than the monotonic clock the wall clock moves when it has been set.
  static let wallJumpMilliseconds: UInt64 = 500

  let index: Int
  let core: ServerCore
  let kernel: Kernel
  let poller: Poller
  let metrics: ShardMetrics
  let parker: Parker
  let mailbox: Mailbox<ShardMessage>
  let routes: Router<Endpoint>

  let table = ConnectionTable()
  var wheel: TimerWheel
  var acceptors: [Acceptor] = []
  /// Where bytes are received and parsed.
  let scratch: ScratchBuffer
  /// Where small pieces are put together to be sent.
  ///
  /// Not the scratch: a flush may come in the midst
  /// of parsing, when much is answered, and what is not parsed yet lies there.
  let gathered = ScratchBuffer(byteCount: 64 * 1_024)
  var due = [UInt32](repeating: 0, count: 256)

  /// Monotonic and wall-clock time of this turn.
  var now: UInt64
  var wall: Int64
  /// Monotonic time of the turn's last look at the sockets.
  var nowNanoseconds: UInt64
  /// When the published events were taken of which frames wait for the flush: no more runs than a
  /// turn takes events from the ring.
  var unflushed: [(takenAt: UInt64, count: Int)] = []

  /// Frames for one: replies, greetings, a user's notifications.
  let direct: FrameLog
  var directFlushed: UInt64 = 0
  var directFrameEnds = FrameEnds()
  /// Blocked connections that may have ranges of logs to be sent, and where in each log the first
  /// of those begins, or did; nil where none does.
  var pinned = SlotSet()
  var pinnedFrom: [UInt64?]
  let fanOutGroups: FanOutGroups
  /// Sessions of Engine.IO that live here.
  var engineSessions: [EngineID: UInt32] = [:]
  /// The place that has just been given the socket whose bytes are being looked at.
  var upgradeSuccessor: ConnectionID?
  /// Connections that have something queued of their own.
  var dirty = SlotSet()
  var directory = Directory()
  /// Users whose home this shard is, with the number of shards they are connected to.
  var userShardCounts: [TextKey: Int] = [:]
  /// What connections of this shard are in, by the room's name.
  var rooms: [TextKey: LocalRoom] = [:]
  /// What is being said in a room and is in no outbox yet.
  var pendingRoomBatch: PendingRoomBatch?
  /// Members of the rooms whose home this shard is.
  var rosters: [TextKey: Roster] = [:]
  /// Who types in them.
  var typingEntries = DeadlineQueue<TypingEntry>()
  /// The last occasion on which presence was told in several rooms from here as a home.
  var lastPresenceUpdateID: UInt64 = 0
  /// Who has been told already on the latest of such occasions, whoever's they are.
  var recentPresenceUpdates: [(number: UInt64, told: SlotSet)] = []
  /// How users whose home this shard is are seen.
  var presence = PresenceTracker(graceMilliseconds: Shard.graceMilliseconds)
  /// Connections that have not shown who they are, and those that are being turned away.
  var unauthenticatedCount = 0
  var rejectedCount = 0
  var blockedCount = 0
  /// Bytes of their own that blocked connections had left when they last took some.
  var blockedBytes = 0
  /// The second that `dateText` was written for.
  var dateSecond: Int64 = .min
  var dateText = ""
  /// Bytes of request bodies that are being received or that the store still has.
  var bodyBytesInFlight = 0
  /// Bytes received in this turn.
  var bytesReadInTurn = 0
  /// Until then nobody is declared silent: this thread itself was away.
  var stallGraceUntil: UInt64 = 0
  /// The readiness probe that has not come back.
  var probe: ReadinessProbe?
  var lastReadinessProbe: UInt64 = 0
  /// What all shards have been asked and not all have answered, oldest first.
  var shardQueries: [ShardQuery] = []
  var lastShardQuery: UInt64 = 0
  var userAgents: UserAgents
  /// What those are told who watch the metrics from here; nil when nobody does.
  var metricsFeed: MetricsFeed?
  var drain: Drain?
  var isStopping = false
  /// Connections whose waiting requests are read on once this turn has been flushed.
  var resumable: [ConnectionID] = []
  /// Every event of the store's up to this offset has come out of the ring.
  var appliedOffset: UInt64
  /// The store's answers to sessions that resume, until what they include has come by.
  var answersAheadOfRing: [AnswerAheadOfRing] = []
  /// Those who wait to read what is for everyone.
  var catchUps = CatchUps()
  /// When the store is looked at next for what has expired, and whether it is at it.
  var sweepAt: UInt64 = 0
  var isSweeping = false
  /// The places of one event's user; kept for its memory.
  var slots: [UInt32] = []
  /// Bytes that connections have freed since the heap was last given back, about.
  var freedSinceTrim = 0
  var trimAt: UInt64 = .max

  init(index: Int, core: ServerCore, poller: Poller, listeners: [Listener]) throws(SystemError) {
    self.index = index
    self.core = core
    self.poller = poller
    kernel = core.kernel
    metrics = core.metrics[index]
    parker = core.parkers[index]
    mailbox = core.mailboxes[index]
    nowNanoseconds = kernel.monotonicNanoseconds
    now = nowNanoseconds / 1_000_000
    wall = kernel.wallMilliseconds
    routes = Endpoints.router(hasDemo: core.configuration.demoTokens != nil)
    wheel = TimerWheel(now: now)
    appliedOffset = core.firstOffset
    // An unfinished message lies there before what is received next.
    let longest = core.configuration.engines.reduce(0) { max($0, $1.settings.messageBytesLimit) }
    scratch = ScratchBuffer(byteCount: 128 * 1_024 + longest)
    userAgents = UserAgents(countLimit: core.configuration.limits.userAgentsLimit)
    let capacity = core.configuration.limits.frameLogCapacity
    // What a blocked client may be behind, a turn's worth and a large frame: a log never overwrites
    // what somebody still has to be sent.
    precondition(
      capacity
        >= Int(Shard.flushBytes) + core.configuration.limits.backlogBytesLimit
        + Shard.largestFrameBytes,
      "frame log of \(capacity) bytes")
    direct = FrameLog(capacity: capacity)
    fanOutGroups = FanOutGroups(
      paths: core.configuration.engines, epoch: core.store.epoch, capacity: capacity)
    pinnedFrom = [UInt64?](
      repeating: nil, count: LogID.count(ofGroups: fanOutGroups.all.count))
    precondition(listeners.count <= Shard.listenerLimit, "\(listeners.count) listeners")
    for (index, listener) in listeners.enumerated() {
      acceptors.append(
        try Acceptor(
          poller: poller, kernel: kernel, fd: listener.fd,
          slot: Shard.listenerSlot - UInt32(index),
          userTimeoutMilliseconds: core.configuration.limits.tcpUserTimeoutMilliseconds,
          unsentBytesLimit: core.configuration.limits.unsentBytesLimit))
    }
  }

  /// Runs turns until told to stop.
  func run() throws(SystemError) {
    while !isStopping { try turn() }
    abandonShardQueries()
    table.forEachSlot { drop($0, because: "the server has ended") }
  }

  /// One turn; see the file's opening.
  func turn() throws(SystemError) {
    var timeout = waitLimit()
    if timeout != 0 {
      let ring = core.ring
      let mailbox = mailbox
      let index = index
      if !parker.park(unless: { mailbox.hasWork || ring.hasWork(consumer: index) }) { timeout = 0 }
    }
    let before = now
    var count = try poller.wait(timeoutMilliseconds: timeout)
    parker.resume()
    readClocks(sleptFrom: before, timeout: timeout)
    let framesBefore = metrics.value(.framesReceived)
    bytesReadInTurn = 0
    handleEvents(count)
    runTimers()
    deliverWaiting()
    // A burst that is still arriving is worth a little patience: looking once more costs a system
    // call, and a fan-out that is flushed twice costs one for each connection. Not so a flood: it
    // would have those who are waiting for the fan-out wait for each of its shares.
    var rounds = 0
    // guard: no-gathering-after-flood
    while hasLargeFanOut, rounds < Shard.gatherLimit, bytesReadInTurn < Shard.readBytesPerTurn,
      metrics.value(.framesReceived) - framesBefore < Shard.framesPerTurn
    {
      count = try poller.wait(timeoutMilliseconds: 0)
      if count == 0 { break }
      nowNanoseconds = kernel.monotonicNanoseconds
      handleEvents(count)
      deliverWaiting()
      rounds += 1
    }
    flush()
    resumeReading()
    publishGauges()
  }

  private func readClocks(sleptFrom before: UInt64, timeout: Int32) {
    let wallBefore = wall
    nowNanoseconds = kernel.monotonicNanoseconds
    now = nowNanoseconds / 1_000_000
    wall = kernel.wallMilliseconds
    let gain = (wall &- wallBefore) &- Int64(truncatingIfNeeded: now &- before)
    // guard: wall-clock-jump
    if gain.magnitude > Shard.wallJumpMilliseconds { wallClockJumped() }
    // A turn that took seconds (the process was stopped, the machine suspended) says nothing about
    // the peers: their answers may be waiting behind this very turn.
    if now &- before > UInt64(max(0, timeout)) + 2_000, timeout >= 0 {
      stallGraceUntil = now + 5_000
    }
  }

  /// How long this turn may sleep: 0 when something is left to do, at most a second.
  func waitLimit() -> Int32 {
    if !dirty.isEmpty || !resumable.isEmpty || drain?.isDue(now) == true { return 0 }
    if answersAheadOfRing.contains(where: { $0.through <= appliedOffset }) { return 0 }
    var limit: Int32 = 1_000
    let timer = wheel.timeout(now: now)
    if timer >= 0 { limit = min(limit, timer) }
    for acceptor in acceptors {
      let pause = acceptor.timeout(now: now)
      if pause >= 0 { limit = min(limit, pause) }
    }
    if let due = nextDueAsOwner { limit = min(limit, Int32(clamping: due - min(due, now))) }
    if let shardQuery = shardQueries.first {
      limit = min(limit, Int32(clamping: shardQuery.endsAt - min(now, shardQuery.endsAt)))
    }
    if let feed = metricsFeed {
      limit = min(limit, Int32(clamping: feed.nextAt - min(now, feed.nextAt)))
    }
    if drain != nil { limit = min(limit, Int32(Drain.paceMilliseconds)) }
    // Else an answer of the store's says when to go on.
    if catchUps.isWaiting, catchUps.readCount < CatchUps.readLimit {
      limit = min(limit, Int32(CatchUps.pauseMilliseconds))
    }
    return limit
  }

  private func handleEvents(_ count: Int) {
    for index in 0..<count {
      let event = poller.event(index)
      let id = ConnectionID(slot: event.slot, generation: event.generation)
      if id.slot > Shard.listenerSlot - UInt32(Shard.listenerLimit) {
        acceptWaiting(at: Int(Shard.listenerSlot - id.slot))
      } else if table.holds(id) {  // guard: event-generation
        handle(event.readiness, at: id.slot)
      }
    }
  }

  /// Takes what other threads, and this turn's own requests, have sent.
  private func deliverWaiting() {
    // All that is there, however much the clients have said: with a fixed share a flood would find
    // more of it waiting at every turn. What is posted meanwhile waits for the next.
    // guard: mailbox-drained-whole
    _ = mailbox.drain(limit: mailbox.count) { receive($0) }
    _ = core.ring.drain(consumer: index, limit: Shard.drainLimit) { deliver($0) }
    takeAnswersAheadOfRing()
    readCatchUps()
  }

  private func receive(_ message: ShardMessage) {
    switch message {
    case .outcome(let id, let outcome, let count):
      if case .published = outcome { metrics.add(.published, count) }
      // guard: outcome-generation
      if table.holds(id) { finish(id.slot, outcome) }
    case .answer(let id, let answer):
      // guard: answer-generation
      if table.holds(id) { finish(id.slot, answer) }
    case .caughtUp(let id, let answer):
      catchUps.readCount -= 1
      if table.holds(id) { finish(id.slot, answer) }
    case .swept(let outcome):
      continueSweep(outcome)
    case .userShardCounts(let user, let arrived):
      count(user, arrived: arrived)
    case .room(let question, let name, let user, let address):
      answer(question, name, user, to: address)
    case .roomAnswer(let id, let answer, let name):
      if table.holds(id) { take(answer, of: name, at: id.slot) }
    case .roomPresence(let update, let name):
      tell(update, in: name)
    case .presence(let note, let user):
      take(note, of: user)
    case .shardQuery(let question, let reply):
      reply(answer(question))
    case .shardQueryAnswer(let number, let answer):
      take(answer, ofShardQuery: number)
    case .outsideQuery(let question, let done):
      if !beginShardQuery(question, for: .outside(done)) { done(.failure(.busy)) }
    case .relayed(let outcome, let count, let byteCount):
      bodyBytesInFlight -= byteCount
      if case .published = outcome {
        metrics.add(.published, count)
      } else {
        metrics.add(.relayedLost, count)
      }
    case .marked(let id, let marking, let outcome):
      if table.holds(id) { acknowledge(marking, outcome, at: id.slot) }
    case .keptRooms(let id, let rooms):
      if table.holds(id) { takeKeptRooms(rooms, at: id.slot) }
    case .recovered(let recovery, let user, let openedAt, let address):
      evictStale(recovery, of: user, openedAt: openedAt, at: address)
    case .handedOver(let connection):
      migrateIn(connection)
    case .replaced(let id):
      if table.holds(id) { endReplaced(id.slot) }
    case .drain:
      beginDrain()
    case .stop:
      isStopping = true
    }
  }

  private func runTimers() {
    // guard: accept-resumes
    for acceptor in acceptors where acceptor.timeout(now: now) == 0 { acceptor.resume(now: now) }
    var count = 0
    repeat {
      count = wheel.expire(now: now, into: &due)
      for index in 0..<count where table.contains(due[index]) { timerFired(at: due[index]) }
    } while count == due.count
    expireReadinessProbe()
    expireAsOwner()
    expireShardQueries()
    sweepExpired()
    sendMetrics()
    continueDrain()
    if now >= trimAt {
      trimAt = .max
      freedSinceTrim = 0
      ProcessResources.returnFreeMemory()
    }
  }

  /// Says how many are here.
  func publishGauges() {
    metrics.set(.connections, table.count)
    metrics.set(.sessions, directory.connectionCount)
    metrics.set(.users, core.mailboxes.count == 1 ? directory.userCount : userShardCounts.count)
    metrics.set(.rooms, rosters.count)
    metrics.set(.blockedConnections, blockedCount)
    metrics.set(.unauthenticated, unauthenticatedCount)
    metrics.set(.draining, drain == nil ? 0 : 1)
  }

  /// The id to which other shards address their answers to the connection in `slot`.
  func shardConnectionID(of slot: UInt32) -> ShardConnectionID {
    ShardConnectionID(shard: index, connection: table.id(of: slot))
  }

  // MARK: Who is here

  /// Lists the session at `slot` under its user.
  func list(_ slot: UInt32) {
    let user = table[slot].user
    let isFirst = !directory.contains(user: user)
    directory.insert(slot: slot, user: user)
    table[slot].flags.insert(.listed)
    table[slot].connectedAt = wall
    if isFirst { notifyOwner(of: user, arrived: true) }
  }

  /// Takes the session at `slot` off the list.
  func unlist(_ slot: UInt32) {
    guard table[slot].flags.contains(.listed) else { return }
    let user = table[slot].user
    // guard: poll-uncounted-when-answered
    uncountSession(at: slot)
    table[slot].flags.remove(.listed)
    directory.remove(slot: slot, user: user)
    if !directory.contains(user: user) { notifyOwner(of: user, arrived: false) }
  }

  private func notifyOwner(of user: UserID, arrived: Bool) {
    // One shard alone: its directory is the census.
    guard core.mailboxes.count > 1 else { return noteConnected(user, arrived) }
    let ownerShard = core.ownerShard(of: user)
    if ownerShard == index {
      count(user, arrived: arrived)
    } else {
      core.mailboxes[ownerShard].append(.userShardCounts(user, arrived: arrived))
    }
  }

  private func count(_ user: UserID, arrived: Bool) {
    let key = TextKey(user)
    let before = userShardCounts[key] ?? 0
    let shards = before + (arrived ? 1 : -1)
    userShardCounts[key] = shards == 0 ? nil : shards
    if before == 0 || shards == 0 { noteConnected(user, arrived) }
  }

  /// The first connection of a user whose home this shard is came, or the last one went.
  private func noteConnected(_ user: UserID, _ arrived: Bool) {
    if arrived { presence.arrived(user) } else { presence.left(user, at: now) }
  }
}
