// Queries and commands that know the type of their reply.
//
// `StoreAnswer` and `StoreOutcome` carry replies of every kind from the store's threads. Here each
// query and command that a request waits for gets the type of its reply, so a wrong pair of the two
// does not compile.

/// A page of the inbox; see `StoreAnswer.page`.
package struct StoredPage: Sendable {
  package let notifications: [Notification]
  package let next: UInt64?
  package let counts: Counts
  package let groups: [UInt64: Int]
}

/// A page of a replay; see `StoreAnswer.missed`.
package struct MissedPage: Sendable {
  package let notifications: [Notification]
  package let through: UInt64
  package let next: UInt64?
  package let total: Int?
  package let counts: Counts
}

/// The newest commit, and the counts at it; see `StoreAnswer.position`.
package struct StorePosition: Sendable {
  package let offset: UInt64
  package let counts: Counts
}

/// The store could not be read.
package struct UnreadableStore: Error {
  package let reason: String
}

/// A query with the type of its reply.
package struct TypedQuery<Reply: Sendable>: Sendable {
  package let query: StoreQuery
  private let unwrap: @Sendable (StoreAnswer) -> Reply?

  init(query: StoreQuery, unwrap: @escaping @Sendable (StoreAnswer) -> Reply?) {
    self.query = query
    self.unwrap = unwrap
  }

  /// The reply in the store's answer to this query.
  package func reply(in answer: StoreAnswer) -> Result<Reply, UnreadableStore> {
    if case .failed(let reason) = answer { return .failure(UnreadableStore(reason: reason)) }
    guard let reply = unwrap(answer) else {
      assertionFailure("the store answered \(query) with \(answer)")
      return .failure(UnreadableStore(reason: "unexpected answer from the store"))
    }
    return .success(reply)
  }
}

extension TypedQuery<StoredPage> {
  /// A page of the inbox, newest first.
  package static func page(
    user: UserID, limit: Int, before: UInt64?, unreadOnly: Bool, type: String?,
    grouping: PageGrouping = .collapsed
  ) -> Self {
    let query = StoreQuery.page(
      user: user, limit: limit, before: before, unreadOnly: unreadOnly, type: type,
      grouping: grouping)
    return Self(query: query) { answer in
      guard case .page(let page, let next, let counts, let groups) = answer else { return nil }
      return StoredPage(notifications: page, next: next, counts: counts, groups: groups)
    }
  }
}

extension TypedQuery<MissedPage> {
  /// A page of a replay, oldest first.
  package static func missed(user: UserID, after: UInt64, limit: Int) -> Self {
    Self(query: .missed(user: user, after: after, limit: limit)) { answer in
      guard case .missed(let page, let through, let next, let total, let counts) = answer else {
        return nil
      }
      return MissedPage(
        notifications: page, through: through, next: next, total: total, counts: counts)
    }
  }
}

extension TypedQuery<StorePosition> {
  /// The newest commit, and the user's counts at it.
  package static func position(user: UserID) -> Self {
    Self(query: .position(user: user)) { answer in
      guard case .position(let offset, let counts) = answer else { return nil }
      return StorePosition(offset: offset, counts: counts)
    }
  }
}

extension TypedQuery<Counts> {
  /// The user's counts.
  package static func counts(user: UserID) -> Self {
    Self(query: .counts(user: user)) { answer in
      guard case .counts(let counts) = answer else { return nil }
      return counts
    }
  }
}

extension TypedQuery<Preferences> {
  /// The user's preferences.
  package static func preferences(user: UserID) -> Self {
    Self(query: .preferences(user: user)) { answer in
      guard case .preferences(let preferences) = answer else { return nil }
      return preferences
    }
  }
}

extension TypedQuery<OutboxAnswer> {
  /// A page of the outbox, or its endpoints.
  package static func outbox(_ query: OutboxQuery) -> Self {
    Self(query: .outbox(query)) { answer in
      guard case .outbox(let answer) = answer else { return nil }
      return answer
    }
  }
}

/// The reason why a command has no reply of its own; see `StoreOutcome`.
package enum StoreFailure: Error, Sendable, Equatable {
  case unavailable(reason: String)
  case readOnly(reason: String)
  case unknown(reason: String)
  case refused(StoreRefusal)
}

