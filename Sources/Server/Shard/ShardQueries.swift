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

internal import Broadcast
internal import Delivery

/// The pending queries of one shard to all shards.
///
/// Invariant: a query is finished exactly once: with the last shard's answer, at its timeout, or at
/// the shard's end. It is pending until then, so a later answer finds no query with its number. The
/// pending queries are in the order of their numbers and of their ends.
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
  }

  private struct Pending {
    let number: UInt64
    let asker: Asker
    let endsAt: UInt64
    /// Number of shards that have not answered.
    var missingCount: Int
    var answer: ShardQueryAnswer?

    func finished(_ result: ShardQueryResult) -> Finished {
      Finished(asker: asker, result: result)
    }
  }

  let context: ShardContext
  /// Oldest first.
  private var pending: [Pending] = []
  private var lastNumber: UInt64 = 0

  init(_ context: ShardContext) { self.context = context }

  /// When the oldest query times out; nil when none is pending.
  var nextEnd: UInt64? { pending.first?.endsAt }

  /// Queries all shards; false if `shardQueriesLimit` queries are already pending.
  func begin(_ question: ShardQueryRequest, for asker: Asker) -> Bool {
    guard pending.count < limits.shardQueriesLimit else { return false }
    lastNumber += 1
    let number = lastNumber
    pending.append(
      Pending(
        number: number, asker: asker,
        endsAt: now + limits.shardQueryTimeoutMilliseconds, missingCount: core.mailboxes.count))
    let askingShard = mailbox
    let ringEnd = core.ring.end
    for shard in core.mailboxes {
      shard.append(
        .shardQuery(question, ringEnd: ringEnd) { answer in
          askingShard.append(.shardQueryAnswer(number, answer))
        })
    }
    return true
  }

  /// Joins one shard's answer to those of its query, and returns the query after the last one.
  func take(_ answer: ShardQueryAnswer, of number: UInt64) -> Finished? {
    guard let position = pending.firstIndex(where: { $0.number == number }) else { return nil }
    let joined = pending[position].answer?.joined(with: answer, limits: limits) ?? answer
    pending[position].answer = joined
    pending[position].missingCount -= 1
    guard pending[position].missingCount == 0 else { return nil }
    return pending.remove(at: position).finished(.success(joined))
  }

  /// Ends the queries that have timed out.
  func expire() -> [Finished] {
    // All have the same timeout, so the oldest is always the first to expire.
    let lateCount = pending.prefix { now >= $0.endsAt }.count
    guard lateCount > 0 else { return [] }
    defer { pending.removeFirst(lateCount) }
    return pending.prefix(lateCount).map { $0.finished(.failure(.late)) }
  }

  /// Ends all queries at the shard's end, so that no other thread waits forever.
  func abandon() -> [Finished] {
    defer { pending.removeAll() }
    return pending.map { $0.finished(.failure(.stopping)) }
  }

  /// Traps in a debug build when the invariant does not hold.
  func checkInvariants() {
    assert(pending.count <= limits.shardQueriesLimit)
    for query in pending {
      assert(0 < query.missingCount && query.missingCount <= core.mailboxes.count)
      assert(query.number <= lastNumber)
    }
    for (one, next) in zip(pending, pending.dropFirst()) {
      assert(one.number < next.number && one.endsAt <= next.endsAt)
    }
  }

  // MARK: Asked by tests only

  /// The number of pending queries.
  var count: Int { pending.count }
}
