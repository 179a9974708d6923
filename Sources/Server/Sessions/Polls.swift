// Long-polling: polls that wait for a new notification of their user.
//
// A waiting poll is listed in the directory like a session, and holds nothing but its request. It
// is listed before its first read from the store, so there is no moment in which a notification is
// neither in the read nor announced to the poll. An announcement during a read is deferred, and the
// poll reads again if the result does not include it. The answer always comes from the store, in
// the store's order.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// The polls of a shard.
///
/// Invariant: it keeps nothing; a poll is a request that waits, and is listed for its user until it
/// is answered. One that does not read has a deadline, at which it is answered with an empty page.
final class Polls: ShardComponent {
  private static let busy = Refusal.busy.answer

  let context: ShardContext
  private let connections: Connections
  private let admission: AdmissionControl
  private let users: Users
  private let http: HTTPConnections
  private let storeReads: StoreReads
  private let reads: SessionReads
  private let drain: Drain

  init(
    _ context: ShardContext, _ connections: Connections, _ admission: AdmissionControl,
    _ users: Users, _ http: HTTPConnections, _ storeReads: StoreReads, _ reads: SessionReads,
    _ drain: Drain
  ) {
    self.context = context
    self.connections = connections
    self.admission = admission
    self.users = users
    self.http = http
    self.storeReads = storeReads
    self.reads = reads
    self.drain = drain
  }

  /// Traps in a debug build when a poll is not listed, or waits without a read or a deadline.
  func checkInvariants() {
    table.forEachSlot { slot in
      guard let poll = table[slot].activity.exchange?.poll else { return }
      assert(table[slot].flags.contains(.listed), "the poll at \(slot) is not listed")
      assert(
        poll.isReading || table[slot].deadline < .max, "the poll at \(slot) has no end")
    }
  }

  // MARK: Beginning

  /// Lists the poll, then reads for the first time.
  func begin(
    _ request: Request, user: UserID, after: UInt64, waitMilliseconds: UInt64
  ) throws(Refusal) -> EndpointResult {
    let slot = request.slot
    // guard: session-quota-poll
    guard admission.countSession(of: user, at: slot) else {
      throw Refusal(admission.tooManySessions)
    }
    table[slot].user = user
    table[slot].tokenEnd = request.caller.end
    connections.keepUserAgent(of: request.head, at: slot)
    // A poll must not outlast its token.
    let endsAt = min(now + waitMilliseconds, connections.tokenEndTime(of: slot) ?? .max)
    let poll = Poll(user: user, after: after, endsAt: endsAt)
    // A draining server answers at once with the notifications that exist.
    poll.isEnding = drain.hasBegun
    users.list(slot)
    guard read(.page, for: poll, at: slot) else {
      users.unlist(slot)
      throw .busy
    }
    return .later(.poll(poll))
  }

  // MARK: Reading

  /// Asks the store for a poll; false when the store's queue is full.
  private func read(_ read: Poll.Read, for poll: Poll, at slot: UInt32) -> Bool {
    let query =
      switch read {
      case .page: poll.query.query
      case .position: positionQuery(of: poll).query
      }
    let isTaken = storeReads.ask(query, at: slot) == .taken
    if isTaken { poll.read = read }
    return isTaken
  }

  /// Asks the store for newer notifications, or refuses the poll when the store's queue is full.
  private func readOrRefuse(_ read: Poll.Read, for poll: Poll, at slot: UInt32) {
    if !self.read(read, for: poll, at: slot) { http.finish(Polls.busy, at: slot) }
  }

  private func positionQuery(of poll: Poll) -> TypedQuery<StorePosition> {
    .position(user: poll.user)
  }

  /// Continues the poll with the store's reply to its read.
  func take(_ answer: StoreAnswer, for poll: Poll, at slot: UInt32) {
    guard let read = poll.read else { return }
    poll.read = nil
    switch read {
    case .page:
      guard case .success(let page) = poll.query.reply(in: answer) else { break }
      return take(page, for: poll, at: slot)
    case .position:
      guard case .success(let position) = positionQuery(of: poll).reply(in: answer) else { break }
      metrics.add(.resyncs)
      let cursor = core.store.history.cursors.text(at: position.offset)
      return http.finish(.polled([], cursor, isResync: true), at: slot)
    }
    http.finish(.unreadable, at: slot)
  }

  /// Answers the poll with the store's page, or waits.
  private func take(_ page: MissedPage, for poll: Poll, at slot: UInt32) {
    let isTooMuch =
      (page.total ?? page.notifications.count) > limits.missedLimit
    // guard: polled-cursor-beyond-newest-commit
    let isBeyond = poll.after > page.through
    if isBeyond { report(HistoryLoss(offset: poll.after, end: page.through)) }
    if isBeyond || isTooMuch { return readOrRefuse(.position, for: poll, at: slot) }
    poll.after = page.next ?? page.through
    if page.notifications.isEmpty, !poll.isEnding, now < poll.endsAt {
      if page.next == nil { return wait(poll, at: slot) }
      // The page scanned only muted or damaged rows.
      return readOrRefuse(.page, for: poll, at: slot)
    }
    let cursor = core.store.history.cursors.text(at: poll.after)
    http.finish(.polled(page.notifications, cursor), at: slot)
  }

  // MARK: Waiting

  /// Waits for a new notification, unless one was announced during the read.
  private func wait(_ poll: Poll, at slot: UInt32) {
    if poll.deferredThrough > poll.after { return readOrRefuse(.page, for: poll, at: slot) }
    table[slot].deadline = poll.endsAt
    connections.scheduleTimer(slot)
  }

  /// Wakes the poll at `slot`, if there is one, for an event of its user.
  func wake(_ event: Event, at slot: UInt32) {
    guard let offset = event.offset,
      let poll = table[slot].activity.exchange?.poll, offset > poll.after
    else { return }
    switch event.body {
    case .stored:
      poll.deferredThrough = max(poll.deferredThrough, offset)
      if !poll.isReading { readOrRefuse(.page, for: poll, at: slot) }
    case .storedForEveryone:
      // This wakes every poll at once, so their reads are paced.
      poll.deferredThrough = max(poll.deferredThrough, offset)
      if poll.isReading { return }
      poll.read = .page
      reads.awaitCatchUp(slot)
    default:
      return
    }
  }

  /// Ends the poll with an empty answer, or with the store's pending result.
  func end(_ poll: Poll, at slot: UInt32) {
    guard !poll.isReading else {
      poll.isEnding = true
      table[slot].deadline = .max
      return connections.scheduleTimer(slot)
    }
    let cursor = core.store.history.cursors.text(at: poll.after)
    http.finish(.polled([], cursor), at: slot)
  }
}
