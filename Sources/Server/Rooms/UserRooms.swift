// The rooms of a user's sessions, as an embedding program changes and reads them.

internal import Delivery
internal import Notifications
internal import Wire

extension Rooms {
  /// Puts the user's sessions here into a room, whatever their tokens name.
  ///
  /// Returns the number of sessions that are in it or have requested it.
  func join(_ room: RoomName, user: UserID, among users: Users) -> Int {
    var count = 0
    for slot in users.slots(of: user) where hasRooms(slot) {
      let limit = limits.roomsPerConnectionLimit
      table[slot].membership?.grant(room, limit: limit)
      if table[slot].membership?.isWanted(room) != true {
        join(room, at: slot, isOfProgram: true)
      }
      count += 1
    }
    return count
  }

  /// Takes the user's sessions here out of a room and returns the number of those in it.
  func leave(_ room: RoomName, user: UserID, among users: Users) -> Int {
    var count = 0
    for slot in users.slots(of: user) where hasRooms(slot) {
      table[slot].activity.replay?.rooms.removeAll { TextKey($0) == TextKey(room) }
      table[slot].membership?.revoke(room)
      guard table[slot].membership?.isWanted(room) == true else { continue }
      leave(room, at: slot)
      count += 1
    }
    return count
  }

  /// The number of the user's sessions here that are in a room.
  func insideCount(_ room: RoomName, user: UserID, among users: Users) -> Int {
    users.slots(of: user).count { slot in
      guard let membership = table[slot].membership,
        let index = membership.index(of: room)
      else { return false }
      return membership.entries[index].isInside
    }
  }

  /// Whether the connection is a session whose client knows messages of rooms.
  private func hasRooms(_ slot: UInt32) -> Bool {
    guard table[slot].state == .session else { return false }
    // A Socket.IO client names no rooms in its query, but it has their messages.
    return table[slot].engineLink.session != nil || encoder(of: slot).dialect.supportsRooms
  }
}
