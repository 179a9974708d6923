// Resuming: what was missed comes from the store in pages, then the session goes on live, with
// nothing missing, doubled or out of order while publishing goes on.
//
// A session is listed before the first page is read, so it sees every event from then on. While it
// replays, its stored notifications are not delivered but noted; pages are read until one was read
// after the last noted one. Offsets decide the rest:
//
//     rows of the pages … through │ noted, not yet read │ live
//
// - A page is not looked at before every event that it includes has come out of the ring. A reader
//   sees a commit before the shards do, and an event that came after the page would be told twice
//   or, left out because its row was in the page, not told to a client that has the row's old state
//   from an earlier one.
// - A change (read, deleted) goes out at once. A page that was read before a change that the
//   client was already told of is stale, and is read again; so counts never go back.
//
// A dialect that greets with the user's counts begins this way even when nothing is to be resumed:
// its greeting waits for the first answer, and until then nothing else is told.
//
// If continuity cannot be proven the client is told `resync` with the present cursor, and goes on
// live from there.

internal import Broadcast
internal import Notifications
internal import Wire

/// A resumption under way.
final class Replay: HoldsAssembly {
  /// Everything up to here was sent.
  var after: UInt64
  /// The largest offset of a notification that came by and was not delivered.
  var deferredThrough: UInt64 = 0
  /// The largest offset of a change that came by, delivered unless it was before the greeting.
  var changedThrough: UInt64 = 0
  /// Whether a page is on its way from the store.
  var isReading = false
  /// Whether the first page, which proves continuity, has come.
  var isProven = false
  /// Whether the client asked to begin now, not at a cursor.
  let beginsNow: Bool
  /// Whether the client has been told where it stands.
  var isGreeted = false
  /// What the client is to be let into once it has been.
  var rooms: [RoomName] = []
  /// Whether continuity is known to be lost, or was not asked for: the present position is read.
  var continuityLost: Bool
  /// A message of the client's that is still in fragments.
  var assembly: MessageAssembly?
  /// What the client asked for meanwhile.
  var wantedPage: PageRequest?
  /// Whether the session was live and only reads what is for everyone: the client knows of nothing.
  let isCatchUp: Bool
  /// The version of the counts that the last notification was sent with.
  ///
  /// What came behind it and does not ring has made them newer.
  var sentVersion: UInt64?
  /// What has left every inbox meanwhile: told at the end.
  var gone: [NotificationID] = []
  /// The fetch that was under way when a session began to catch up: its page is still to come.
  var fetch: Fetch?

  init(
    after: UInt64, continuityLost: Bool, beginsNow: Bool = false, isCatchUp: Bool = false
  ) {
    self.after = after
    self.continuityLost = continuityLost
    self.beginsNow = beginsNow
    self.isCatchUp = isCatchUp
  }

  /// Notes a room that the client is to be let into once it is greeted.
  func hold(_ room: RoomName, limit: Int) {
    // One more than it may be in: it is told so when it comes to that.
    guard !rooms.contains(where: { TextKey($0) == TextKey(room) }), rooms.count <= limit else {
      return
    }
    rooms.append(room)
  }

  /// Whether a live event is delivered now.
  func admits(_ event: Event, offset: UInt64) -> Bool {
    if case .stored = event.body {
      deferredThrough = max(deferredThrough, offset)
      return false
    }
    changedThrough = max(changedThrough, offset)
    // Nothing overtakes the greeting; what it is about is read after this change.
    return isGreeted
  }
}

extension Shard {
  /// Notifications read from the store at a time.
  static let pageLimit = 200
  /// What a page of them takes at the most, as frames.
  ///
  /// The store ends a page behind the row that passes 128 KiB, a row is 26 KiB at the most, and of
  /// a row's text a control character takes six bytes in place of one.
  static let missedBytesLimit = 1_024 * 1_024
  /// Frames of a last page up to this are queued like live ones.
  private static let smallPageBytes = 16 * 1_024

  /// Begins what `since=` asks for: a cursor, `0` for the beginning, or nothing for "from now on",
  /// which is also what a client is given that did not ask.
  func beginReplay(_ since: String?, at slot: UInt32) {
    if since != nil { metrics.add(.replays) }
    let since = since ?? ""
    let greetsAtOnce = !fanOutGroups[table[slot].group].dialect.greetsWithCounts
    table[slot].flags.insert(.replaying)
    let epoch = core.store.epoch
    let replay: Replay
    if since == "0" {
      replay = Replay(after: 0, continuityLost: false)
    } else if since.isEmpty {
      replay = Replay(after: 0, continuityLost: true, beginsNow: true)
    } else if let cursor = Cursor(since), cursor.epoch == epoch {
      // guard: cursor-before-horizon
      replay = Replay(after: cursor.offset, continuityLost: cursor.offset < core.store.horizon)
    } else {
      replay = Replay(after: 0, continuityLost: true)
    }
    table[slot].task = replay
    if !replay.continuityLost, greetsAtOnce {
      greet(slot, cursor: Cursor(epoch: epoch, offset: replay.after), nil)
      replay.isGreeted = true
    }
    continueReplay(slot)
  }

  /// Reads on when what was read before has been sent.
  func continueReplay(_ slot: UInt32) {
    guard let replay = table[slot].task as? Replay, !replay.isReading else { return }
    if replay.isCatchUp {
      replay.isReading = true
      return awaitCatchUp(slot)
    }
    let user = table[slot].user
    let query: StoreQuery =
      replay.continuityLost
      ? .position(user: user)
      : .missed(user: user, after: replay.after, limit: Shard.pageLimit)
    let id = table.id(of: slot)
    let mailbox = mailbox
    replay.isReading =
      hasRoomForPage
      && core.store.read(query) { answer in
        mailbox.append(.answer(id, answer))
      }
    if !replay.isReading {
      close(slot, code: 1013, reason: "the store is at its limit, try again")
    }
  }

