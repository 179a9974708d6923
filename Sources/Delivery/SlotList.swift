// A list of slots, walked in slot order: the connections of a shard that are in one room.

internal import Algorithms

/// Slots in ascending order, and the number of them in each fan-out group.
///
/// A class, because a pending batch is compared with it by identity.
///
/// Invariant: a slot is listed once, and counted for the group with which it was inserted.
package final class SlotList {
  package private(set) var slots: [UInt32] = []
  private var groupCounts: [Int]

  /// An empty list for a shard with `groupCount` fan-out groups.
  package init(groupCount: Int) {
    groupCounts = [Int](repeating: 0, count: groupCount)
  }

  /// The number of listed slots that are in `group`.
  package func count(in group: FanOutGroupID) -> Int { groupCounts[group.index] }

  /// Lists `slot`, which must not be listed yet.
  package func insert(_ slot: UInt32, group: FanOutGroupID) {
    let index = self.index(of: slot)
    precondition(index == slots.count || slots[index] != slot, "\(slot) is listed already")
    slots.insert(slot, at: index)
    groupCounts[group.index] += 1
  }

  /// Removes `slot`, which must be listed with `group`.
  package func remove(_ slot: UInt32, group: FanOutGroupID) {
    let index = self.index(of: slot)
    precondition(index < slots.count && slots[index] == slot, "\(slot) is not listed")
    slots.remove(at: index)
    groupCounts[group.index] -= 1
  }

  package func contains(_ slot: UInt32) -> Bool {
    let index = self.index(of: slot)
    return index < slots.count && slots[index] == slot
  }

  /// The index of `slot` in `slots`, or the index at which to insert it.
  private func index(of slot: UInt32) -> Int {
    slots.indices.partitioningIndex { slots[$0] >= slot }
  }
}
