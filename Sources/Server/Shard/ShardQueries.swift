// Shard queries (scatter-gather): one shard asks all shards about their own connections and joins
// the answers.
//
//     a request, or another thread ─▶ querying shard ─ shardQuery ───────▶ every shard, itself too
//                                     querying shard ◀ shardQueryAnswer ─ each at its next turn
//
// Only the shard itself knows its connections, and no thread blocks on the answer: the request
// waits in its slot, as it does for a reply of the store, and the querying shard goes on with its
// turns. Answers are joined as they arrive, so a pending query holds one joined answer, regardless
// of the number of shards.
//
// Queries begin in turns, see `FairQueue`: a user's one after the other, and half of those that are
// pending at most are of users, so that an operator's never wait for many of them.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Wire

/// The queries of one shard to all shards: those that wait, and those that are pending.
///
/// Invariant: a query that has begun is finished exactly once: with the last shard's answer, at its
/// timeout, or at the shard's end. It is pending until then, so a later answer finds no query with
/// its number. The pending queries are in the order of their numbers and of their ends.
final class ShardQueries: ShardComponent {
  /// The receiver of the joined answer.
  enum Asker {
    case request(ConnectionID)
    case outside(@Sendable (ShardQueryResult) -> Void)
  }

  /// A query with its result, which the shard passes on.
  struct Finished {
    let asker: Asker
    let result: ShardQueryResult
    /// The memory that was reserved for a list.
    let charge: PageCharge?
  }

  /// A question with its own number; no two are equal.
  private struct Question: Hashable {
    let number: UInt64
    let request: ShardQueryRequest

    static func == (one: Question, other: Question) -> Bool { one.number == other.number }

    func hash(into hasher: inout Hasher) { number.hash(into: &hasher) }
  }

  private typealias Entry = FairQueue<Question, Asker>.Entry

  private struct Pending {
    let number: UInt64
    let entry: Entry
    let charge: PageCharge?
    let endsAt: UInt64
    /// Number of shards that have not answered.
    var missingCount: Int
    var answer: ShardQueryAnswer?

    func finished(_ result: ShardQueryResult) -> Finished {
      Finished(asker: entry.askers[0], result: result, charge: charge)
    }
  }

  /// The most bytes of a list of a user's connections, until it is known.
  static let listBytes = 256 * 1_024

  let context: ShardContext
  private let pages: PageMemory
  private var queue: FairQueue<Question, Asker>
  /// Oldest first.
  private var pending: [Pending] = []
  private var lastNumber: UInt64 = 0
  private var lastQuestion: UInt64 = 0

  init(_ context: ShardContext, _ pages: PageMemory) {
    self.context = context
    self.pages = pages
    let limit = context.core.configuration.limits.shardQueriesLimit
    queue = FairQueue(limit: limit, users: limit / 2, publishers: limit - limit / 8)
  }

  /// When the oldest query times out; nil when none is pending.
  var nextEnd: UInt64? { pending.first?.endsAt }

  /// Queries all shards, now or in turn: for `user`, or for a publisher.
  ///
  /// Returns the queries that are refused for lack of memory; nil if `waitingShardQueriesLimit`
  /// publishers' queries wait. Users' need no such bound: a connection has one query.
  func begin(_ request: ShardQueryRequest, for asker: Asker, of user: UserID?) -> [Finished]? {
    let waitingCount = queue.waitingCounts[Party.Kind.publisher.rawValue]
    guard user != nil || waitingCount < limits.waitingShardQueriesLimit else { return nil }
    lastQuestion += 1
    _ = queue.add(
      Question(number: lastQuestion, request: request),
      // The queries of publishers do not wait for each other.
      of: user.map { Party(.user, $0) } ?? Party(.publisher, "\(lastQuestion)"), for: asker,
      isShared: false
    ) { isOpen($0) }
    return startNext()
  }

  private func isOpen(_ asker: Asker) -> Bool {
    switch asker {
    case .request(let id): table.holds(id)
    case .outside: true
    }
  }

