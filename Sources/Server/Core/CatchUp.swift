// What is for everyone reaches each session with its user's own counts, in its place among the
// user's own notifications.
//
// The event says only that there is something. Each open session then goes through the store as one
// that resumes does, from just before it: what comes behind it meanwhile is noted and read too, so
// the order is the store's. A session that resumes already takes note, and polls are woken. The
// client sees what a live notification shows it, and nothing of the way it came.
//
// Ten thousand sessions must not fill the store's queue, so a shard has `readLimit` of these reads
// under way; the rest wait in a list of places, and wait on where the store takes no more.

internal import Broadcast
internal import Notifications

/// The sessions and polls that wait to read what is for everyone.
struct CatchUps {
  /// Reads of one shard under way at once.
  static let readLimit = 64
  /// How long to wait when the store takes no more questions.
  static let pauseMilliseconds: UInt64 = 10

  private var waiting: [ConnectionID] = []
  private var first = 0
  /// Reads that the store has not answered.
  var readCount = 0
  /// Until then nothing is asked.
  var pausedUntil: UInt64 = 0

  var isWaiting: Bool { first < waiting.count }

  mutating func append(_ id: ConnectionID) {
    waiting.append(id)
  }

  /// The next one in line, which stays until `removeFirst`.
  var next: ConnectionID? { isWaiting ? waiting[first] : nil }

  mutating func removeFirst() {
    first += 1
    if first == waiting.count {
      waiting = []
      first = 0
    } else if first > 1_024, first > waiting.count / 2 {
      waiting.removeFirst(first)
      first = 0
    }
  }
}

extension Shard {
  /// Ids of expired notifications that a session may have waiting; past it the session is cut off,
  /// and reloads.
  private static let expiredLimit = 2_048

  /// Something for everyone is in the store, or has left it.
  func catchUp(_ event: Event) {
    guard let offset = event.offset else { return }
    table.forEachSlot { slot in
      guard table.contains(slot) else { return }
      switch table[slot].state {
      // Only a user's: what a session without one would read, the user that it gets later would be
      // given for its own.
      case .session where table[slot].flags.contains(.listed):
        catchUp(event, offset, at: slot)
      case .http:
        wakePoll(event, at: slot)
      case .session, .free, .closing, .lingering:
        break
      }
    }
  }

  private func catchUp(_ event: Event, _ offset: UInt64, at slot: UInt32) {
    let replay: Replay
    if let known = table[slot].task as? Replay {
      replay = known
    } else if table[slot].flags.contains(.handshakePending) {
      // It is still to begin, and reads this then: nothing overtakes its greeting.
      return
    } else {
      replay = Replay(after: offset - 1, continuityLost: false, isCatchUp: true)
      // Nothing was lost: up to here the session was told everything.
      replay.isProven = true
      replay.isGreeted = true
      if let fetch = table[slot].task as? Fetch {
        replay.fetch = fetch
        replay.assembly = fetch.assembly
      } else {
        replay.assembly = table[slot].task as? MessageAssembly
      }
      table[slot].task = replay
      table[slot].flags.insert(.replaying)
      metrics.add(.catchUps)
    }
    if case .expiredForEveryone(let ids) = event.body {
      replay.changedThrough = max(replay.changedThrough, offset)
      replay.gone += ids
      if replay.gone.count > Shard.expiredLimit {
        metrics.add(.slowConsumers)
        return close(slot, code: 1013, reason: "too far behind, resume with your cursor")
      }
    } else {
      replay.deferredThrough = max(replay.deferredThrough, offset)
    }
    if replay.isCatchUp { continueReplay(slot) }
  }

  /// Lets the session or poll at `slot` read when it is its turn.
  func awaitCatchUp(_ slot: UInt32) {
    catchUps.append(table.id(of: slot))
  }

  /// Asks the store for those whose turn it is.
  func readCatchUps() {
    guard catchUps.isWaiting, now >= catchUps.pausedUntil else { return }
    while catchUps.readCount < CatchUps.readLimit, let id = catchUps.next {
      guard table.holds(id), let query = catchUpQuery(of: id.slot) else {
        catchUps.removeFirst()
        continue
      }
      let mailbox = mailbox
      let isTaken =
        hasRoomForPage
        && core.store.read(query) { answer in
          mailbox.append(.caughtUp(id, answer))
        }
      guard isTaken else {
        catchUps.pausedUntil = now + CatchUps.pauseMilliseconds
        return
      }
      catchUps.removeFirst()
      catchUps.readCount += 1
    }
  }

  private func catchUpQuery(of slot: UInt32) -> StoreQuery? {
    switch table[slot].task {
    case let replay as Replay:
      return .missed(user: table[slot].user, after: replay.after, limit: Shard.pageLimit)
    case let exchange as Exchange:
      return exchange.poll.map { question(of: $0) }
    default:
      return nil
    }
  }

  /// A notification went out while the page of a fetch was read: it is read again, behind it.
  func takeLate(_ answer: StoreAnswer, for replay: Replay) -> Bool {
    guard case .page = answer, let fetch = replay.fetch else { return false }
    replay.fetch = nil
    replay.wantedPage = replay.wantedPage ?? fetch.next ?? fetch.request
    return true
  }
}
