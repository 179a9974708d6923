// A publisher's notification, validated once, here.
//
// `Draft.parse` reads it; `DocumentError` says why a body was rejected.

package import Wire

/// A valid notification and its recipients.
package struct Draft: Sendable {
  package let content: Content
  /// 1 to `userCountLimit` ids, each once, in the order given; empty for a notification to
  /// everyone.
  package let userIDs: [UserID]
  /// Whether the request used `user_ids`; the response then lists the ids only.
  package let isForMany: Bool
  /// Whether it is stored once and appears in every inbox.
  package let isForEveryone: Bool

  package static let userCountLimit = 10_000
  package static let typeByteCountLimit = 64
  package static let titleByteCountLimit = 256
  package static let messageByteCountLimit = 4_096
  package static let dataByteCountLimit = 16_384
  package static let entityTypeByteCountLimit = 128
  package static let entityIDByteCountLimit = 256
  package static let groupKeyByteCountLimit = 256
  package static let urlByteCountLimit = 2_048
  package static let actionCountLimit = 4
  package static let labelByteCountLimit = 128
  /// The rule of a type in words, for the error of a field.
  package static let typeRule = "must be 1 to \(typeByteCountLimit) of [A-Za-z0-9_.:-]"

  package init(content: Content, userIDs: [UserID], isForMany: Bool) {
    self.content = content
    self.userIDs = userIDs
    self.isForMany = isForMany
    isForEveryone = false
  }

  /// A notification for everyone.
  package init(forEveryone content: Content) {
    self.content = content
    userIDs = []
    isForMany = false
    isForEveryone = true
  }

  /// Rejects a notification that has already expired.
  package func checkExpiry(at now: Int64) throws(DocumentError) {
    if let expiresAt = content.expiresAt, expiresAt <= now {
      throw .invalid(field: "expires_at", reason: "must be in the future")
    }
  }

  /// Makes one pending notification per user, in the order of the users, or one for everyone.
  ///
  /// `makeID` is called once for each.
  package func expand(createdAt: Int64, makeID: () -> NotificationID) -> [PendingNotification] {
    if isForEveryone {
      return [PendingNotification(forEveryone: makeID(), createdAt: createdAt, content: content)]
    }
    return userIDs.map {
      PendingNotification(id: makeID(), userID: $0, createdAt: createdAt, content: content)
    }
  }
}
