// Kept rooms as a row: writing, reading, and detecting damage.
//
// The names are one blob of length-prefixed strings. The row carries a checksum like a
// notification's, the session and its user included, so a flipped bit cannot restore a wrong room
// name or another user's rooms. Rooms that fail it are treated as none.

internal import Notifications

/// The columns of table `kept_rooms`.
enum KeptRoomsRow {
  /// Parameters: the session, its user and the time of day.
  static let selection = """
    SELECT checksum, rooms FROM kept_rooms
    WHERE session = ?1 AND user = ?2 AND (ends_at IS NULL OR ends_at > ?3)
    """

  /// Reads the current row of `selection`; nil when it is damaged.
  static func read(
    _ statement: borrowing Statement, session: RecoveryID, user: UserID
  ) -> [RoomName]? {
    let names = statement.blob(1)
    guard checksum(of: names, session: session, user: user) == statement.integer(0) else {
      return nil
    }
    return rooms(from: names)
  }

  /// Encodes the names, each after its length in four bytes, least significant first.
  static func bytes(of rooms: [RoomName]) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(rooms.reduce(0) { $0 + 4 + $1.utf8.count })
    for room in rooms {
      append(room.utf8.count, to: &bytes)
      bytes.append(contentsOf: room.utf8)
    }
    return bytes
  }

  /// Decodes `bytes(of:)`; nil for any other bytes.
  static func rooms(from bytes: [UInt8]) -> [RoomName]? {
    var rooms: [RoomName] = []
    var rest = bytes[...]
    while !rest.isEmpty {
      guard rest.count >= 4 else { return nil }
      let count = rest.prefix(4).reversed().reduce(0) { $0 << 8 | Int($1) }
      rest = rest.dropFirst(4)
      guard count <= rest.count,
        let room = String(validating: rest.prefix(count), as: UTF8.self)
      else { return nil }
      rooms.append(room)
      rest = rest.dropFirst(count)
    }
    return rooms
  }

  static func checksum(of names: [UInt8], session: RecoveryID, user: UserID) -> Int64 {
    var bytes = session.bytes
    bytes.reserveCapacity(bytes.count + 4 + user.utf8.count + names.count)
    // The length comes first, so that the boundary between user and names is unambiguous.
    append(user.utf8.count, to: &bytes)
    bytes.append(contentsOf: user.utf8)
    bytes.append(contentsOf: names)
    return RowChecksum.value(of: bytes)
  }

  private static func append(_ count: Int, to bytes: inout [UInt8]) {
    for shift in stride(from: 0, to: 32, by: 8) {
      bytes.append(UInt8(truncatingIfNeeded: count >> shift))
    }
  }
}
