// Rooms: names, messages, typing and presence.
//
// A room is a name and its members. Nothing of a room is stored: it exists while it has members,
// and a message reaches the members at that time.

internal import Wire

/// The name of a room: 1 to 128 bytes of UTF-8 without control characters.
package typealias RoomName = String

/// Validation rules for room names.
package enum RoomNames {
  package static let byteCountLimit = 128
  /// The rule in words, for the error of a field.
  package static let rule = "must be 1 to \(byteCountLimit) bytes without control characters"

  /// Whether `name` is a valid room name.
  package static func isValid(_ name: RoomName) -> Bool {
    name.isName(byteCountLimit: byteCountLimit)
  }
}

/// A message to all members of a room.
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

/// A user started or stopped typing in a room.
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

/// A user's presence status.
package enum PresenceStatus: UInt8, Sendable, CaseIterable {
  case online, away, busy, offline

  /// Makes the status with that name; nil when there is none.
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

/// A change of a user's presence status.
package struct PresenceUpdate: Sendable, Equatable {
  package let user: UserID
  package let status: PresenceStatus
  /// The presence update id, for an update sent to several rooms.
  ///
  /// A connection in two of these rooms receives the update once. 0: sent to one room alone.
  package let updateID: UInt64

  package init(user: UserID, status: PresenceStatus, updateID: UInt64 = 0) {
    self.user = user
    self.status = status
    self.updateID = updateID
  }
}

/// Room patterns of a token's claim: a room name in which `*` matches any text, also none.
package enum RoomPattern {
  /// Whether one of `patterns` matches `room`.
  package static func matches(_ patterns: [String], _ room: RoomName) -> Bool {
    patterns.contains { matches($0, room) }
  }

  /// Whether `pattern` matches `room`, byte by byte.
  ///
  /// The worst case costs the product of the two lengths. Both are at most the length of a name: a
  /// longer pattern matches nothing.
  package static func matches(_ pattern: String, _ room: RoomName) -> Bool {
    guard pattern.utf8.count <= RoomNames.byteCountLimit else { return false }
    let pattern = Array(pattern.utf8)
    let room = Array(room.utf8)
    var (inPattern, inRoom) = (0, 0)
    // Where to retry after a mismatch: the last star takes one more byte.
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
