// The history of a store, and whether a client's cursor belongs to it.
//
// Offsets alone do not identify a history: a store that was restored from a copy, or that lost the
// end of its log, gives the same offsets to other notifications. So each start of a server draws an
// incarnation, a random name that no other start draws, and cursors name it:
//
//     offsets       1 2 3  4 5 6  7 8 …
//     incarnation   ├ k ─┤ ├ w ─┤ ├ p ─      p began at 6, so a cursor of w beyond 6 is of commits
//                                            that this store does not have
//
// The first commit of a run stores its incarnation. Until then the run has given out no offset, and
// cursors name the incarnation before. So each cursor names one that is on the disk, in the same
// file as the commit at the cursor's offset, and none costs a sync of its own: a power cut takes no
// incarnation away from a cursor. The commits before the first incarnation have no name: those of
// stores from before incarnations existed.

package import Wire

/// The incarnations of one store, as they are when a server opens it.
package struct StoreHistory: Sendable {
  /// One run of a server on the store.
  package struct Incarnation: Equatable, Sendable {
    /// Empty for the unnamed one at the beginning.
    package let name: String
    /// The store's newest offset when the run began.
    package let start: UInt64

    package init(name: String, start: UInt64) {
      self.name = name
      self.start = start
    }
  }

  /// What a cursor proves.
  package enum Continuity: Equatable, Sendable {
    /// The store has the history through the cursor, or the newest commit is before the cursor.
    case proven
    /// The cursor is of another store, or too old to be known.
    case unknown
    /// The store once had commits that it does not have now.
    case lost(HistoryLoss)
  }

  /// The spelling of this run's cursors.
  package let cursors: CursorFormat
  private let latest: Incarnation
  /// The newest offset of each earlier incarnation.
  private let ends: [TextKey: UInt64]
  /// The newest offset of the incarnations that the store no longer lists; nil if it lists all.
  private let forgottenThrough: UInt64?

  package var epoch: String { cursors.epoch }

  /// Makes the history of a store.
  ///
  /// `stored` is oldest first; nil stands for a damaged one, which proves nothing about the commits
  /// before it. `isComplete` is whether the first of them is the store's first. `latest` is the one
  /// that this run has drawn.
  package init(
    epoch: String, stored: [Incarnation?] = [], isComplete: Bool = true,
    latest: Incarnation = Incarnation(name: "", start: 0)
  ) {
    var ends: [TextKey: UInt64] = [:]
    var end = latest.start
    for incarnation in stored.reversed() {
      if let incarnation { ends[TextKey(incarnation.name)] = end }
      // The store may have gone back before, so an end is never after a later start.
      end = min(end, incarnation?.start ?? 0)
    }
    if isComplete { ends[TextKey("")] = end }
    ends[TextKey(latest.name)] = nil
    self.ends = ends
    self.latest = latest
    forgottenThrough = isComplete ? nil : end
    if let last = stored.last, last == nil {
      cursors = CursorFormat(epoch: epoch, latest: latest.name)
    } else {
      cursors = CursorFormat(
        epoch: epoch, earlier: (stored.last ?? nil)?.name ?? "", latest: latest.name,
        start: latest.start)
    }
  }

  /// Makes the history of a damaged store, which proves no cursor from before this run.
  package init(unproven epoch: String, latest: Incarnation) {
    self.latest = latest
    ends = [:]
    forgottenThrough = .max
    cursors = CursorFormat(epoch: epoch, latest: latest.name)
  }

  /// What `cursor` proves.
  ///
  /// Whether a cursor of the latest incarnation is beyond its end, only a reading of the store
  /// shows.
  package func continuity(of cursor: Cursor) -> Continuity {
    guard cursor.epoch == epoch else { return .unknown }
    if cursor.incarnation == latest.name { return .proven }
    guard let end = ends[TextKey(cursor.incarnation)] else {
      let isForgotten = forgottenThrough.map { cursor.offset <= $0 } ?? false
      if isForgotten || cursor.incarnation.isEmpty { return .unknown }
      // guard: unknown-incarnation-is-loss
      return .lost(HistoryLoss(offset: cursor.offset, end: nil))
    }
    // guard: cursor-beyond-incarnation
    guard cursor.offset <= end else {
      return .lost(HistoryLoss(offset: cursor.offset, end: end))
    }
    return .proven
  }
}

/// Proof that a store has lost commits: a client has a cursor of them.
package struct HistoryLoss: Equatable, Sendable, CustomStringConvertible {
  /// The cursor's offset.
  package let offset: UInt64
  /// Where the cursor's incarnation ends in the store; nil if the store does not know it.
  package let end: UInt64?

  package init(offset: UInt64, end: UInt64?) {
    self.offset = offset
    self.end = end
  }

  package var description: String {
    guard let end else {
      return "a client's cursor, at offset \(offset), is of a run that the store does not know; "
        + "changes missing: unknown"
    }
    return "a client's cursor is at offset \(offset) of a run that ends at \(end) in the store; "
      + "changes missing: \(offset - min(end, offset))"
  }
}
