// `GET /api/v1/notifications/poll`: long-polling, for clients with a firewall that breaks every
// other transport.
//
// A waiting poll is listed in the directory like a session, and holds nothing but its request. It
// is listed before its first read from the store, so there is no moment in which a notification is
// neither in the read nor announced to the poll. An announcement during a read is deferred, and the
// poll reads again if the result does not include it. The answer always comes from the store, in
// the store's order.

internal import Broadcast
internal import Notifications
internal import Wire

/// A poll under way.
final class Poll {
  let user: UserID
  /// The client has everything up to here.
  var after: UInt64
  /// When it is answered with an empty page.
  let endsAt: UInt64
  /// The largest offset of a notification announced so far.
  var deferredThrough: UInt64 = 0
  /// Handles the reply of the read that is queued or under way; nil if there is none.
  fileprivate var take: ((StoreAnswer, Poll, Shard) -> Void)?
  /// Whether the store's next result ends the poll, even if it is empty.
  var isEnding = false

  init(user: UserID, after: UInt64, endsAt: UInt64) {
    self.user = user
    self.after = after
    self.endsAt = endsAt
  }

  /// Whether a read from the store is queued or under way.
  var isReading: Bool { take != nil }

  /// The query for everything newer.
  var query: TypedQuery<MissedPage> {
    .missed(user: user, after: after, limit: Shard.pollLimit)
  }
}

extension Exchange {
  /// The poll, if this request is one.
  var poll: Poll? {
    if case .poll(let poll) = pending { return poll }
    return nil
  }
}

extension Endpoints {
  /// Seconds that a poll waits by default, and at most.
  private static let defaultWait: UInt64 = 25
  static let longestWait: UInt64 = 60

  /// Answers with all notifications after `since`, or waits `wait` seconds for the first.
  static func poll(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let user = try user(of: request)
    let wait = try number("wait", in: request.query, 0...longestWait) ?? defaultWait
    let after: UInt64
    switch request.query["since"] {
    case nil, "":
      return try askPosition(of: user, isResync: false, request, on: shard)
    case "0":
      after = 0
    case .some(let since):
      guard let cursor = Cursor(since), shard.isProven(cursor),
        cursor.offset >= shard.core.store.horizon
      else {
        shard.metrics.add(.resyncs)
        return try askPosition(of: user, isResync: true, request, on: shard)
      }
      after = cursor.offset
    }
    return try shard.beginPoll(request, user: user, after: after, waitMilliseconds: wait * 1_000)
  }

  /// Answers with the current position, from which the next poll goes on.
  private static func askPosition(
    of user: UserID, isResync: Bool, _ request: Request, on shard: Shard
  ) throws(Refusal) -> EndpointResult {
    let cursors = shard.core.store.history.cursors
    return try ask(.position(user: user), request, on: shard) { position in
      polled([], cursors.text(at: position.offset), isResync: isResync)
    }
  }

  /// The answer to a poll.
  static func polled(
    _ notifications: [Notification], _ cursor: String, isResync: Bool = false
  ) -> Answer {
    .object { data in
      data.member("notifications", array: notifications) { $0.appendNotification($1) }
      data.member("cursor", cursor)
      if isResync { data.member("resync", true) }
    }
  }
}

extension Shard {
  /// Limit on the notifications in one answer.
  static let pollLimit = 200

  /// Lists the poll, then reads for the first time.
  func beginPoll(
    _ request: Request, user: UserID, after: UInt64, waitMilliseconds: UInt64
  ) throws(Refusal) -> EndpointResult {
    let slot = request.slot
    // guard: session-quota-poll
    guard admission.countSession(of: user, at: slot) else { throw Refusal(access.tooManySessions) }
    table[slot].user = user
    table[slot].tokenEnd = request.caller.end
    connections.keepUserAgent(of: request.head, at: slot)
    // A poll must not outlast its token.
    let endsAt = min(now + waitMilliseconds, connections.tokenEndTime(of: slot) ?? .max)
    let poll = Poll(user: user, after: after, endsAt: endsAt)
    // A draining server answers at once with the notifications that exist.
    poll.isEnding = drain.hasBegun
    users.list(slot)
    guard read(poll, at: slot) else {
      users.unlist(slot)
      throw .busy
    }
    return .later(.poll(poll))
  }

