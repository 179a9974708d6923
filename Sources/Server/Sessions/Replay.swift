// Resuming: missed notifications are read from the store in pages, then the session goes live.
// Nothing is missing, duplicated or out of order, even while publishing continues.
//
// A session is listed before its first page is read, so it sees every event from then on. While it
// replays, stored notifications are deferred, not delivered; pages are read until one was read
// after the last deferred one. Offsets decide the rest:
//
//     rows of the pages … through │ deferred, not yet read │ live
//
// - A page is processed only after every event that it includes has come out of the ring. The
//   store's reader sees a commit before the shards do. An event that comes out after its page was
//   processed would be sent twice. If it were skipped because the page has its row, a client that
//   got an older state of the row from an earlier page would miss it.
// - A change (read, deleted) is sent at once. A page that was read before a change that the client
//   has already received is stale, and is read again; so counts never go back.
//
// A dialect that greets with the user's counts begins this way even when there is nothing to
// resume: its greeting waits for the first answer, and nothing else is sent before it. Such a
// session begins at the store's newest commit of the moment when it was opened: a notification that
// is published after its client has the head of the response is sent, also when the answer with the
// counts includes it already.
//
// If continuity cannot be proven, the client receives `resync` with the current cursor, and goes
// live from there.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// A resumption in progress.
final class Replay {
  /// Everything up to this offset was sent.
  var after: UInt64
  /// The largest offset of a notification that was deferred.
  var deferredThrough: UInt64 = 0
  /// The largest offset of a change seen so far, delivered unless it preceded the greeting.
  var changedThrough: UInt64 = 0
  /// Whether a page was requested from the store and has not arrived.
  var isReading = false
  /// Whether the first page, which proves continuity, has arrived.
  var isProven = false
  /// Whether the client asked to begin at the current position, not at a cursor.
  let beginsNow: Bool
  /// Whether a loss of continuity gets a message of its own.
  let announcesLoss: Bool
  /// Whether the greeting, with the client's position, was sent.
  var isGreeted = false
  /// The fields of a greeted stream's first event, until there is one.
  var opening: StreamOpening?
  /// Rooms to join after the greeting.
  var rooms: [RoomName] = []
  /// Whether to read the current position: continuity is lost, or was not asked for.
  var continuityLost: Bool
  /// A message of the client that is still in fragments.
  var assembly: MessageAssembly?
  /// The page that the client asked for during the replay.
  var wantedPage: PageRequest?
  /// Whether a live session only reads notifications for everyone, unnoticed by its client.
  let isCatchUp: Bool
  /// The version of the counts that the last notification was sent with.
  ///
  /// Muted notifications after it, which are not sent, have made the counts newer.
  var sentVersion: UInt64?
  /// Notifications that expired for everyone during the replay; its end sends them as deleted.
  var gone: [NotificationID] = []
  /// The fetch that was in progress when the session began to catch up: its page is still to come.
  var fetch: Fetch?

  init(
    after: UInt64, continuityLost: Bool, beginsNow: Bool = false, announcesLoss: Bool = true,
    isCatchUp: Bool = false
  ) {
    self.after = after
    self.continuityLost = continuityLost
    self.beginsNow = beginsNow
    self.announcesLoss = announcesLoss
    self.isCatchUp = isCatchUp
  }

  /// Takes the fields of a stream's first event, for the event that is written next.
  func takeOpening() -> StreamOpening? {
    defer { opening = nil }
    return opening
  }

  /// Keeps a room to join after the greeting.
  func hold(_ room: RoomName, limit: Int) {
    // One more than the limit is kept: joining it sends the client the error.
    guard !rooms.contains(where: { TextKey($0) == TextKey(room) }), rooms.count <= limit else {
      return
    }
    rooms.append(room)
  }

  /// Records a live event; whether it is delivered now.
  func admits(_ event: Event, offset: UInt64) -> Bool {
    if case .stored = event.body {
      deferredThrough = max(deferredThrough, offset)
      return false
    }
    changedThrough = max(changedThrough, offset)
    // Nothing is sent before the greeting, and its position is read again after this change.
    return isGreeted
  }
}

