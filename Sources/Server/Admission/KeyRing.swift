// The API keys in memory: finding the key of a secret, and the reasons why one is refused.
//
// Each shard has a copy, so a request takes no lock and asks no other thread. A copy is immutable:
// when a key changes, each shard replaces its copy as a whole.

internal import Cryptography
internal import Notifications

/// An API key in use: which one, by which of its secrets, and what it may do.
///
/// It has no part of the secret, so that a caller may be printed.
struct APIKeyUse: Sendable, Equatable {
  let id: APIKeyID
  let secretNumber: Int64
  let rights: APIRights
  /// When the key expires, in milliseconds since 1970; nil: never.
  let expiresAt: Int64?
}

/// The reason why a key is refused.
enum KeyRefusal: Error {
  /// No key has the id, or the secret is not that of the key: answers do not distinguish these.
  case unknown
  /// The key, or this secret of it, has expired.
  case expired
  case revoked

  /// The reason in words, which name no key.
  var text: String {
    switch self {
    case .unknown: "the key is unknown"
    case .expired: "the key has expired"
    case .revoked: "the key has been revoked"
    }
  }
}

/// All API keys of a server, as of one moment.
struct KeyRing: Sendable {
  private let keys: [APIKeyID: APIKey]
  /// The digest in place of one that a key does not have: that of no text.
  private static let noDigest = [UInt8](repeating: 0, count: SecretDigest.byteCount)

  init(_ keys: [APIKey]) {
    self.keys = Dictionary(keys.map { ($0.id, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Whether the server has no key, not even one that has ended.
  var isEmpty: Bool { keys.isEmpty }

  subscript(id: APIKeyID) -> APIKey? { keys[id] }

  /// Finds the key with a secret of that text, at that time in milliseconds since 1970.
  ///
  /// An unknown id takes the same comparisons as a wrong secret.
  func find(_ text: String, at time: Int64) throws(KeyRefusal) -> APIKeyUse {
    let digest = Digest.sha256(Array(text.utf8))
    let key = APIKeyText.id(in: text).flatMap { keys[$0] }
    // Both are always compared, so the time of the answer is the same for each.
    let isNewest = ConstantTime.areEqual(digest, key?.digest.bytes ?? Self.noDigest)
    let isEarlier = ConstantTime.areEqual(digest, key?.earlier?.digest.bytes ?? Self.noDigest)
    guard let key, isNewest || isEarlier else { throw .unknown }
    let use = APIKeyUse(
      id: key.id, secretNumber: isNewest ? key.secretNumber : key.secretNumber - 1,
      rights: key.rights, expiresAt: key.expiresAt)
    if key.revokedAt != nil { throw .revoked }
    // guard: expired-key-refused
    guard let end = end(of: use), end > time else { throw .expired }
    return use
  }

  /// When the use ends, in milliseconds since 1970, `Int64.max` for never; nil if its key was
  /// revoked or removed, or if its secret has been replaced.
  func end(of use: APIKeyUse) -> Int64? {
    // guard: revoked-key-ends
    guard let key = keys[use.id], key.revokedAt == nil else { return nil }
    let keyEnd = key.expiresAt ?? .max
    if use.secretNumber == key.secretNumber { return keyEnd }
    // guard: earlier-secret-ends
    guard use.secretNumber == key.secretNumber - 1, let earlier = key.earlier else { return nil }
    return min(keyEnd, earlier.endsAt)
  }
}
