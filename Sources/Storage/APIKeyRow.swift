// API keys as rows: writing, reading, and detecting damage.
//
// The row carries a checksum like a notification's, its id included, so a flipped bit cannot give a
// key more rights, a later end, or another secret. A row that fails it is no key. The time of the
// last use is not included, because it is written often and decides nothing.

internal import Notifications

/// The columns of table `api_key`.
enum APIKeyRow {
  private static let columns = """
    key, id, name, verbs, types, created_at, expires_at, revoked_at, digest, secret_number, \
    earlier_digest, earlier_ends_at, last_used_at, checksum
    """
  /// The column with the number of the row.
  static let rowColumn: Int32 = 0

  /// All keys, in the order of their creation.
  static let all = "SELECT \(columns) FROM api_key ORDER BY key"
  /// Parameters: the row after which the page begins, and the number of rows.
  static let page = "SELECT \(columns) FROM api_key WHERE key > ?1 ORDER BY key LIMIT ?2"
  /// Parameter: the id.
  static let selection = "SELECT \(columns) FROM api_key WHERE id = ?1"
  /// Parameters: those of `bind`.
  static let insertion = """
    INSERT INTO api_key (id, name, verbs, types, created_at, expires_at, revoked_at, digest,
      secret_number, earlier_digest, earlier_ends_at, checksum, ends_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)
    """
  /// Parameters: those of `bind`.
  static let replacement = """
    UPDATE api_key SET name = ?2, verbs = ?3, types = ?4, created_at = ?5, expires_at = ?6,
      revoked_at = ?7, digest = ?8, secret_number = ?9, earlier_digest = ?10,
      earlier_ends_at = ?11, checksum = ?12, ends_at = ?13
    WHERE id = ?1
    """

  static func bind(_ key: APIKey, to statement: borrowing Statement) {
    statement.bind(1, key.id.characters)
    statement.bind(2, key.name)
    statement.bind(3, key.rights.verbNames.joined(separator: " "))
    statement.bind(4, key.rights.types.joined(separator: " "))
    statement.bind(5, key.createdAt)
    statement.bind(6, key.expiresAt)
    statement.bind(7, key.revokedAt)
    statement.bind(8, key.digest.bytes)
    statement.bind(9, key.secretNumber)
    statement.bind(10, key.earlier?.digest.bytes)
    statement.bind(11, key.earlier?.endsAt)
    statement.bind(12, checksum(of: key))
    statement.bind(13, key.endsAt)
  }

  /// Reads the keys of `statement`, and counts the damaged ones.
  static func readAll(
    _ statement: borrowing Statement
  ) throws(StoreError) -> (keys: [APIKey], damagedCount: Int) {
    defer { statement.reset() }
    var keys: [APIKey] = []
    var damagedCount = 0
    while try statement.step() {
      if let key = read(statement) { keys.append(key) } else { damagedCount += 1 }
    }
    return (keys, damagedCount)
  }

  /// Reads the current row; nil when it is damaged.
  static func read(_ statement: borrowing Statement) -> APIKey? {
    let names = statement.text(3).split(separator: " ")
    let verbs = names.compactMap { APIVerb(rawValue: String($0)) }
    let types = statement.text(4).split(separator: " ").map(String.init)
    guard verbs.count == names.count, let id = APIKeyID(characters: statement.text(1)),
      let createdAt = statement.number(5, in: StoredNumber.times),
      let digest = SecretDigest(statement.blob(8)),
      let secretNumber = statement.number(9, in: 0...StoredNumber.countLimit)
    else { return nil }
    var earlier: APIKey.EarlierSecret?
    if let bytes = statement.optionalBlob(10) {
      guard let digest = SecretDigest(bytes),
        let endsAt = statement.number(11, in: StoredNumber.times)
      else { return nil }
      earlier = APIKey.EarlierSecret(digest: digest, endsAt: endsAt)
    }
    let key = APIKey(
      id: id, name: statement.text(2),
      rights: APIRights(verbs: Set(verbs), types: types), createdAt: createdAt,
      // A damaged time fails the checksum.
      expiresAt: statement.optionalTime(6, or: 0), digest: digest,
      revokedAt: statement.optionalTime(7, or: 0), lastUsedAt: lastUse(statement),
      secretNumber: secretNumber, earlier: earlier)
    // guard: key-has-checksum
    guard checksum(of: key) == statement.integer(13) else { return nil }
    return key
  }

  /// The time of the last use; nil also if it is damaged, because it decides nothing.
  private static func lastUse(_ statement: borrowing Statement) -> Int64? {
    statement.isNull(12) ? nil : statement.number(12, in: StoredNumber.times)
  }

  private static func checksum(of key: APIKey) -> Int64 {
    let parts = [
      key.id.characters, key.name, key.rights.verbNames.joined(separator: " "),
      key.rights.types.joined(separator: " "), "\(key.createdAt)", text(key.expiresAt),
      text(key.revokedAt), "\(key.secretNumber)", text(key.earlier?.endsAt),
    ]
    // Each after its length, so that the boundaries are unambiguous.
    let text = parts.map { "\($0.utf8.count) \($0)" }.joined()
    return RowChecksum.value(
      of: Array(text.utf8) + key.digest.bytes + (key.earlier?.digest.bytes ?? []))
  }

  private static func text(_ time: Int64?) -> String { time.map { "\($0)" } ?? "" }
}
