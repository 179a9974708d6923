// Catch-up: a notification for everyone reaches each session with its own user's counts, in the
// store's order among the user's other notifications.
//
// The event carries no notification; it only announces that the store has one, or carries the ids
// of those that expired. Each open session then reads the store from just before the event's
// offset, as a resuming session does. Notifications that arrive during the read are deferred and
// read too, so the order is the store's. A session that is already replaying only records the
// offset, and waiting polls are woken. The client receives the same frames as for a live
// notification.
//
// Ten thousand sessions must not fill the store's queue, so a shard has at most `readLimit` of
// these reads in flight. The rest wait in a queue of connection ids, and stay there while the store
// accepts no more reads.

internal import Broadcast
internal import Delivery
internal import Notifications

/// The queue of sessions and polls that wait to read notifications for everyone.
struct CatchUps {
  /// Reads that one shard has in flight at once.
  static let readLimit = 64
  /// Pause after the store's queue was full.
  static let pauseMilliseconds: UInt64 = 10

  private var waiting: [ConnectionID] = []
  private var first = 0
  /// No read starts before this time.
  var pausedUntil: UInt64 = 0

  var isWaiting: Bool { first < waiting.count }

  mutating func append(_ id: ConnectionID) {
    waiting.append(id)
  }

  /// The first connection of the queue, which stays until `removeFirst`.
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

extension SessionReads {
  /// Ids of expired notifications that one session may have queued; a session with more is closed
  /// with 1013, and its client reloads.
  static let expiredLimit = 2_048

  /// Brings a live session up to date after a notification for everyone was stored or expired.
  func catchUp(_ event: Event, _ offset: UInt64, at slot: UInt32) {
    let replay: Replay
    if let known = table[slot].activity.replay {
      replay = known
    } else if delivery[slot].flags.contains(.handshakePending) {
      // Nothing may precede the greeting; the session reads this notification when it begins.
      return
    } else {
      replay = Replay(after: offset - 1, continuityLost: false, isCatchUp: true)
      // The session has received everything before `offset`, so continuity needs no proof.
      replay.isProven = true
      replay.isGreeted = true
      if let fetch = table[slot].activity.fetch {
        replay.fetch = fetch
        replay.assembly = fetch.assembly
      } else {
        replay.assembly = table[slot].activity.assembly
      }
      setActivity(.replay(replay), at: slot)
      metrics.add(.catchUps)
    }
    if case .expiredForEveryone(let ids) = event.body {
      replay.changedThrough = max(replay.changedThrough, offset)
      replay.gone += ids
      if replay.gone.count > SessionReads.expiredLimit {
        metrics.add(.slowConsumers)
        return life.close(slot, code: 1013, reason: "too far behind, resume with your cursor")
      }
    } else {
      replay.deferredThrough = max(replay.deferredThrough, offset)
    }
    if replay.isCatchUp { continueReplay(slot) }
  }

  /// The query of the queued read at `slot`; nil if it no longer waits for one.
  func catchUpQuery(of slot: UInt32) -> StoreQuery? {
    switch table[slot].activity {
    case .replay(let replay):
      .missed(user: table[slot].user, after: replay.after, limit: SessionReads.pageLimit)
    case .request(let exchange):
      exchange.poll?.query.query
    case .idle, .fragments, .fetch, .authentication, .probe:
      nil
    }
  }

  /// Discards the page of a fetch that was in flight when the catch-up began; false for any other
  /// answer.
  ///
  /// The page may predate a notification that the catch-up sends, so the session reads it again
  /// after the catch-up.
  func takeLate(_ answer: StoreAnswer, for replay: Replay) -> Bool {
    guard case .page = answer, let fetch = replay.fetch else { return false }
    replay.fetch = nil
    replay.wantedPage = replay.wantedPage ?? fetch.next ?? fetch.request
    return true
  }
}
