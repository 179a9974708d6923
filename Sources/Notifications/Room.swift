// Rooms: who hears what is said in one, and what is told there.
//
// A room is a name and those who are in it. Nothing of a room is stored; it is there while somebody
// is, and what is said in it reaches those who are there then.

/// The name of a room: 1 to 128 bytes of UTF-8 without control characters.
package typealias RoomName = String

/// The rule that every name of a room obeys.
package enum RoomNames {
  package static let byteCountLimit = 128

  /// Whether `name` may name a room.
  package static func isValid(_ name: RoomName) -> Bool {
    let count = name.utf8.count
    guard count >= 1, count <= byteCountLimit else { return false }
    return !name.hasControlCharacter
  }
}

/// Something said to all who are in a room.
package struct RoomMessage: Sendable {
  package let room: RoomName
  package let notificationType: String
  package let title: String
  package let message: String
  /// A JSON object.
  package let payload: [UInt8]

  package init(
    room: RoomName, notificationType: String, title: String, message: String, payload: [UInt8]
  ) {
    self.room = room
    self.notificationType = notificationType
    self.title = title
    self.message = message
    self.payload = payload
  }
}

/// Somebody began to type in a room, or stopped.
package struct TypingUpdate: Sendable, Equatable {
  package let room: RoomName
  package let user: UserID
  package let isTyping: Bool

  package init(room: RoomName, user: UserID, isTyping: Bool) {
    self.room = room
    self.user = user
    self.isTyping = isTyping
  }
}

/// How a user wants to be seen.
package enum PresenceStatus: UInt8, Sendable, CaseIterable {
  case online, away, busy, offline

  /// The status of that name; nil when there is none.
  package init?(name: String) {
    guard let status = PresenceStatus.allCases.first(where: { $0.name == name }) else { return nil }
    self = status
  }

  package var name: String {
    switch self {
    case .online: "online"
    case .away: "away"
    case .busy: "busy"
    case .offline: "offline"
    }
  }
}

/// How a user is to be seen from now on.
package struct PresenceUpdate: Sendable, Equatable {
  package let user: UserID
  package let status: PresenceStatus
  /// Names the occasion, where it is told in several rooms: whoever is in two of them is told once.
  ///
  /// 0: in one room alone.
  package let updateID: UInt64

  package init(user: UserID, status: PresenceStatus, updateID: UInt64 = 0) {
    self.user = user
    self.status = status
    self.updateID = updateID
  }
}

/// Which rooms a token's claim names: each a name, in which `*` stands for any text or none.
package enum RoomPattern {
  /// Whether one of `patterns` names `room`.
  package static func matches(_ patterns: [String], _ room: RoomName) -> Bool {
    patterns.contains { matches($0, room) }
  }

  /// Whether `pattern` names `room`, byte by byte.
  ///
  /// Costs the product of the two lengths at the worst; both are at most a name long, for a pattern
  /// that is longer names nothing.
  package static func matches(_ pattern: String, _ room: RoomName) -> Bool {
    guard pattern.utf8.count <= RoomNames.byteCountLimit else { return false }
    let pattern = Array(pattern.utf8)
    let room = Array(room.utf8)
    var (inPattern, inRoom) = (0, 0)
    // Where to go on when what follows the last star does not fit: the star takes a byte more.
    var retry: (pattern: Int, room: Int)?
    while inRoom < room.count {
      if inPattern < pattern.count, pattern[inPattern] == UInt8(ascii: "*") {
        inPattern += 1
        retry = (inPattern, inRoom)
      } else if inPattern < pattern.count, pattern[inPattern] == room[inRoom] {
        inPattern += 1
        inRoom += 1
      } else if let last = retry {
        retry = (last.pattern, last.room + 1)
        (inPattern, inRoom) = (last.pattern, last.room + 1)
      } else {
        return false
      }
    }
    return pattern[inPattern...].allSatisfy { $0 == UInt8(ascii: "*") }
  }
}