  /// Begins the queries of which the turn has come, and returns those for which there is no memory.
  func startNext() -> [Finished] {
    var refused: [Finished] = []
    while let entry = queue.next() {
      guard isOpen(entry.askers[0]) else {
        queue.finish(entry)
        continue
      }
      var charge: PageCharge?
      if let (byteCount, holder) = memory(of: entry) {
        charge = pages.reserve(byteCount, for: holder)
        if charge == nil {
          queue.finish(entry)
          refused.append(
            Finished(asker: entry.askers[0], result: .failure(.busy), charge: nil))
          continue
        }
      }
      begin(entry, charge)
    }
    return refused
  }

  private func begin(_ entry: Entry, _ charge: PageCharge?) {
    lastNumber += 1
    let number = lastNumber
    pending.append(
      Pending(
        number: number, entry: entry, charge: charge,
        endsAt: now + limits.shardQueryTimeoutMilliseconds, missingCount: core.mailboxes.count))
    let askingShard = mailbox
    let ringEnd = core.ring.end
    for shard in core.mailboxes {
      shard.append(
        .shardQuery(entry.question.request, ringEnd: ringEnd) { answer in
          askingShard.append(.shardQueryAnswer(number, answer))
        })
    }
  }

  /// The memory that a request for a list needs, and its holder; nil for any other query.
  private func memory(of entry: Entry) -> (Int, PageHolder)? {
    guard case .request(let id) = entry.askers[0] else { return nil }
    switch entry.question.request {
    case .connections:
      return (Self.listBytes, pages.holder(of: entry.party, at: id.slot))
    case .users(let limit, _, _):
      return (
        limit * (UserIDs.byteCountLimit + 4), pages.holder(of: entry.party, at: id.slot)
      )
    case .connectionCount, .presence, .disconnect, .join, .leave, .inside, .members, .observe,
      .unobserve:
      return nil
    }
  }

  /// Joins one shard's answer to those of its query, and returns the query after the last one.
  ///
  /// `startNext` has to follow once it has been answered: by then its memory is returned.
  func take(_ answer: ShardQueryAnswer, of number: UInt64) -> Finished? {
    guard let position = pending.firstIndex(where: { $0.number == number }) else { return nil }
    let joined = pending[position].answer?.joined(with: answer, limits: limits) ?? answer
    pending[position].answer = joined
    pending[position].missingCount -= 1
    guard pending[position].missingCount == 0 else { return nil }
    let query = pending.remove(at: position)
    queue.finish(query.entry)
    return query.finished(.success(joined))
  }

  /// Ends the queries that have timed out; `startNext` has to follow.
  func expire() -> [Finished] {
    // All have the same timeout, so the oldest is always the first to expire.
    let lateCount = pending.prefix { now >= $0.endsAt }.count
    guard lateCount > 0 else { return [] }
    let late = pending.prefix(lateCount)
    pending.removeFirst(lateCount)
    for query in late { queue.finish(query.entry) }
    return late.map { $0.finished(.failure(.late)) }
  }

  /// Ends all queries at the shard's end, so that no other thread waits forever.
  func abandon() -> [Finished] {
    var ended = pending.map { $0.finished(.failure(.stopping)) }
    for query in pending { queue.finish(query.entry) }
    pending.removeAll()
    while let entry = queue.next() {
      queue.finish(entry)
      ended.append(Finished(asker: entry.askers[0], result: .failure(.stopping), charge: nil))
    }
    return ended
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    queue.checkInvariants()
    assert(pending.count == queue.inFlightCount)
    for query in pending {
      assert(0 < query.missingCount && query.missingCount <= core.mailboxes.count)
      assert(query.number <= lastNumber)
    }
    for (one, next) in zip(pending, pending.dropFirst()) {
      assert(one.number < next.number && one.endsAt <= next.endsAt)
    }
  }

  /// The memory reserved for the lists that are pending.
  var charges: [PageCharge] { pending.compactMap(\.charge) }

  // MARK: Asked by tests only

  /// The number of pending queries.
  var count: Int { pending.count }
}
