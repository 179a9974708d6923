// API keys: their identity, their rights, and their secrets as digests.
//
//     ck_4k0c2w9z7q1m8x3a_ivx2lS1z...  the text of a secret, shown once
//     │  └ characters of the id        └ 32 random bytes, base64url
//     └ marks a key of this server
//
// Only the digest of a secret is kept. A secret has 256 random bits, too many to guess, so a plain
// SHA-256 protects it as well as a slow function would. The id finds the key, and is no secret:
// lists show it.

internal import Wire

/// What an API key may do, by the endpoints for publishers.
package enum APIVerb: String, CaseIterable, Sendable {
  /// Store notifications.
  case publish
  /// Send what is not stored: to rooms, to users, to everyone connected.
  case broadcast
  /// Read users, connections, inboxes and metrics.
  case read
  /// End a user's connections.
  case disconnect
  /// Manage the endpoints of webhooks.
  case webhooks
  /// Manage API keys.
  case admin

  /// Whether its endpoints manage the server, and reach no client.
  package var managesServer: Bool { self == .webhooks || self == .admin }

  /// The names in a fixed order, for lists and error messages.
  package static let names = allCases.map(\.rawValue).joined(separator: ", ")
}

/// The rights of a caller: its verbs, and the types that it may publish.
package struct APIRights: Sendable, Equatable {
  /// The most patterns of types of a key.
  package static let typeCountLimit = 32
  /// The rule of a pattern in words, for the error of a field.
  package static let typeRule =
    "must be 1 to \(Draft.typeByteCountLimit) of [A-Za-z0-9_.:-] and *"

  package let verbs: Set<APIVerb>
  /// Patterns of the types that it may publish; in one `*` matches any text.
  ///
  /// Empty: every type.
  package let types: [String]

  package init(verbs: Set<APIVerb>, types: [String] = []) {
    self.verbs = verbs
    self.types = types
  }

  /// Every verb and every type.
  package static let all = APIRights(verbs: Set(APIVerb.allCases))

  /// The verbs in their fixed order.
  package var verbNames: [String] {
    APIVerb.allCases.filter { verbs.contains($0) }.map(\.rawValue)
  }

  /// Whether a notification of `type` may be published.
  package func allow(type: String) -> Bool {
    // guard: key-types
    types.isEmpty || RoomPattern.matches(types, type)
  }

  /// Whether these rights include all of `other`.
  package func include(_ other: APIRights) -> Bool {
    // guard: granted-verbs-included
    guard other.verbs.isSubset(of: verbs) else { return false }
    guard !types.isEmpty else { return true }
    // A pattern is compared as text: only a star matches its star, so a pattern that matches it
    // matches each type that it matches.
    // guard: granted-types-included
    return !other.types.isEmpty && other.types.allSatisfy { RoomPattern.matches(types, $0) }
  }

  /// Whether `pattern` is a type in which `*` may stand for any text.
  package static func isValidPattern(_ pattern: String) -> Bool {
    Draft.isValidType(pattern.replacingStars)
  }
}

extension String {
  /// The same text with a valid character of a type in place of each star.
  fileprivate var replacingStars: String {
    String(decoding: utf8.map { $0 == UInt8(ascii: "*") ? UInt8(ascii: "x") : $0 }, as: UTF8.self)
  }
}

/// The id of an API key: 16 of `[0-9a-z]`.
package struct APIKeyID: Hashable, Sendable {
  package static let characterCount = 16

  /// The characters alone, as the store has them.
  package let characters: String

  /// The id with these characters; nil if they are not 16 of `[0-9a-z]`.
  package init?(characters: some StringProtocol) {
    let isValid = characters.utf8.allSatisfy { byte in
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"): true
      default: false
      }
    }
    guard isValid, characters.utf8.count == Self.characterCount else { return nil }
    self.characters = String(characters)
  }

  /// Parses the text of an id, `key_` and its characters.
  package init?(_ text: String) {
    // By bytes: a combining mark after the underscore is one character with it.
    guard text.utf8.starts(with: "key_".utf8) else { return nil }
    self.init(characters: Substring(text.utf8.dropFirst(4)))
  }

  package var text: String { "key_" + characters }
  /// The beginning of the texts of its secrets, which is no secret.
  package var prefix: String { APIKeyText.mark + characters }
}

