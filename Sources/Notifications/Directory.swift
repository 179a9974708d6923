// Who listens where on one shard.
//
// A dictionary from the user to the first of its places, and through the places a ring of links:
//
//     user ─▶ 7        next:      7 ─▶ 12 ─▶ 3 ─▶ 7
//                      previous:  7 ─▶ 3 ─▶ 12 ─▶ 7
//
// so that a user with one connection costs no array. An entry is 20 bytes of dictionary (at most 53
// when it has just doubled) and 8 bytes of links: 61 bytes, beside the text of the id, which it
// shares with the connection.

/// The places in a shard's slab of connections where each user listens.
///
/// All operations are O(1) but for walking a user's places, which come in the order they were
/// inserted. The order of nothing depends on hashing. Confined to its shard.
///
/// Invariant: the links of each user's places form one ring, and every linked place is in exactly
/// one of them.
package struct Directory: Sendable {
  private static let unlinked = UInt32.max

  private var firstSlots: [TextKey: UInt32] = [:]
  private var next: [UInt32] = []
  private var previous: [UInt32] = []
  package private(set) var connectionCount = 0

  package init() {}

  package var userCount: Int { firstSlots.count }

  /// Adds a place of `user`.
  ///
  /// The place must not be in the directory.
  package mutating func insert(slot: UInt32, user: UserID) {
    precondition(slot < Self.unlinked, "place \(slot)")
    makeRoom(for: slot)
    let index = Int(slot)
    precondition(next[index] == Self.unlinked, "place \(slot) is in the directory already")
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

  /// Takes a place of `user` away.
  ///
  /// False when the place is not in the directory.
  @discardableResult
  package mutating func remove(slot: UInt32, user: UserID) -> Bool {
    let index = Int(slot)
    guard index < next.count, next[index] != Self.unlinked else { return false }
    let key = TextKey(user)
    let following = next[index]
    if following == slot {
      precondition(firstSlots[key] == slot, "place \(slot) is another user's")
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

  /// Calls `body` with each place of `user`, in the order of insertion.
  ///
  /// `body` must not change the directory; `slots(of:)` gives a copy for that.
  package func forEachSlot(of user: UserID, _ body: (UInt32) -> Void) {
    guard let first = firstSlots[TextKey(user)] else { return }
    var slot = first
    repeat {
      body(slot)
      slot = next[Int(slot)]
    } while slot != first
  }

  /// How many places `user` has.
  package func count(of user: UserID) -> Int {
    var count = 0
    forEachSlot(of: user) { _ in count += 1 }
    return count
  }

  /// Calls `body` with each user, in no order.
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
