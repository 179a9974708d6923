// `GET /api/v1/notifications/poll`: long-polling, for clients behind firewalls that break
// everything else.
//
// A poll that waits is listed in the directory like a session, and holds nothing but its request.
// It is listed before it first reads from the store, so there is no moment in which a notification
// is neither in what it read nor announced to it: what is announced while it reads is noted, and
// read again where the answer does not include it. What it is answered always comes from the
// store, in the store's order.

internal import Broadcast
internal import Notifications
internal import Wire

/// A poll under way.
final class Poll {
  let user: UserID
  /// The client knows everything up to here.
  var after: UInt64
  /// When it is answered with nothing.
  let endsAt: UInt64
  /// The largest offset of a notification that came by.
  var deferredThrough: UInt64 = 0
  /// Whether the store has been asked and has not answered.
  var isReading = false
  /// Whether the store's next answer is the last, whatever it is.
  var isEnding = false

  init(user: UserID, after: UInt64, endsAt: UInt64) {
    self.user = user
    self.after = after
    self.endsAt = endsAt
  }
}

extension Exchange {
  /// The poll that this request is.
  var poll: Poll? {
    if case .poll(let poll) = pending { return poll }
    return nil
  }
}

extension Endpoints {
  /// Seconds that a poll waits unless the request says otherwise, and at the most.
  private static let defaultWait: UInt64 = 25
  private static let longestWait: UInt64 = 60

  /// What is newer than `since`, or the first that comes in `wait` seconds.
  static func poll(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let user = try user(of: request)
    let wait = try number("wait", in: request.query, 0...longestWait) ?? defaultWait
    let store = shard.core.store
    let after: UInt64
    switch request.query["since"] {
    case nil, "":
      return try ask(.position(user: user), .position(isResync: false), request, on: shard)
    case "0":
      after = 0
    case .some(let since):
      guard let cursor = Cursor(since), cursor.epoch == store.epoch, cursor.offset >= store.horizon
      else {
        shard.metrics.add(.resyncs)
        return try ask(.position(user: user), .position(isResync: true), request, on: shard)
      }
      after = cursor.offset
    }
    return try shard.beginPoll(request, user: user, after: after, waitMilliseconds: wait * 1_000)
  }

  /// The answer to a poll.
  static func polled(
    _ notifications: [Notification], _ cursor: Cursor, isResync: Bool = false
  ) -> Answer {
    .object { data in
      data.memberName("notifications")
      data.append(0x5B)
      for (index, notification) in notifications.enumerated() {
        if index > 0 { data.append(0x2C) }
        data.appendNotification(notification)
      }
      data.append(0x5D)
      data.member("cursor", cursor.description)
      if isResync { data.member("resync", true) }
    }
  }
}

extension Shard {
  /// Notifications in one answer.
  private static let pollLimit = 200

  /// Lists the poll, then reads for the first time.
  func beginPoll(
    _ request: Request, user: UserID, after: UInt64, waitMilliseconds: UInt64
  ) throws(Refusal) -> EndpointResult {
    let slot = request.slot
    // guard: session-quota-poll
    guard countSession(of: user, at: slot) else { throw Refusal(Shard.tooManySessions) }
    table[slot].user = user
    table[slot].tokenEnd = request.caller.end
    table[slot].userAgent = userAgents.shared(userAgent(of: request.head))
    // Nobody is served beyond its token.
    let endsAt = min(now + waitMilliseconds, tokenEndTime(slot) ?? .max)
    let poll = Poll(user: user, after: after, endsAt: endsAt)
    // A server that is shutting down answers with what there is.
    poll.isEnding = drain != nil
    list(slot)
    guard read(poll, at: slot) else {
      unlist(slot)
      throw .busy
    }
    return .later(.poll(poll))
  }

  /// Asks the store for what is newer; false when it takes no more questions.
  private func read(_ poll: Poll, at slot: UInt32) -> Bool {
    ask(question(of: poll), poll, at: slot)
  }

  func question(of poll: Poll) -> StoreQuery {
    .missed(user: poll.user, after: poll.after, limit: Shard.pollLimit)
  }

  private func ask(_ query: StoreQuery, _ poll: Poll, at slot: UInt32) -> Bool {
    let id = table.id(of: slot)
    let mailbox = mailbox
    poll.isReading = core.store.read(query) { answer in
      mailbox.append(.answer(id, answer))
    }
    return poll.isReading
  }

  /// Takes the store's answer: the poll's own, or a reason to wait.
  func continuePoll(_ poll: Poll, _ answer: StoreAnswer, at slot: UInt32) {
    poll.isReading = false
    let epoch = core.store.epoch
    switch answer {
    case .missed(let page, let through, let next, let total, _):
      let isTooMuch = (total ?? page.count) > core.configuration.limits.missedLimit
      if poll.after > through || isTooMuch {
        metrics.add(.resyncs)
        if !ask(.position(user: poll.user), poll, at: slot) { finish(slot, Shard.busy) }
        return
      }
      poll.after = next ?? through
      if page.isEmpty, !poll.isEnding, now < poll.endsAt {
        if next == nil { return wait(poll, at: slot) }
        // Nothing but silent ones so far.
        if !read(poll, at: slot) { finish(slot, Shard.busy) }
        return
      }
      finish(slot, Endpoints.polled(page, Cursor(epoch: epoch, offset: poll.after)))
    case .position(let offset, _):
      finish(slot, Endpoints.polled([], Cursor(epoch: epoch, offset: offset), isResync: true))
    case .page, .counts, .preferences, .keptRooms, .failed:
      finish(slot, .unavailable("unreadable", "the store cannot be read just now"))
    }
  }

  private static let busy = Refusal.busy.answer

  /// Waits for something new, unless it came while the store was read.
  private func wait(_ poll: Poll, at slot: UInt32) {
    if poll.deferredThrough > poll.after {
      if !read(poll, at: slot) { finish(slot, Shard.busy) }
      return
    }
    table[slot].deadline = poll.endsAt
    scheduleTimer(slot)
  }

  /// Something happened to the user of the request at `slot`, which waits for it if it is a poll.
  func wakePoll(_ event: Event, at slot: UInt32) {
    guard let offset = event.offset,
      let poll = (table[slot].task as? Exchange)?.poll, offset > poll.after
    else { return }
    switch event.body {
    case .stored:
      poll.deferredThrough = max(poll.deferredThrough, offset)
      if !poll.isReading, !read(poll, at: slot) { finish(slot, Shard.busy) }
    case .storedForEveryone:
      // As many as there are polls: they take turns.
      poll.deferredThrough = max(poll.deferredThrough, offset)
      if poll.isReading { return }
      poll.isReading = true
      awaitCatchUp(slot)
    default:
      return
    }
  }

  /// Answers the poll with nothing, or with what the store is about to say.
  func end(_ poll: Poll, at slot: UInt32) {
    guard !poll.isReading else {
      poll.isEnding = true
      table[slot].deadline = .max
      return scheduleTimer(slot)
    }
    finish(slot, Endpoints.polled([], Cursor(epoch: core.store.epoch, offset: poll.after)))
  }
}
