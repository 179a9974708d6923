// A notification as a row: writing, reading, and detecting damage.
//
// Each row carries the first eight bytes of the SHA-256 of all its constant fields, the user's id
// and the offset included. So a reader detects a flipped bit, and also an intact row that a broken
// index returns for another user.

internal import Notifications

/// The columns of table `notification`, in the order that statements here use.
enum NotificationRow {
  static let columns = """
    offset, id, type, priority, title, message, data, entity_type, entity_id, entity_url, \
    actions, group_key, created_at, expires_at, read_at, seen_at, checksum, is_silent
    """

  static let insertion = """
    INSERT INTO notification (user, \(columns), in_large_inbox)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19,
      ?20)
    """

  /// The columns of the row at an offset, the only parameter.
  static let selection = "SELECT \(columns) FROM notification WHERE offset = ?1"

  /// Binds a row to `insertion`, except `is_silent` and `in_large_inbox`, the last two parameters.
  static func bind(_ row: Notification, userKey: Int64, to statement: borrowing Statement) {
    statement.bind(1, userKey)
    statement.bind(2, Int64(bitPattern: row.offset))
    statement.bind(3, bytes(of: row.id))
    statement.bind(4, row.type)
    statement.bind(5, Int64(row.priority.rawValue))
    statement.bind(6, row.title)
    statement.bind(7, row.message)
    statement.bind(8, row.data)
    statement.bind(9, row.entityType)
    statement.bind(10, row.entityID)
    statement.bind(11, row.entityURL)
    statement.bind(12, row.actions)
    statement.bind(13, row.groupKey)
    statement.bind(14, row.createdAt)
    statement.bind(15, row.expiresAt)
    statement.bind(16, row.readAt)
    statement.bind(17, row.seenAt)
    statement.bind(18, checksum(of: row))
  }

  /// Reads the current row of a statement over `columns`; nil when it is damaged.
  static func read(_ statement: borrowing Statement, userID: UserID) -> Notification? {
    guard let id = id(from: statement.blob(1)), let priority = priority(in: statement, 3),
      let offset = statement.offset(0),
      let createdAt = statement.number(12, in: StoredNumber.times),
      let expiresAt = optionalTime(in: statement, 13)
    else { return nil }
    let row = Notification(
      id: id, userID: userID, type: statement.text(2), priority: priority,
      title: statement.text(4), message: statement.text(5), data: statement.blob(6),
      entityType: statement.optionalText(7), entityID: statement.optionalText(8),
      entityURL: statement.optionalText(9), actions: statement.optionalBlob(10),
      groupKey: statement.optionalText(11),
      readAt: statement.optionalTime(14, or: createdAt),
      seenAt: statement.optionalTime(15, or: createdAt), createdAt: createdAt,
      expiresAt: expiresAt, offset: offset, isMuted: isMuted(statement))
    return checksum(of: row) == statement.integer(16) ? row : nil
  }

  /// Whether the current row of a statement over `columns` is silent.
  static func isMuted(_ statement: borrowing Statement) -> Bool { statement.integer(17) != 0 }

  /// The priority in a column; nil if it is damaged.
  static func priority(in statement: borrowing Statement, _ column: Int32) -> Priority? {
    statement.number(column, in: 0...3).flatMap { Priority(rawValue: UInt8($0)) }
  }

  /// The time in a column that may be null; nil if it is damaged.
  static func optionalTime(in statement: borrowing Statement, _ column: Int32) -> Int64?? {
    if statement.isNull(column) { return .some(nil) }
    return statement.number(column, in: StoredNumber.times).map { .some($0) }
  }

  static func bytes(of id: NotificationID) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(16)
    append(id.high.byteSwapped, to: &bytes)
    append(id.low.byteSwapped, to: &bytes)
    return bytes
  }

  static func id(from bytes: [UInt8]) -> NotificationID? {
    guard bytes.count == 16 else { return nil }
    let high = bytes[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    let low = bytes[8...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return NotificationID(high: high, low: low)
  }

  /// The checksum of all constant fields.
  ///
  /// Lengths come first, so that no two rows of different fields give the same bytes.
  static func checksum(of row: Notification) -> Int64 {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(256 + row.message.utf8.count + row.data.count)
    append(row.offset, to: &bytes)
    append(row.id.high, to: &bytes)
    append(row.id.low, to: &bytes)
    append(UInt64(row.priority.rawValue), to: &bytes)
    append(UInt64(bitPattern: row.createdAt), to: &bytes)
    append(row.expiresAt == nil ? 0 : 1, to: &bytes)
    append(UInt64(bitPattern: row.expiresAt ?? 0), to: &bytes)
    append(row.userID, to: &bytes)
    append(row.type, to: &bytes)
    append(row.title, to: &bytes)
    append(row.message, to: &bytes)
    append(row.entityType, to: &bytes)
    append(row.entityID, to: &bytes)
    append(row.entityURL, to: &bytes)
    append(row.groupKey, to: &bytes)
    append(row.data, to: &bytes)
    append(row.actions, to: &bytes)
    // Only when set, so that rows written before this column existed keep their checksum.
    if row.isMuted { append(1, to: &bytes) }
    return RowChecksum.value(of: bytes)
  }

  /// The least significant byte first.
  private static func append(_ word: UInt64, to bytes: inout [UInt8]) {
    // SAFETY: the bytes are copied before the call returns.
    unsafe withUnsafeBytes(of: word.littleEndian) { unsafe bytes.append(contentsOf: $0) }
  }

  /// The length plus one, to distinguish nil from the empty text.
  private static func append(_ text: String?, to bytes: inout [UInt8]) {
    guard let text else { return append(0, to: &bytes) }
    append(UInt64(text.utf8.count) + 1, to: &bytes)
    bytes.append(contentsOf: text.utf8)
  }

  private static func append(_ blob: [UInt8]?, to bytes: inout [UInt8]) {
    guard let blob else { return append(0, to: &bytes) }
    append(UInt64(blob.count) + 1, to: &bytes)
    bytes.append(contentsOf: blob)
  }
}
