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
// Invariant: a query is answered exactly once: with the last shard's answer, at its timeout, or at
// the shard's end. It is in `shardQueries` until then, so a later answer finds no query with its
// number.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

/// A query to all shards.
enum ShardQueryRequest: Sendable {
  /// The user's sessions and waiting polls, the longest connected first.
  case connections(of: UserID)
  /// The number of the user's sessions and waiting polls.
  case connectionCount(of: UserID)
  /// The same number, and the user's presence status.
  case presence(of: UserID)
  /// The first users after `after`, in the order of their bytes, and the number of all users.
  ///
  /// With `online`, users in the grace period are included.
  case users(limit: Int, after: UserID?, online: Bool)
  /// Ends the user's sessions and waiting polls; the answer is their number.
  case disconnect(UserID, reason: String)
  /// Puts the user's sessions into a room; the answer is their number.
  case join(RoomName, user: UserID)
  /// Takes the user's sessions out of a room; the answer is the number of those in it.
  case leave(RoomName, user: UserID)
  /// The number of the user's sessions that are in a room.
  case inside(RoomName, user: UserID)
  /// The first members of a room, and the number of all members.
  case members(of: RoomName, limit: Int)
  /// Adds an observer of events; the answer is a count without meaning.
  case observe(UInt64, offer: @Sendable (ObservedEvent) -> Bool)
  /// Removes an observer; the answer is a count without meaning.
  case unobserve(UInt64)
}

/// The answer of one shard, or the joined answer of several.
enum ShardQueryAnswer: Sendable {
  case connections([ConnectionSummary])
  case count(Int)
  case presence(UserPresence)
  case users(ConnectedUsers)
  case members(RoomMembers)

  /// Joins the answers of two shards to one query.
  func joined(with other: ShardQueryAnswer, limits: Limits) -> ShardQueryAnswer {
    switch (self, other) {
    case (.connections(let one), .connections(let two)):
      let all = (one + two).sorted(by: ConnectionSummary.isBefore)
      return .connections(Array(all.prefix(limits.listedConnectionsLimit)))
    case (.count(let one), .count(let two)):
      return .count(one + two)
    case (.presence(let one), .presence(let two)):
      return .presence(one.joined(with: two))
    case (.users(let one), .users(let two)):
      return .users(one.joined(with: two))
    case (.members(let one), .members(let two)):
      return .members(one.joined(with: two))
    default:
      // Cannot happen: all shards get the same query.
      return self
    }
  }
}

/// A user's connections and presence status.
struct UserPresence: Sendable {
  var connections: Int
  /// The status, from the user's owner shard; nil from other shards, and if the user is offline.
  var status: PresenceStatus?

  func joined(with other: UserPresence) -> UserPresence {
    UserPresence(
      connections: connections + other.connections, status: status ?? other.status)
  }
}

/// The result of a shard query.
typealias ShardQueryResult = Result<ShardQueryAnswer, ShardQueryFailure>

/// A pending query on the querying shard.
struct ShardQuery {
  /// The receiver of the joined answer.
  enum Asker {
    case request(ConnectionID)
    case outside(@Sendable (ShardQueryResult) -> Void)
  }

  let number: UInt64
  let question: ShardQueryRequest
  let asker: Asker
  let endsAt: UInt64
  /// Number of shards that have not answered.
  var missingCount: Int
  var answer: ShardQueryAnswer?
}

extension Shard {
  // MARK: Queries

  /// Queries all shards; false if `shardQueriesLimit` queries are already pending.
  func beginShardQuery(_ question: ShardQueryRequest, for asker: ShardQuery.Asker) -> Bool {
    let limits = core.configuration.limits
    guard shardQueries.count < limits.shardQueriesLimit else { return false }
    lastShardQuery += 1
    let number = lastShardQuery
    shardQueries.append(
      ShardQuery(
        number: number, question: question, asker: asker,
        endsAt: now + limits.shardQueryTimeoutMilliseconds, missingCount: core.mailboxes.count))
    let askingShard = mailbox
    for shard in core.mailboxes {
      shard.append(
        .shardQuery(question) { answer in askingShard.append(.shardQueryAnswer(number, answer)) })
    }
    return true
  }

