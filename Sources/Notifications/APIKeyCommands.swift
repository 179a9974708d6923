// The store's commands and queries for API keys, with their replies.

/// A command to the store about API keys; times are milliseconds since 1970.
package enum APIKeyCommand: Sendable {
  /// Stores a new key; its id is new.
  ///
  /// At the limit, keys that have ended by then make room.
  case create(APIKey)
  case revoke(APIKeyID, at: Int64)
  /// Replaces the secret of a key that has not ended.
  case rotate(APIKeyID, to: SecretDigest, at: Int64, overlapMilliseconds: Int64)
  /// Stores when keys were last used; a key that is gone is left out.
  case noteUses([APIKeyID: Int64])
}

/// The result of such a command.
package enum APIKeyOutcome: Sendable, Equatable {
  /// Durable: the key after the change, and all keys with it, in the order of their creation.
  ///
  /// A damaged key is in no list.
  case changed(APIKey, all: [APIKey])
  /// No key has the id.
  case unknown
  /// The key was revoked or has expired, and nothing is stored.
  case ended
  /// There are as many keys that have not ended, and nothing is stored.
  case full(limit: Int)
  /// The uses are stored.
  case noted
}

/// A page of keys, in the order of their creation.
package struct APIKeyPage: Sendable {
  /// The most keys of a page.
  package static let limit = 100

  package let keys: [APIKey]
  /// The value to pass as `after`; nil on the last page.
  package let next: UInt64?
}

extension TypedCommand<APIKeyOutcome> {
  package static func apiKeys(_ command: APIKeyCommand) -> Self {
    Self(command: .apiKeys(command)) { outcome in
      guard case .apiKeys(let outcome) = outcome else { return nil }
      return outcome
    }
  }
}

extension TypedQuery<APIKeyPage> {
  /// A page of keys; `limit` is 1 to `APIKeyPage.limit`.
  package static func apiKeys(after: UInt64?, limit: Int) -> Self {
    Self(query: .apiKeys(after: after, limit: limit)) { answer in
      guard case .apiKeys(let keys, let next) = answer else { return nil }
      return APIKeyPage(keys: keys, next: next)
    }
  }
}
