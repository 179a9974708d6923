// What sessions read from the store: missed notifications, those for everyone, and pages.
//
//     Replay.swift     a resuming session: missed notifications before live ones
//     CatchUp.swift    notifications for everyone, which each live session reads
//     Fetch.swift      a page for a client that asks for it

internal import Broadcast
internal import Delivery
internal import Notifications

/// The reads of a shard's sessions, and the order of their results with the events of the ring.
///
/// Invariant: an answer is handled only after every event that it includes has come out of the
/// ring. At most `CatchUps.readLimit` reads of notifications for everyone are in flight.
final class SessionReads: ShardComponent {
  let context: ShardContext
  let life: SessionLife
  private let pages: PageMemory
  let storeReads: StoreReads
  /// All events of the store up to this offset have come out of the ring.
  private(set) var appliedOffset: UInt64
  /// The store's answers to sessions, kept until the events that they include leave the ring.
  private var answersAheadOfRing: [AnswerAheadOfRing] = []
  /// Sessions and polls that wait to read notifications for everyone.
  private var catchUps = CatchUps()

  init(
    _ context: ShardContext, _ life: SessionLife, _ pages: PageMemory, _ storeReads: StoreReads
  ) {
    self.context = context
    self.life = life
    self.pages = pages
    self.storeReads = storeReads
    appliedOffset = context.core.firstOffset
  }

  /// Traps in a debug build when more reads are in flight than may be.
  func checkInvariants() {
    assert(0...CatchUps.readLimit ~= storeReads.catchUpCount, "\(storeReads.catchUpCount) reads")
  }

  // MARK: The order of answers and events

  /// Notes that every event up to `offset` has come out of the ring.
  func noteApplied(through offset: UInt64) { appliedOffset = max(appliedOffset, offset) }

  /// Whether an answer is kept although its events have all come out of the ring.
  var hasTakeableAnswers: Bool {
    answersAheadOfRing.contains { $0.through <= appliedOffset }
  }

  /// Whether the session at `slot` gets `event` now; a replay records the events that it defers.
  func admits(_ event: Event, at slot: UInt32) -> Bool {
    guard let offset = event.offset else {
      return !delivery[slot].flags.contains(.handshakePending)
    }
    if let replay = table[slot].activity.replay {
      return replay.admits(event, offset: offset)
    }
    // Its greeting reads the store later, and so includes this event.
    if delivery[slot].flags.contains(.handshakePending) { return false }
    if let fetch = table[slot].activity.fetch { fetch.changedThrough = offset }
    return true
  }

  /// Handles the store's answer to a session, or keeps it until the ring has caught up with it.
  func takeWhenApplied(_ answer: StoreAnswer, at slot: UInt32) {
    if let through = answer.through, through > appliedOffset {
      answersAheadOfRing.append(
        AnswerAheadOfRing(id: table.id(of: slot), answer: answer, through: through))
    } else {
      if let fetch = table[slot].activity.fetch {
        take(answer, for: fetch, at: slot)
      } else {
        continueReplay(slot, answer)
      }
      // The queued part of the page is among the connection's own bytes.
      pages.settle(at: slot, to: delivery[slot].queuedByteCount, isPrivate: true)
    }
  }

  /// Ends a session for which the store was not read: too much is read or sent at once.
  func refuse(_ slot: UInt32) {
    life.close(slot, code: 1013, reason: "the store is at its limit, try again")
  }

  /// Handles the kept answers with which the ring has caught up.
  func takeAnswersAheadOfRing() {
    guard hasTakeableAnswers else { return }
    let waiting = answersAheadOfRing
    answersAheadOfRing.removeAll()
    for early in waiting where table.holds(early.id) {
      takeWhenApplied(early.answer, at: early.id.slot)
    }
  }

  // MARK: Kept rooms

  /// Reads the rooms of the client that returns at `slot`.
  func askForRooms(of recovery: RecoveryID, at slot: UInt32) {
    let query = StoreQuery.keptRooms(session: recovery, user: table[slot].user)
    if storeReads.ask(query, at: slot, for: .keptRooms) != .taken { refuse(slot) }
  }

  // MARK: Reads of notifications for everyone

  /// Milliseconds until a queued read may start; nil when none waits for that.
  ///
  /// At the read limit, the store's next answer wakes the shard instead.
  var pauseMilliseconds: Int32? {
    guard catchUps.isWaiting, storeReads.catchUpCount < CatchUps.readLimit else { return nil }
    return Int32(CatchUps.pauseMilliseconds)
  }

  /// Appends the session or poll at `slot` to the queue of readers.
  func awaitCatchUp(_ slot: UInt32) {
    catchUps.append(table.id(of: slot))
  }

  /// Has the connection at `slot` wait again if memory is short for all, as its read was refused;
  /// false if only its own user or address has used up its share.
  func awaitMemory(_ slot: UInt32) -> Bool {
    // guard: catch-up-waits-for-memory
    guard !pages.hasRoom else { return false }
    catchUps.pausedUntil = now + CatchUps.pauseMilliseconds
    awaitCatchUp(slot)
    return true
  }

  /// Starts queued reads up to the limit, while the store accepts them.
  ///
  /// Returns the connections of which the user's memory for pages is used up.
  func startReads() -> [ConnectionID] {
    guard catchUps.isWaiting, now >= catchUps.pausedUntil else { return [] }
    var refused: [ConnectionID] = []
    while storeReads.catchUpCount < CatchUps.readLimit, let id = catchUps.next {
      guard table.holds(id), let query = catchUpQuery(of: id.slot) else {
        catchUps.removeFirst()
        continue
      }
      guard pages.hasRoom else {
        catchUps.pausedUntil = now + CatchUps.pauseMilliseconds
        return refused
      }
      switch storeReads.ask(query, at: id.slot, for: .catchUp) {
      case .taken:
        break
      case .storeFull:
        catchUps.pausedUntil = now + CatchUps.pauseMilliseconds
        return refused
      case .noMemory:
        refused.append(id)
      }
      catchUps.removeFirst()
    }
    return refused
  }

  // MARK: Asked by tests only

  /// Reads that the store has not answered.
  var readCount: Int { storeReads.catchUpCount }
}