extension SessionReads {
  /// Notifications per page read from the store.
  static let pageLimit = 200
  /// The most bytes that such a page takes as frames.
  ///
  /// The store ends a page after the row that passes 128 KiB, a row is at most 26 KiB, and a
  /// control character in a row's text takes six bytes instead of one.
  static let missedBytesLimit = 1_024 * 1_024
  /// A last page of at most so many bytes is queued like live frames.
  private static let smallPageBytes = 16 * 1_024

  /// Begins where `since=` says: at a cursor, at the beginning (`0`), or at the current position.
  ///
  /// An empty `since=` means the current position, and so does a missing one. `announcesLoss` is
  /// whether a loss of continuity gets a message of its own.
  func beginReplay(_ since: String?, announcesLoss: Bool = true, at slot: UInt32) {
    if since != nil { metrics.add(.replays) }
    let since = since ?? ""
    let greetsAtOnce = !encoder(of: slot).dialect.greetsWithCounts
    let replay: Replay
    if since == "0" {
      replay = Replay(after: 0, continuityLost: false)
    } else if since.isEmpty {
      replay = Replay(after: core.store.lastOffset, continuityLost: true, beginsNow: true)
    } else if let cursor = Cursor(since), isProven(cursor) {
      // guard: cursor-before-horizon
      replay = Replay(
        after: cursor.offset, continuityLost: cursor.offset < core.store.horizon,
        announcesLoss: announcesLoss)
    } else {
      replay = Replay(after: 0, continuityLost: true, announcesLoss: announcesLoss)
    }
    setActivity(.replay(replay), at: slot)
    if !replay.continuityLost, greetsAtOnce {
      life.greet(slot, cursor: core.store.history.cursors.cursor(at: replay.after), nil)
      replay.isGreeted = true
    }
    continueReplay(slot)
  }

  /// Reads the next page after the previous one has been sent, and everything else queued.
  func continueReplay(_ slot: UInt32) {
    guard let replay = table[slot].activity.replay, !replay.isReading,
      !delivery[slot].flags.contains(.blocked)
    else { return }
    if replay.isCatchUp {
      replay.isReading = true
      return awaitCatchUp(slot)
    }
    let user = table[slot].user
    let query: StoreQuery =
      replay.continuityLost
      ? .position(user: user)
      : .missed(user: user, after: replay.after, limit: SessionReads.pageLimit)
    replay.isReading = storeReads.ask(query, at: slot) == .taken
    if !replay.isReading { refuse(slot) }
  }

  /// Handles a page, or the current position.
  func continueReplay(_ slot: UInt32, _ answer: StoreAnswer) {
    guard let replay = table[slot].activity.replay, table[slot].state == .session,
      !takeLate(answer, for: replay)
    else { return }
    replay.isReading = false
    switch answer {
    case .position(let offset, let counts):
      begin(replay, at: offset, counts, slot)
    case .missed(let page, let through, let next, let total, let counts):
      take(page, through, next, total, counts, for: replay, at: slot)
    case .page, .counts, .preferences, .keptRooms, .outbox, .apiKeys, .failed:
      life.close(slot, code: 1011, reason: "the store cannot be read")
    }
  }

  /// Continues from the current position: it was asked for, or continuity is lost.
  private func begin(_ replay: Replay, at offset: UInt64, _ counts: Counts, _ slot: UInt32) {
    // Nothing is sent before the greeting. Deferred notifications follow it; it has to include a
    // change that was not delivered, so an older position is read again.
    if !replay.isGreeted, replay.changedThrough > offset { return continueReplay(slot) }
    // guard: begins-when-opened
    if !replay.beginsNow || replay.deferredThrough <= replay.after { replay.after = offset }
    let cursor = core.store.history.cursors.cursor(at: replay.after)
    replay.continuityLost = false
    replay.isProven = true
    if !replay.isGreeted { life.greet(slot, cursor: cursor, counts) }
    replay.isGreeted = true
    let dialect = encoder(of: slot).dialect
    if replay.beginsNow {
      write(to: slot) { dialect.writeBegun(counts, time: wall, to: &$0) }
    } else {
      metrics.add(.resyncs)
      if replay.announcesLoss {
        write(to: slot) { dialect.writeResync(cursor, time: wall, to: &$0) }
      }
    }
    if replay.deferredThrough > replay.after || replay.changedThrough > offset {
      continueReplay(slot)
    } else {
      goLive(slot)
      guard !replay.beginsNow else { return }
      write(to: slot) { dialect.writeBegun(counts, time: wall, to: &$0) }
    }
  }

