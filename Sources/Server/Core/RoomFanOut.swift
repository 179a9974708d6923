// Fan-out to a room: each message is encoded once for each fan-out group with a member.

internal import Algorithms
internal import Broadcast
internal import Glibc
internal import Notifications
internal import Reactor
internal import Wire

/// The members of a room on one shard.
final class LocalRoom {
  let name: RoomName
  /// The slots of the members, in ascending order.
  private(set) var members: [UInt32] = []
  /// The number of members in each fan-out group.
  private(set) var groupCounts: [Int]

  init(name: RoomName, groupCount: Int) {
    self.name = name
    groupCounts = [Int](repeating: 0, count: groupCount)
  }

  func insert(_ slot: UInt32, group: FanOutGroupID) {
    let index = self.index(of: slot)
    precondition(index == members.count || members[index] != slot, "\(slot) is already in the room")
    members.insert(slot, at: index)
    groupCounts[group.index] += 1
  }

  func remove(_ slot: UInt32, group: FanOutGroupID) {
    let index = self.index(of: slot)
    precondition(index < members.count && members[index] == slot, "\(slot) is not in the room")
    members.remove(at: index)
    groupCounts[group.index] -= 1
  }

  func contains(_ slot: UInt32) -> Bool {
    let index = self.index(of: slot)
    return index < members.count && members[index] == slot
  }

  /// The index of `slot` in `members`, or the index at which to insert it.
  private func index(of slot: UInt32) -> Int {
    members.indices.partitioningIndex { members[$0] >= slot }
  }
}

extension Shard {
  /// Delivers `event` to the members of a room on this shard.
  func deliver(_ event: Event, toRoom name: RoomName, except user: UserID?) {
    guard let room = rooms[TextKey(name)] else { return }
    if case .presence(let update) = event.body, update.updateID != 0 {
      let members = presenceReceipts.missing(update.updateID, among: room.members)
      return deliver(event, to: others(than: user, among: members))
    }
    if let user, directory.slots(of: user).contains(where: room.contains) {
      return deliver(event, to: others(than: user, among: room.members))
    }
    for group in delivery.fanOutGroups.all where room.groupCounts[group.id.index] > 0 {
      group.writer.removeAll()
      group.dialect.write(event, to: &group.writer)
      guard group.writer.count > 0 else { continue }
      delivery.append(group.writer.bytes, to: group, of: room)
      metrics.add(.framesDelivered, room.groupCounts[group.id.index] * group.writer.count)
    }
  }

  /// Returns `slots` without those of `user`.
  private func others(than user: UserID?, among slots: [UInt32]) -> [UInt32] {
    let left = user.map { Set(directory.slots(of: $0)) } ?? []
    return slots.filter { !left.contains($0) }
  }
}
