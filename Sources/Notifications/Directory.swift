// The connections of each user on one shard.
//
// An index maps a user to the first of its connection indexes; links join the indexes in a ring:
//
//     user ─▶ 7        next:      7 ─▶ 12 ─▶ 3 ─▶ 7
//                      previous:  7 ─▶ 3 ─▶ 12 ─▶ 7
//
// So a user with one connection needs no array. The directory keeps no id: its owner stores that
// with each connection. A user costs 11 to 21 bytes of the index (less than 64 after most have
// left), and a connection 8 bytes of links.

internal import Algorithms

/// Maps each user to its connection indexes in the shard's slab.
///
/// All operations are O(1) except walking a user's connections, which are visited in insertion
/// order. No order depends on hashing. Confined to its shard.
///
/// Invariant: the links of each user's connections form one ring, and every linked index is in
/// exactly one ring. `firstSlots` has the longest listed index of each user.
package struct Directory {
  private static let unlinked = UInt32.max

  /// The user of a connection index, which stays the same while the index is in the directory.
  private let user: (UInt32) -> UserID
  private var firstSlots = HashIndex()
  private var next: [UInt32] = []
  private var previous: [UInt32] = []
  package private(set) var connectionCount = 0

  /// Makes an empty directory; `user` returns the user of a connection index that is in it.
  package init(userOf user: @escaping (UInt32) -> UserID) {
    self.user = user
  }

  package var userCount: Int { firstSlots.count }

  /// Adds connection index `slot`, for its user.
  ///
  /// The index must not be in the directory.
  package mutating func insert(slot: UInt32) {
    precondition(slot < Self.unlinked, "slot \(slot)")
    makeRoom(for: slot)
    let index = Int(slot)
    precondition(next[index] == Self.unlinked, "slot \(slot) is already in the directory")
    let user = self.user(slot)
    if let first = firstSlot(of: user) {
      let last = previous[Int(first)]
      next[Int(last)] = slot
      previous[index] = last
      next[index] = first
      previous[Int(first)] = slot
    } else {
      firstSlots.insert(slot, hash: Self.hash(user))
      next[index] = slot
      previous[index] = slot
    }
    connectionCount += 1
  }

  /// Removes connection index `slot`.
  ///
  /// Returns false when the index is not in the directory.
  @discardableResult
  package mutating func remove(slot: UInt32) -> Bool {
    let index = Int(slot)
    guard index < next.count, next[index] != Self.unlinked else { return false }
    let hash = Self.hash(self.user(slot))
    let following = next[index]
    if following == slot {
      let wasFirst = firstSlots.remove(slot, hash: hash)
      precondition(wasFirst, "the user of slot \(slot) has changed")
    } else {
      firstSlots.replace(slot, hash: hash, by: following)
      next[Int(previous[index])] = following
      previous[Int(following)] = previous[index]
    }
    next[index] = Self.unlinked
    previous[index] = Self.unlinked
    connectionCount -= 1
    return true
  }

  package func contains(user: UserID) -> Bool {
    firstSlot(of: user) != nil
  }

  /// Calls `body` with each connection index of `user`, in the order of insertion.
  ///
  /// `body` must not change the directory; use `slots(of:)` for a copy.
  package func forEachSlot(of user: UserID, _ body: (UInt32) -> Void) {
    guard let first = firstSlot(of: user) else { return }
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
    firstSlots.forEach { body(TextKey(user($0))) }
  }

  package func slots(of user: UserID) -> [UInt32] {
    var slots: [UInt32] = []
    forEachSlot(of: user) { slots.append($0) }
    return slots
  }

  /// Traps in a debug build when the invariant does not hold.
  package func checkInvariants() {
    firstSlots.checkInvariants()
    var linkedCount = 0
    firstSlots.forEach { first in
      let user = self.user(first)
      assert(firstSlot(of: user) == first, "slot \(first) is not found by its user")
      forEachSlot(of: user) { slot in
        linkedCount += 1
        assert(TextKey(self.user(slot)) == TextKey(user), "slot \(slot) is in another's ring")
        assert(previous[Int(next[Int(slot)])] == slot, "the ring of slot \(slot) is broken")
      }
    }
    assert(linkedCount == connectionCount, "\(linkedCount) slots are in rings")
    assert(next.count { $0 != Self.unlinked } == connectionCount)
  }

  private static func hash(_ user: UserID) -> Int { TextKey(user).hashValue }

  private func firstSlot(of user: UserID) -> UInt32? {
    let key = TextKey(user)
    return firstSlots.number(hash: Self.hash(user)) { TextKey(self.user($0)) == key }
  }

  private mutating func makeRoom(for slot: UInt32) {
    let missing = Int(slot) + 1 - next.count
    guard missing > 0 else { return }
    next.append(contentsOf: repeatElement(Self.unlinked, count: missing))
    previous.append(contentsOf: repeatElement(Self.unlinked, count: missing))
  }
}