  /// Takes a page, or the present position.
  func continueReplay(_ slot: UInt32, _ answer: StoreAnswer) {
    guard let replay = table[slot].task as? Replay, table[slot].state == .session,
      !takeLate(answer, for: replay)
    else { return }
    replay.isReading = false
    switch answer {
    case .position(let offset, let counts):
      begin(replay, at: offset, counts, slot)
    case .missed(let page, let through, let next, let total, let counts):
      take(page, through, next, total, counts, for: replay, at: slot)
    case .page, .counts, .preferences, .keptRooms, .failed:
      close(slot, code: 1011, reason: "the store cannot be read")
    }
  }

  /// Goes on from the present position: asked for, or because continuity is lost.
  private func begin(_ replay: Replay, at offset: UInt64, _ counts: Counts, _ slot: UInt32) {
    // Nobody is told anything before it is told where it stands. What was stored comes behind the
    // greeting; a change that was not told has to be before it.
    if !replay.isGreeted, replay.changedThrough > offset { return continueReplay(slot) }
    let cursor = Cursor(epoch: core.store.epoch, offset: offset)
    replay.after = offset
    replay.continuityLost = false
    replay.isProven = true
    if !replay.isGreeted { greet(slot, cursor: cursor, counts) }
    replay.isGreeted = true
    guard table.contains(slot), table[slot].state == .session else { return }
    if !replay.beginsNow {
      metrics.add(.resyncs)
      let group = fanOutGroups[table[slot].group]
      group.writer.removeAll()
      group.dialect.writeResync(cursor, time: wall, to: &group.writer)
      send(group.writer.bytes, to: slot)
      guard table.contains(slot), table[slot].state == .session else { return }
    }
    if replay.deferredThrough > offset || replay.changedThrough > offset {
      continueReplay(slot)
    } else {
      goLive(slot)
      let group = fanOutGroups[table[slot].group]
      group.writer.removeAll()
      group.dialect.writeBegun(counts, time: wall, to: &group.writer)
      send(group.writer.bytes, to: slot)
    }
  }

  private func take(
    _ page: [Notification], _ through: UInt64, _ next: UInt64?, _ total: Int?, _ counts: Counts,
    for replay: Replay, at slot: UInt32
  ) {
    if !replay.isProven {
      // A cursor from the future is one of a store that was since restored from a copy.
      let isTooMuch = (total ?? page.count) > core.configuration.limits.missedLimit
      if replay.after > through || isTooMuch {
        replay.continuityLost = true
        return continueReplay(slot)
      }
      replay.isProven = true
    }
    if replay.changedThrough > through { return continueReplay(slot) }
    if !replay.isGreeted {
      greet(
        slot, cursor: Cursor(epoch: core.store.epoch, offset: replay.after), counts,
        isResumed: true)
      replay.isGreeted = true
      guard table.contains(slot), table[slot].state == .session else { return }
    }
    let group = fanOutGroups[table[slot].group]
    group.writer.removeAll()
    for notification in page {
      group.dialect.writeMissed(notification, counts, to: &group.writer)
    }
    if !page.isEmpty { replay.sentVersion = counts.version }
    replay.after = next ?? through
    // Behind a large page the session does not go live before the client has taken it, so that
    // what it is allowed to be behind is its own.
    let isSmall = group.writer.bytes.count <= Shard.smallPageBytes
    let isCaughtUp = next == nil && isSmall && replay.deferredThrough <= through
    if isCaughtUp { writeEnd(of: replay, counts, to: group, at: slot) }
    if replay.isCatchUp {
      metrics.add(.framesDelivered, group.writer.count)
    } else {
      metrics.add(.replayedNotifications, page.count)
    }
    let frames = group.writer.bytes
    group.writer.removeAll()
    if isCaughtUp {
      goLive(slot)
      guard table[slot].state == .session else { return }
      send(frames, to: slot)
    } else if frames.isEmpty {
      continueReplay(slot)
    } else {
      // The next page is read when this one has been taken: see `sentAll`.
      send(frames, to: slot)
    }
  }

  /// Writes what a replay ends with: what has gone meanwhile, and the counts.
  private func writeEnd(
    of replay: Replay, _ counts: Counts, to group: FanOutGroup, at slot: UInt32
  ) {
    if !replay.gone.isEmpty {
      let event = Event(
        audience: .user(table[slot].user), body: .deleted(replay.gone, counts), timestamp: wall)
      group.dialect.write(event, to: &group.writer)
    } else if replay.isCatchUp {
      group.dialect.writeCaughtUp(
        counts, hasSent: replay.sentVersion == counts.version, time: wall, to: &group.writer)
    } else {
      group.dialect.writeResumed(counts, time: wall, to: &group.writer)
    }
  }

  private func goLive(_ slot: UInt32) {
    let replay = table[slot].task as? Replay
    table[slot].flags.remove(.replaying)
    if let late = replay?.fetch {
      // Its page was read before what was told since, so it is read again when it comes.
      late.changedThrough = .max
      late.assembly = replay?.assembly
      late.next = replay?.wantedPage ?? late.next
      table[slot].task = late
      return
    }
    table[slot].task = replay?.assembly
    if let wanted = replay?.wantedPage { fetch(wanted, at: slot) }
  }
}
