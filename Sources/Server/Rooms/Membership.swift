// The rooms of one connection: those that its client requested and those that it is in.

internal import Notifications
internal import Wire

/// The rooms that a client may enter.
package enum RoomPolicy: String, Sendable {
  /// Any client may enter any room.
  case open
  /// A client may enter only rooms that the claim `rooms` of its token names.
  case claimed
}

/// The rooms of one connection.
///
/// Invariant: `entries` has each room once: the rooms that the client is in and those with an
/// outstanding reply.
final class Membership {
  struct Entry {
    let name: RoomName
    /// Whether the client's last request was to be in it.
    var isWanted = true
    /// Whether the connection gets the room's messages.
    var isInside = false
    /// Whether the connection was a member at the owner shard's last reply.
    var isEntered = false
    /// Whether the latest refusal was because the user's share of rooms was used.
    var isShareUsed = false
    /// Replies outstanding in all, and those to `enter` among them.
    var awaited = 0
    var entering = 0
  }

  var entries: [Entry] = []
  /// Patterns of the token's claim `rooms`; nil when every room may be entered.
  var allowed: [String]?
  /// Rooms beyond these that an embedding program put the connection into.
  private var granted: [RoomName] = []

  func index(of name: RoomName) -> Int? {
    entries.firstIndex { TextKey($0.name) == TextKey(name) }
  }

  func mayEnter(_ name: RoomName) -> Bool {
    allowed.map { RoomPattern.matches($0, name) || isGranted(name) } ?? true
  }

  /// Allows a room that the token does not name, for at most `limit` such rooms.
  func grant(_ name: RoomName, limit: Int) {
    if !mayEnter(name), granted.count < limit { granted.append(name) }
  }

  /// Takes back a room that `grant` allowed.
  func revoke(_ name: RoomName) { granted.removeAll { TextKey($0) == TextKey(name) } }

  /// Whether the last request was to be in the room.
  func isWanted(_ name: RoomName) -> Bool { index(of: name).map { entries[$0].isWanted } ?? false }

  private func isGranted(_ name: RoomName) -> Bool {
    granted.contains { TextKey($0) == TextKey(name) }
  }
}

/// The rooms in a query.
enum RoomQuery {
  /// Rooms that a query may name.
  static let countLimit = 128

  /// Parses `rooms=` of a query: the rooms to join at the session's start, separated by commas.
  ///
  /// - Throws: the refusal of a name that is not valid, or of too many.
  static func rooms(
    in query: QueryString, for dialect: any Dialect
  ) throws(Refusal) -> [RoomName] {
    guard dialect.supportsRooms, let text = query["rooms"], !text.isEmpty else { return [] }
    // By bytes: as Characters, a comma would merge with a combining mark after it.
    let names = text.utf8.split(
      separator: UInt8(ascii: ","), maxSplits: countLimit, omittingEmptySubsequences: false
    ).map { String(Substring($0)) }
    guard names.count <= countLimit else { throw .malformed("rooms: at most \(countLimit)") }
    guard names.allSatisfy({ RoomNames.isValid($0) }) else {
      throw .malformed("rooms: each 1 to \(RoomNames.byteCountLimit) bytes, none empty")
    }
    return names
  }
}