/// The reply to a publish, or to the search for an earlier one, by its idempotency key.
package enum KeyReply: Sendable, Equatable {
  /// The key is new, or there is none: the publish is durable, and a search found nothing.
  case isNew
  /// The key was seen before with the same body.
  case repeated(answer: [UInt8])
  /// The key was seen before with another body.
  case conflict
}

/// The number of the user's notifications that a change found, and the counts after it.
package struct ChangeReply: Sendable {
  package let count: Int
  package let counts: Counts
}

/// A command with the type of its reply.
package struct TypedCommand<Reply: Sendable>: Sendable {
  package let command: StoreCommand
  /// Reads the reply, without the command: a request that waits keeps none of its drafts.
  package let reader: OutcomeReader<Reply>

  init(command: StoreCommand, unwrap: @escaping @Sendable (StoreOutcome) -> Reply?) {
    self.command = command
    reader = OutcomeReader(unwrap: unwrap)
  }
}

/// Reads the outcome of a command with that type of reply.
package struct OutcomeReader<Reply: Sendable>: Sendable {
  fileprivate let unwrap: @Sendable (StoreOutcome) -> Reply?

  /// The reply in the outcome of the command.
  package func reply(in outcome: StoreOutcome) -> Result<Reply, StoreFailure> {
    switch outcome {
    case .unavailable(let reason): return .failure(.unavailable(reason: reason))
    case .readOnly(let reason): return .failure(.readOnly(reason: reason))
    case .unknown(let reason): return .failure(.unknown(reason: reason))
    case .refused(let refusal): return .failure(.refused(refusal))
    case .published, .repeated, .conflict, .unknownKey, .changed, .saved, .expired, .outbox,
      .apiKeys:
      break
    }
    guard let reply = unwrap(outcome) else {
      assertionFailure("the store answered a command with \(outcome)")
      return .failure(.unknown(reason: "unexpected outcome of the store"))
    }
    return .success(reply)
  }
}

extension TypedCommand<KeyReply> {
  /// Stores all of `drafts` or none.
  package static func publish(
    drafts: [PendingNotification], idempotency: IdempotencyKey?, answer: [UInt8],
    takenAt: UInt64? = nil
  ) -> Self {
    let command = StoreCommand.publish(
      drafts: drafts, idempotency: idempotency, answer: answer, takenAt: takenAt)
    return Self(command: command) { outcome in
      if case .published = outcome { return .isNew }
      return earlier(outcome)
    }
  }

  /// Finds the answer to the first publish with that key.
  package static func findKey(_ key: IdempotencyKey) -> Self {
    Self(command: .findKey(key)) { outcome in
      if case .unknownKey = outcome { return .isNew }
      return earlier(outcome)
    }
  }

  private static func earlier(_ outcome: StoreOutcome) -> KeyReply? {
    switch outcome {
    case .repeated(let answer): .repeated(answer: answer)
    case .conflict: .conflict
    default: nil
    }
  }
}

extension TypedCommand<ChangeReply> {
  /// Changes the user's own notifications and no others.
  package static func change(user: UserID, _ change: InboxChange, at time: Int64) -> Self {
    Self(command: .change(user: user, change, at: time), unwrap: reply)
  }

  /// Changes the user's notification and the others of its group.
  package static func changeGroup(
    user: UserID, of id: NotificationID, _ change: GroupChange, at time: Int64
  ) -> Self {
    Self(command: .changeGroup(user: user, of: id, change, at: time), unwrap: reply)
  }

  @Sendable
  private static func reply(_ outcome: StoreOutcome) -> ChangeReply? {
    guard case .changed(let count, let counts) = outcome else { return nil }
    return ChangeReply(count: count, counts: counts)
  }
}

extension TypedCommand<Void> {
  /// Replaces the user's preferences.
  package static func setPreferences(user: UserID, _ preferences: Preferences) -> Self {
    Self(command: .setPreferences(user: user, preferences)) { outcome in
      guard case .saved = outcome else { return nil }
      return ()
    }
  }
}

extension TypedCommand<OutboxOutcome> {
  /// Changes the outbox or its endpoints.
  package static func outbox(_ command: OutboxCommand) -> Self {
    Self(command: .outbox(command)) { outcome in
      guard case .outbox(let outcome) = outcome else { return nil }
      return outcome
    }
  }
}
