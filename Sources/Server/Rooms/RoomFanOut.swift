// Fan-out to a room: each message is encoded once for each fan-out group with a member.

internal import Delivery
internal import Notifications
internal import Wire

/// The members of a room on one shard.
struct LocalRoom {
  let name: RoomName
  let members: SlotList
}

extension Shard {
  /// Delivers `event` to the members of a room on this shard.
  func deliver(_ event: Event, toRoom name: RoomName, except user: UserID?) {
    guard let room = rooms[TextKey(name)] else { return }
    if case .presence(let update) = event.body, update.updateID != 0 {
      let members = presenceReceipts.missing(update.updateID, among: room.members.slots)
      return deliver(event, to: others(than: user, among: members))
    }
    if let user, directory.slots(of: user).contains(where: room.members.contains) {
      return deliver(event, to: others(than: user, among: room.members.slots))
    }
    for encoder in fanOutGroups.all where room.members.count(in: encoder.id) > 0 {
      encoder.encode(event)
      guard encoder.writer.count > 0 else { continue }
      delivery.append(encoder.writer.bytes, to: encoder.id, of: room.members)
      metrics.add(
        .framesDelivered, room.members.count(in: encoder.id) * encoder.writer.count)
    }
  }

  /// Returns `slots` without those of `user`.
  private func others(than user: UserID?, among slots: [UInt32]) -> [UInt32] {
    let left = user.map { Set(directory.slots(of: $0)) } ?? []
    return slots.filter { !left.contains($0) }
  }
}
