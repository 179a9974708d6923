// A webhook endpoint as a row: writing, reading, and detecting damage.
//
// The row has a checksum over all of its fields. A damaged endpoint receives nothing: sending to a
// wrong URL, or with a wrong secret, would be worse.

internal import Notifications

/// The statements over table `webhook`, on any connection.
final class WebhookRow {
  private static let columns = """
    key, id, url, types, about, secret, previous_secret, previous_secret_ends_at, disabled_reason, \
    created_at, updated_at, checksum
    """

  private let select: Statement

  init(_ connection: borrowing Connection) throws(StoreError) {
    select = try connection.prepare("SELECT \(Self.columns) FROM webhook ORDER BY key")
  }

  /// All endpoints, in the order in which they were created, and the number of damaged ones.
  func readAll() throws(StoreError) -> (endpoints: [WebhookEndpoint], damagedCount: Int) {
    defer { select.reset() }
    var endpoints: [WebhookEndpoint] = []
    var damagedCount = 0
    while try select.step() {
      if let endpoint = Self.read(select) {
        endpoints.append(endpoint)
      } else {
        damagedCount += 1
      }
    }
    return (endpoints, damagedCount)
  }

  private static func read(_ row: borrowing Statement) -> WebhookEndpoint? {
    guard let key = row.number(0, in: 1...StoredNumber.countLimit),
      let types = row.number(3, in: 0...Int64(WebhookTypes.all.bits)),
      let createdAt = row.number(9, in: StoredNumber.times),
      let updatedAt = row.number(10, in: StoredNumber.times),
      let secret = WebhookSecret(stored: row.blob(5))
    else { return nil }
    var endpoint = WebhookEndpoint(
      id: row.text(1), url: row.text(2), types: WebhookTypes(bits: Int(types)), about: row.text(4),
      secret: secret, createdAt: createdAt)
    endpoint.key = key
    endpoint.previousSecret = row.optionalBlob(6).flatMap { WebhookSecret(stored: $0) }
    endpoint.previousSecretEndsAt = row.number(7, in: StoredNumber.times) ?? 0
    if !row.isNull(8) {
      guard let number = row.number(8, in: 0...2),
        let reason = WebhookEndpoint.DisabledReason(rawValue: Int(number))
      else { return nil }
      endpoint.disabledReason = reason
    }
    endpoint.updatedAt = updatedAt
    // guard: damaged-webhook-left-out
    return checksum(of: endpoint) == row.integer(11) ? endpoint : nil
  }

  /// Binds all fields of an endpoint but its key.
  static func bind(_ endpoint: WebhookEndpoint, to statement: borrowing Statement) {
    statement.bind(1, endpoint.id)
    statement.bind(2, endpoint.url)
    statement.bind(3, Int64(endpoint.types.bits))
    statement.bind(4, endpoint.about)
    statement.bind(5, endpoint.secret.key)
    statement.bind(6, endpoint.previousSecret?.key)
    statement.bind(7, endpoint.previousSecretEndsAt)
    statement.bind(8, endpoint.disabledReason.map { Int64($0.rawValue) })
    statement.bind(9, endpoint.createdAt)
    statement.bind(10, endpoint.updatedAt)
    statement.bind(11, checksum(of: endpoint))
  }

  /// Each field after its length, so that no two endpoints give the same bytes.
  private static func checksum(of endpoint: WebhookEndpoint) -> Int64 {
    var bytes: [UInt8] = []
    func append(_ field: some Collection<UInt8>) {
      bytes.append(contentsOf: "\(field.count) ".utf8)
      bytes.append(contentsOf: field)
    }
    append(endpoint.id.utf8)
    append(endpoint.url.utf8)
    append(endpoint.about.utf8)
    append(endpoint.secret.key)
    append(endpoint.previousSecret?.key ?? [])
    let numbers = [
      Int64(endpoint.types.bits), endpoint.previousSecretEndsAt,
      endpoint.disabledReason.map { Int64($0.rawValue) } ?? -1, endpoint.createdAt,
      endpoint.updatedAt,
    ]
    bytes.append(contentsOf: numbers.map(String.init).joined(separator: " ").utf8)
    return RowChecksum.value(of: bytes)
  }
}
