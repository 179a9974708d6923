// A request that waits: for which reply, and how the reply becomes its answer.
//
// The closure is made with the query or command that the request waits for, whose type gives the
// type of the reply (`Endpoints.ask` and `submit`). So a reply of another kind does not compile.

internal import Notifications
internal import Wire

/// The reply that a request waits for, and how the reply becomes its answer.
enum PendingAnswer {
  /// The store carries out a command.
  case outcome(of: StoreWork, (StoreOutcome) -> Answer)
  /// The store answers a query; `isCommon` is whether all requests to the endpoint with that query
  /// get the same answer.
  case storeAnswer(isCommon: Bool, (StoreAnswer) -> Answer)
  /// A poll that waits for something new.
  case poll(Poll)
  /// The owner shard of a room or a user decides.
  case roomAnswer((RoomAnswer) -> Answer)
  /// All shards answer a query.
  case shardQuery((ShardQueryResult) -> Answer)
  /// A refusal that is given after a time; see `Refusal.isHeld`.
  case held(Answer)
  /// A component of the shard answers the request after an event: packets for a poll of Engine.IO,
  /// or the return of a readiness probe.
  case event

  /// The work of the store that decides the answer within a bounded time; nil if none does.
  var storeWork: StoreWork? {
    switch self {
    case .outcome(let work, _): work
    case .storeAnswer: .reading
    case .poll, .roomAnswer, .shardQuery, .held, .event: nil
    }
  }

  /// Whether the request is answered at its deadline, and not only if the answer is late.
  var hasExactDeadline: Bool {
    switch self {
    case .poll, .held: true
    case .outcome, .storeAnswer, .roomAnswer, .shardQuery, .event: false
    }
  }

  /// The milliseconds after which the request is answered at the latest; nil without a bound.
  func timeLimit(_ limits: Limits) -> UInt64? {
    switch self {
    case .outcome, .storeAnswer: limits.storeTimeoutMilliseconds
    case .held: limits.heldRefusalMilliseconds
    case .poll, .roomAnswer, .shardQuery, .event: nil
    }
  }
}

/// What the store does for a request, by the effect that it may have had when its reply is late.
enum StoreWork {
  case publishing
  /// A change of other stored data.
  case changing
  /// A query, or the search for a key: nothing changes.
  case reading

  /// The work for a command.
  init(_ command: StoreCommand) {
    switch command {
    case .publish: self = .publishing
    case .findKey: self = .reading
    case .check, .change, .changeGroup, .setPreferences, .keepRooms, .recount, .expire,
      .outbox, .apiKeys:
      self = .changing
    }
  }

  /// Whether the reply is the outcome of a change.
  var isCommand: Bool { self != .reading }

  /// The answer when the store has given none in time.
  var lateAnswer: Answer {
    unknownOutcome
      ?? .unavailable("unreadable", "the store has not answered in time, try again")
  }

  /// The answer when a change may or may not have been carried out; nil where nothing changes.
  ///
  /// It has no Retry-After, because only some commands may be repeated as they are.
  var unknownOutcome: Answer? {
    switch self {
    case .publishing:
      .failure(
        504, "outcome_unknown",
        "the notification may or may not have been stored: repeat it with the same Idempotency-Key")
    case .changing:
      .failure(
        504, "outcome_unknown", "the change may or may not have been stored: repeat it")
    case .reading: nil
    }
  }

  /// The answer to a command that the store has not carried out.
  func answer(to failure: StoreFailure) -> Answer {
    switch failure {
    case .unavailable:
      .unavailable(
        "store_unavailable", "the store cannot write just now, nothing was stored: try again")
    case .readOnly: StoreWork.readOnly
    case .refused(.keys(let limit)):
      .tooMany(
        "too_many_keys",
        "a publisher has at most \(limit) Idempotency-Keys in a day: publish without one, or wait",
        afterSeconds: StoreWork.retrySeconds)
    case .refused(.changes(let limit)):
      .tooMany(
        "too_many_changes", "a user has at most \(limit) changes of its whole inbox under way",
        afterSeconds: 1)
    case .refused(.webhooks(let limit)):
      .failure(409, "too_many_webhooks", "there are \(limit) webhooks already: delete one first")
    // guard: unknown-outcome-has-its-answer
    case .unknown: unknownOutcome ?? StoreWork.readOnly
    }
  }

  /// Expired keys are forgotten with every publish, refused ones included.
  private static let retrySeconds: UInt64 = 60
  private static let readOnly = Answer.unavailable(
    "read_only", "the store refuses writes until it is restarted")
}

/// The answer of the requests to one endpoint that wait for the same reply.
struct SharedAnswer {
  private var known: (path: String, answer: Answer)?

  /// The answer for a request to the endpoint at `path`, which is made once.
  mutating func answer(at path: String, _ make: () -> Answer) -> Answer {
    // guard: one-body-for-equal-questions
    if let known, known.path == path { return known.answer }
    let answer = make()
    known = (path, answer)
    return answer
  }
}

extension Answer {
  /// The answer when the store cannot be read.
  static let unreadable = Answer.unavailable("unreadable", "the store cannot be read just now")
}