  /// Joins one shard's answer to those of its query.
  func take(_ answer: ShardQueryAnswer, ofShardQuery number: UInt64) {
    guard let position = shardQueries.firstIndex(where: { $0.number == number }) else { return }
    let limits = core.configuration.limits
    let joined = shardQueries[position].answer?.joined(with: answer, limits: limits) ?? answer
    shardQueries[position].answer = joined
    shardQueries[position].missingCount -= 1
    guard shardQueries[position].missingCount == 0 else { return }
    finish(shardQueries.remove(at: position), .success(joined))
  }

  /// Answers the queries that have timed out.
  func expireShardQueries() {
    // All have the same timeout, so the oldest is always the first to expire.
    while let late = shardQueries.first, now >= late.endsAt {
      finish(shardQueries.removeFirst(), .failure(.late))
    }
  }

  /// Answers the pending queries at the shard's end, so that no other thread waits forever.
  func abandonShardQueries() {
    let abandoned = shardQueries
    shardQueries.removeAll()
    for shardQuery in abandoned { finish(shardQuery, .failure(.stopping)) }
  }

  private func finish(_ shardQuery: ShardQuery, _ result: ShardQueryResult) {
    switch shardQuery.asker {
    case .outside(let done):
      done(result)
    case .request(let id):
      finishRequest(result, of: id)
    }
  }

  // MARK: Answers

  /// Answers a query for this shard's own connections.
  func answer(_ question: ShardQueryRequest) -> ShardQueryAnswer {
    switch question {
    case .connections(let user):
      .connections(summaries(of: user))
    case .connectionCount(let user):
      .count(directory.count(of: user))
    case .presence(let user):
      .presence(presence(of: user))
    case .users(let limit, let after, let online):
      .users(users(limit: limit, after: after, online: online))
    case .disconnect(let user, let reason):
      .count(disconnect(user, reason: reason))
    case .join(let room, let user):
      .count(join(room, user: user))
    case .leave(let room, let user):
      .count(leave(room, user: user))
    case .inside(let room, let user):
      .count(insideCount(room, user: user))
    case .members(let room, let limit):
      .members(roomOwner.members(of: room, limit: limit))
    case .observe(let id, let offer):
      .count(addObserver(id, offer: offer))
    case .unobserve(let id):
      .count(removeObserver(id))
    }
  }

  private func summaries(of user: UserID) -> [ConnectionSummary] {
    var found: [ConnectionSummary] = []
    directory.forEachSlot(of: user) { found.append(summary(of: $0)) }
    found.sort(by: ConnectionSummary.isBefore)
    return Array(found.prefix(core.configuration.limits.listedConnectionsLimit))
  }

  private func summary(of slot: UInt32) -> ConnectionSummary {
    let connection = table[slot]
    // A listed connection that is no session is a waiting poll.
    let dialect =
      connection.state == .session ? encoder(of: slot).dialect.name : "poll"
    return ConnectionSummary(
      id: "\(index)-\(slot)-\(delivery[slot].generation)", dialect: dialect,
      connectedAt: connection.connectedAt, remoteAddress: connection.peer.text,
      userAgent: connection.userAgent, rooms: rooms(at: slot))
  }

  private func presence(of user: UserID) -> UserPresence {
    let isOwner = core.ownerShard(of: user) == index
    return UserPresence(
      connections: directory.count(of: user),
      status: isOwner ? userOwner.status(of: user, directory) : nil)
  }

  /// The connected users that this shard owns.
  private func users(limit: Int, after: UserID?, online: Bool) -> ConnectedUsers {
    var selection = UserSelection(limit: limit, after: after)
    userOwner.forEachUser(directory) { selection.offer($0) }
    for user in online ? userOwner.usersInGrace : [] { selection.offer(TextKey(user)) }
    return selection.finish()
  }

  /// Ends the user's sessions and waiting polls on this shard and returns their number.
  private func disconnect(_ user: UserID, reason: String) -> Int {
    // Deliver events published earlier before the close.
    _ = core.ring.drain(consumer: index, limit: core.ring.capacity) { deliver($0) }
    var count = 0
    // Iterates over a copy, because a closed connection leaves the directory.
    for slot in directory.slots(of: user) {
      count += 1
      if let poll = table[slot].activity.exchange?.poll {
        end(poll, at: slot)
      } else {
        close(slot, code: 1008, reason: reason, logged: "disconnected by a publisher")
      }
    }
    return count
  }
}