/// The texts of secrets.
package enum APIKeyText {
  /// The beginning of each text.
  package static let mark = "ck_"
  /// Random bytes of a secret.
  package static let randomByteCount = 32

  /// The text of a secret with these random bytes.
  package static func make(_ id: APIKeyID, random: [UInt8]) -> String {
    precondition(random.count == randomByteCount, "\(random.count) random bytes")
    return "\(id.prefix)_\(Base64.encodeURL(random))"
  }

  /// Whether `text` claims to be a secret of this kind, valid or not.
  package static func isMarked(_ text: String) -> Bool { text.utf8.starts(with: mark.utf8) }

  /// The id in `text`; nil if it has none.
  package static func id(in text: String) -> APIKeyID? {
    guard isMarked(text) else { return nil }
    let rest = text.utf8.dropFirst(mark.utf8.count)
    guard rest.dropFirst(APIKeyID.characterCount).first == UInt8(ascii: "_") else { return nil }
    return APIKeyID(characters: Substring(rest.prefix(APIKeyID.characterCount)))
  }
}

/// The SHA-256 of a secret's text.
///
/// Its bytes are never printed.
package struct SecretDigest: Sendable, Equatable {
  package static let byteCount = 32

  package let bytes: [UInt8]

  /// The digest with these bytes; nil if they are not 32.
  package init?(_ bytes: [UInt8]) {
    guard bytes.count == Self.byteCount else { return nil }
    self.bytes = bytes
  }
}

extension SecretDigest: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
  // guard: digest-is-not-printed
  package var description: String { "digest" }
  package var debugDescription: String { description }
  package var customMirror: Mirror { Mirror(self, children: EmptyCollection()) }
}

/// One API key.
package struct APIKey: Sendable, Equatable {
  /// The most keys of a server, those that have ended included.
  package static let countLimit = 1_000
  /// The most bytes of a name.
  package static let nameByteCountLimit = 64
  /// The rule of a name in words, for the error of a field.
  package static let nameRule =
    "must be 1 to \(nameByteCountLimit) bytes without control characters"
  /// How long a key is kept after it has expired or was revoked.
  package static let keptMilliseconds: Int64 = 30 * 24 * 60 * 60 * 1_000
  /// How long an earlier secret may stay valid after a rotation, and how long it does by default.
  package static let longestOverlapSeconds: Int64 = 7 * 24 * 60 * 60
  package static let standardOverlapSeconds: Int64 = 24 * 60 * 60

  /// The secret before the latest rotation.
  package struct EarlierSecret: Sendable, Equatable {
    package let digest: SecretDigest
    /// When it ends, in milliseconds since 1970.
    package let endsAt: Int64

    package init(digest: SecretDigest, endsAt: Int64) {
      self.digest = digest
      self.endsAt = endsAt
    }
  }

  package let id: APIKeyID
  package let name: String
  package let rights: APIRights
  /// Milliseconds since 1970, as all times here.
  package let createdAt: Int64
  package let expiresAt: Int64?
  package private(set) var revokedAt: Int64?
  /// The minute of the last known use.
  package let lastUsedAt: Int64?
  package private(set) var digest: SecretDigest
  /// The number of rotations: no two secrets of a key have the same.
  package private(set) var secretNumber: Int64
  package private(set) var earlier: EarlierSecret?

  package init(
    id: APIKeyID, name: String, rights: APIRights, createdAt: Int64, expiresAt: Int64?,
    digest: SecretDigest, revokedAt: Int64? = nil, lastUsedAt: Int64? = nil,
    secretNumber: Int64 = 0, earlier: EarlierSecret? = nil
  ) {
    self.id = id
    self.name = name
    self.rights = rights
    self.createdAt = createdAt
    self.expiresAt = expiresAt
    self.revokedAt = revokedAt
    self.lastUsedAt = lastUsedAt
    self.digest = digest
    self.secretNumber = secretNumber
    self.earlier = earlier
  }

  /// Whether `name` is valid.
  package static func isValidName(_ name: String) -> Bool {
    name.isName(byteCountLimit: nameByteCountLimit)
  }

  /// When the key ends or has ended; nil if it never does.
  package var endsAt: Int64? {
    guard let revokedAt else { return expiresAt }
    return min(revokedAt, expiresAt ?? .max)
  }

  /// Whether it was revoked or has expired at that time.
  package func hasEnded(at time: Int64) -> Bool {
    revokedAt != nil || expiresAt.map { $0 <= time } ?? false
  }

  /// Revokes it; a key that was revoked before keeps its time.
  package mutating func revoke(at time: Int64) {
    if revokedAt == nil { revokedAt = time }
  }

  /// Replaces its secret; the one before it stays valid for a time, one before that ends.
  package mutating func rotate(to new: SecretDigest, at time: Int64, overlapMilliseconds: Int64) {
    // guard: two-secrets-at-most
    earlier =
      overlapMilliseconds > 0
      ? EarlierSecret(digest: digest, endsAt: time + overlapMilliseconds) : nil
    digest = new
    secretNumber += 1
  }
}
