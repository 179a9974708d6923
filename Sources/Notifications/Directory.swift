// The connections of each user on one shard.
//
// A dictionary maps a user to the first of its connection indexes; links join the indexes in a
// ring:
//
//     user ─▶ 7        next:      7 ─▶ 12 ─▶ 3 ─▶ 7
//                      previous:  7 ─▶ 3 ─▶ 12 ─▶ 7
//
// So a user with one connection needs no array. An entry costs 20 bytes of dictionary (at most 53
// just after it doubled) and 8 bytes of links: 61 bytes, plus the text of the id, which is shared
// with the connection.

/// Maps each user to its connection indexes in the shard's slab.
///
/// All operations are O(1) except walking a user's connections, which are visited in insertion
/// order. No order depends on hashing. Confined to its shard.
///
/// Invariant: the links of each user's connections form one ring, and every linked index is in
/// exactly one ring.
package struct Directory: Sendable {
  private static let unlinked = UInt32.max

  private var firstSlots: [TextKey: UInt32] = [:]
  private var next: [UInt32] = []
  private var previous: [UInt32] = []
  package private(set) var connectionCount = 0

  package init() {}

  package var userCount: Int { firstSlots.count }

  /// Adds connection index `slot` of `user`.
  ///
  /// The index must not be in the directory.
  package mutating func insert(slot: UInt32, user: UserID) {
    precondition(slot < Self.unlinked, "slot \(slot)")
    makeRoom(for: slot)
    let index = Int(slot)
    precondition(next[index] == Self.unlinked, "slot \(slot) is already in the directory")
    if let first = firstSlots[TextKey(user)] {
      let last = previous[Int(first)]
      next[Int(last)] = slot
      previous[index] = last
      next[index] = first
      previous[Int(first)] = slot
    } else {
      firstSlots[TextKey(user)] = slot
      next[index] = slot
      previous[index] = slot
    }
    connectionCount += 1
  }

  /// Removes connection index `slot` of `user`.
  ///
  /// Returns false when the index is not in the directory.
  @discardableResult
  package mutating func remove(slot: UInt32, user: UserID) -> Bool {
    let index = Int(slot)
    guard index < next.count, next[index] != Self.unlinked else { return false }
    let key = TextKey(user)
    let following = next[index]
    if following == slot {
      precondition(firstSlots[key] == slot, "slot \(slot) belongs to another user")
      firstSlots[key] = nil
    } else {
      if firstSlots[key] == slot { firstSlots[key] = following }
      next[Int(previous[index])] = following
      previous[Int(following)] = previous[index]
    }
    next[index] = Self.unlinked
    previous[index] = Self.unlinked
    connectionCount -= 1
    return true
  }

  package func contains(user: UserID) -> Bool {
    firstSlots[TextKey(user)] != nil
  }

  /// Calls `body` with each connection index of `user`, in the order of insertion.
  ///
  /// `body` must not change the directory; use `slots(of:)` for a copy.
  package func forEachSlot(of user: UserID, _ body: (UInt32) -> Void) {
    guard let first = firstSlots[TextKey(user)] else { return }
    var slot = first
    repeat {
      body(slot)
      slot = next[Int(slot)]
    } while slot != first
  }

  /// The number of connections of `user`.
  package func count(of user: UserID) -> Int {
    var count = 0
    forEachSlot(of: user) { _ in count += 1 }
    return count
  }

  /// Calls `body` with each user, in no particular order.
  package func forEachUser(_ body: (TextKey) -> Void) {
    for user in firstSlots.keys { body(user) }
  }

  package func slots(of user: UserID) -> [UInt32] {
    var slots: [UInt32] = []
    forEachSlot(of: user) { slots.append($0) }
    return slots
  }

  private mutating func makeRoom(for slot: UInt32) {
    let missing = Int(slot) + 1 - next.count
    guard missing > 0 else { return }
    next.append(contentsOf: repeatElement(Self.unlinked, count: missing))
    previous.append(contentsOf: repeatElement(Self.unlinked, count: missing))
  }
}