  /// Asks the store for newer notifications; false when its queue is full.
  private func read(_ poll: Poll, at slot: UInt32) -> Bool {
    ask(poll.query, poll, at: slot) { $0.take($1, for: $2, at: $3) }
  }

  /// Asks the store for the current position; false when its queue is full.
  private func readPosition(_ poll: Poll, at slot: UInt32) -> Bool {
    ask(.position(user: poll.user), poll, at: slot) { shard, position, _, slot in
      shard.metrics.add(.resyncs)
      let cursor = shard.core.store.history.cursors.text(at: position.offset)
      shard.http.finish(Endpoints.polled([], cursor, isResync: true), at: slot)
    }
  }

  /// How a reply continues a poll.
  private typealias Continuation<Reply> = (Shard, Reply, Poll, _ slot: UInt32) -> Void

  private func ask<Reply>(
    _ query: TypedQuery<Reply>, _ poll: Poll, at slot: UInt32,
    _ continuation: @escaping Continuation<Reply>
  ) -> Bool {
    let id = table.id(of: slot)
    let mailbox = mailbox
    let isTaken = core.store.read(query.query) { answer in
      mailbox.append(.answer(id, answer))
    }
    if isTaken { expectReply(to: query, for: poll, at: slot, continuation) }
    return isTaken
  }

  private func expectReply<Reply>(
    to query: TypedQuery<Reply>, for poll: Poll, at slot: UInt32,
    _ continuation: @escaping Continuation<Reply>
  ) {
    // The poll keeps the closure, which therefore does not keep the poll.
    poll.take = { answer, poll, shard in
      switch query.reply(in: answer) {
      case .success(let reply): continuation(shard, reply, poll, slot)
      case .failure: shard.http.finish(Endpoints.unreadable, at: slot)
      }
    }
  }

  /// Continues the poll with the store's reply to its read.
  func continuePoll(_ poll: Poll, _ answer: StoreAnswer) {
    guard let take = poll.take else { return }
    poll.take = nil
    take(answer, poll, self)
  }

  /// Answers the poll with the store's page, or waits.
  private func take(_ page: MissedPage, for poll: Poll, at slot: UInt32) {
    let isTooMuch =
      (page.total ?? page.notifications.count) > core.configuration.limits.missedLimit
    // guard: polled-cursor-beyond-newest-commit
    let isBeyond = poll.after > page.through
    if isBeyond { report(HistoryLoss(offset: poll.after, end: page.through)) }
    if isBeyond || isTooMuch {
      if !readPosition(poll, at: slot) { http.finish(Shard.busy, at: slot) }
      return
    }
    poll.after = page.next ?? page.through
    if page.notifications.isEmpty, !poll.isEnding, now < poll.endsAt {
      if page.next == nil { return wait(poll, at: slot) }
      // The page scanned only muted or damaged rows.
      if !read(poll, at: slot) { http.finish(Shard.busy, at: slot) }
      return
    }
    let cursor = core.store.history.cursors.text(at: poll.after)
    http.finish(Endpoints.polled(page.notifications, cursor), at: slot)
  }

  private static let busy = Refusal.busy.answer

  /// Waits for a new notification, unless one was announced during the read.
  private func wait(_ poll: Poll, at slot: UInt32) {
    if poll.deferredThrough > poll.after {
      if !read(poll, at: slot) { http.finish(Shard.busy, at: slot) }
      return
    }
    table[slot].deadline = poll.endsAt
    connections.scheduleTimer(slot)
  }

  /// Wakes the poll at `slot`, if there is one, for an event of its user.
  func wakePoll(_ event: Event, at slot: UInt32) {
    guard let offset = event.offset,
      let poll = table[slot].activity.exchange?.poll, offset > poll.after
    else { return }
    switch event.body {
    case .stored:
      poll.deferredThrough = max(poll.deferredThrough, offset)
      if !poll.isReading, !read(poll, at: slot) { http.finish(Shard.busy, at: slot) }
    case .storedForEveryone:
      // This wakes every poll at once, so their reads are paced.
      poll.deferredThrough = max(poll.deferredThrough, offset)
      if poll.isReading { return }
      expectReply(to: poll.query, for: poll, at: slot) { $0.take($1, for: $2, at: $3) }
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
    http.finish(Endpoints.polled([], cursor), at: slot)
  }
}
