// A request that waits: how the reply of the store, or of other shards, becomes its answer.

internal import Notifications
internal import Wire

/// How a pending result becomes the answer to its request.
enum PendingAnswer {
  /// A publish: the answer once it is durable.
  case published(Answer)
  /// A publish that is refused only now: the answer of its first attempt, if there was one.
  case repeated(Answer, refusal: Answer)
  /// A change of the user's inbox; 404 if it names a notification that does not exist.
  case changed(names: Bool)
  case page
  case preferences
  /// A change of stored data outside the inbox: the answer once it is durable.
  case saved(Answer)
  case unreadCount
  case stats
  /// The start position of a poll, and whether continuity is lost.
  case position(isResync: Bool)
  /// A poll that waits for something new.
  case poll(Poll)
  /// An owner shard decides: the answer if it succeeds, and if not.
  case ownerShard(Answer, refusal: Answer)
  /// A poll of Engine.IO that waits for its session's packets.
  case enginePoll
  /// Readiness: answered when the probe returns.
  case probe
  /// A shard query: answered when the last shard has answered.
  case shardQuery

  /// Whether the answer is the outcome of a command.
  var isCommand: Bool {
    switch self {
    case .published, .changed, .saved: true
    case .repeated, .page, .preferences, .unreadCount, .stats, .position, .poll, .ownerShard,
      .enginePoll, .probe, .shardQuery:
      false
    }
  }

  /// Whether the store decides the answer within a bounded time, by a command or a query.
  var awaitsStore: Bool {
    switch self {
    case .published, .repeated, .changed, .saved, .page, .preferences, .unreadCount, .stats,
      .position:
      true
    case .poll, .ownerShard, .enginePoll, .probe, .shardQuery: false
    }
  }

  /// The answer when the store has given none in time.
  var lateAnswer: Answer {
    isCommand
      ? unknownOutcome
      : .unavailable("unreadable", "the store has not answered in time, try again")
  }

  /// The answer when a command may or may not have been carried out.
  ///
  /// It has no Retry-After, because only some commands may be repeated as they are.
  var unknownOutcome: Answer {
    let message =
      if case .published = self {
        "the notification may or may not have been stored: repeat it with the same Idempotency-Key"
      } else {
        "the change may or may not have been stored: repeat it"
      }
    return .failure(504, "outcome_unknown", message)
  }
}

extension Endpoints {
  /// Converts the outcome of a command to the pending answer.
  static func answer(_ pending: PendingAnswer, _ outcome: StoreOutcome) -> Answer {
    switch outcome {
    case .published:
      if case .published(let answer) = pending { return answer }
    case .repeated(let body):
      // The same request had the same kind of answer; the ids in it are those of the first one.
      switch pending {
      case .published(var answer), .repeated(var answer, _):
        answer.response.body = body
        return answer.with("Idempotent-Replay", "true")
      default: break
      }
    case .conflict:
      return .failure(
        409, "idempotency_conflict", "this Idempotency-Key was used with another body")
    case .unknownKey:
      if case .repeated(_, let refusal) = pending { return refusal }
    case .changed(let count, let counts):
      if case .changed(let names) = pending {
        if names, count == 0 {
          return .failure(404, "not_found", "no such notification in this inbox")
        }
        return .object { data in
          data.member("updated", count)
          data.members(of: counts)
        }
      }
    case .saved:
      if case .saved(let answer) = pending { return answer }
    case .expired:
      break
    case .unavailable:
      return .unavailable(
        "store_unavailable", "the store cannot write just now, nothing was stored: try again")
    case .readOnly:
      return .unavailable("read_only", "the store refuses writes until it is restarted")
    case .unknown:
      // The lookup of a key changes nothing, so its outcome is never in doubt.
      return pending.isCommand ? pending.unknownOutcome : answer(pending, .readOnly(reason: ""))
    }
    return .failure(500, "internal", "unexpected answer from the store")
  }

  /// Converts the result of a query to the pending answer.
  static func answer(
    _ pending: PendingAnswer, _ answer: StoreAnswer, cursors: CursorFormat
  ) -> Answer {
    switch (pending, answer) {
    case (.page, .page(let notifications, let next, let counts, let groups)):
      return page(notifications, next: next, counts, groups: groups)
    case (.preferences, .preferences(let preferences)):
      return .of(preferences)
    case (.unreadCount, .counts(let counts)):
      return .object { $0.member("count", counts.unread) }
    case (.stats, .counts(let counts)):
      return .object { $0.members(of: counts) }
    case (.position(let isResync), .position(let offset, _)):
      return polled([], cursors.text(at: offset), isResync: isResync)
    case (_, .failed):
      return .unavailable("unreadable", "the store cannot be read just now")
    default:
      return .failure(500, "internal", "unexpected answer from the store")
    }
  }
}