  private func take(
    _ page: [Notification], _ through: UInt64, _ next: UInt64?, _ total: Int?, _ counts: Counts,
    for replay: Replay, at slot: UInt32
  ) {
    if !replay.isProven {
      let exceedsLimit = (total ?? page.count) > limits.missedLimit
      // guard: cursor-beyond-newest-commit
      let isBeyond = replay.after > through
      if isBeyond { report(HistoryLoss(offset: replay.after, end: through)) }
      if isBeyond || exceedsLimit {
        replay.continuityLost = true
        return continueReplay(slot)
      }
      replay.isProven = true
    }
    if replay.changedThrough > through { return continueReplay(slot) }
    if !replay.isGreeted {
      // The greeting of a stream is a part of its first event, so it waits for one.
      // guard: stream-opening-in-first-event
      if page.isEmpty, next != nil || replay.deferredThrough > through,
        encoder(of: slot).dialect.greetsInNextMessage
      {
        replay.after = next ?? through
        return continueReplay(slot)
      }
      life.greet(
        slot, cursor: core.store.history.cursors.cursor(at: replay.after), counts, isResumed: true)
      replay.isGreeted = true
    }
    let encoder = encoder(of: slot)
    encoder.writer.removeAll()
    encoder.writer.opening = replay.takeOpening()
    for notification in page {
      encoder.dialect.writeMissed(notification, counts, to: &encoder.writer)
    }
    if let last = page.last {
      replay.sentVersion = counts.version
      if encoder.keepsPositions {
        table[slot].engineLink.socketIO?.keepPosition(last.offset, at: slot)
      }
    }
    replay.after = next ?? through
    // After a large page the session goes live only when the client has accepted the page, so that
    // live frames have the whole backlog limit to themselves.
    let isSmall = encoder.writer.bytes.count <= SessionReads.smallPageBytes
    let isCaughtUp = next == nil && isSmall && replay.deferredThrough <= through
    if isCaughtUp { writeEnd(of: replay, counts, to: encoder, at: slot) }
    if replay.isCatchUp {
      metrics.add(.framesDelivered, encoder.writer.count)
    } else {
      metrics.add(.replayedNotifications, page.count)
    }
    let frames = encoder.writer.bytes
    encoder.writer.removeAll()
    if isCaughtUp {
      goLive(slot)
      guard table[slot].state == .session else { return }
      delivery.send(frames, to: slot)
    } else if frames.isEmpty {
      continueReplay(slot)
    } else {
      // The next page is read when this one has been sent: see `sentAll`.
      delivery.send(frames, to: slot)
    }
  }

  /// Writes the end of a replay: the counts, with the notifications that expired during it, if any.
  private func writeEnd(
    of replay: Replay, _ counts: Counts, to encoder: GroupEncoder, at slot: UInt32
  ) {
    if !replay.gone.isEmpty {
      let event = Event(
        audience: .user(table[slot].user), body: .deleted(replay.gone, counts), timestamp: wall)
      encoder.dialect.write(event, to: &encoder.writer)
    } else if replay.isCatchUp {
      encoder.dialect.writeCaughtUp(
        counts, hasSent: replay.sentVersion == counts.version, time: wall, to: &encoder.writer)
    } else {
      encoder.dialect.writeResumed(counts, time: wall, to: &encoder.writer)
    }
  }

  private func goLive(_ slot: UInt32) {
    let replay = table[slot].activity.replay
    if let pending = replay?.fetch {
      // Its page is older than frames sent since, so it is read again when it arrives.
      pending.changedThrough = .max
      pending.assembly = replay?.assembly
      pending.next = replay?.wantedPage ?? pending.next
      setActivity(.fetch(pending), at: slot)
      return continueFetch(slot)
    }
    setActivity(.idle, at: slot)
    table[slot].activity.assembly = replay?.assembly
    if let wanted = replay?.wantedPage { fetch(wanted, at: slot) }
  }
}
