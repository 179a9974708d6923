// A survey: all shards are asked about their own connections, and one puts the answers together.
//
//     a request, or another thread ─▶ asking shard ─ survey ──▶ every shard, itself too
//                                     asking shard ◀ surveyed ─ each at its next turn
//
// What a shard knows of its connections it alone knows, and nobody waits for it: the request lies
// in its place as one that waits for the store does, and the asking shard goes on turning. Answers
// are joined as they come in, so a survey under way holds one answer's worth, however many shards
// there are.
//
// Invariant: a survey is answered exactly once, with the last shard's answer or when its time is
// up. It is in `shardQueries` until then, and an answer that comes later finds none of its number.

internal import Broadcast
internal import Notifications
internal import Reactor
internal import Wire

/// What all shards are asked.
enum ShardQueryRequest: Sendable {
  /// The user's sessions and waiting polls, the longest connected first.
  case connections(of: UserID)
  /// How many those are.
  case connectionCount(of: UserID)
  /// How many, and how the user is seen.
  case presence(of: UserID)
  /// The first users behind one of them, in the order of their bytes, and how many there are.
  ///
  /// Those who have just left are among them for those who ask who is online.
  case users(limit: Int, after: UserID?, online: Bool)
  /// Ends the user's sessions and waiting polls: how many those were.
  case disconnect(UserID, reason: String)
}

/// What one shard answers, and after the last all of them.
enum ShardQueryAnswer: Sendable {
  case connections([ConnectionSummary])
  case count(Int)
  case presence(UserPresence)
  case users(ConnectedUsers)

  /// Joins the answers of two shards to one question.
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
    default:
      // The shards were all asked the same.
      return self
    }
  }
}

/// Whether a user is there, and how it is seen.
struct UserPresence: Sendable {
  var connections: Int
  /// What the user's home knows; nil from every other shard, and when the user is not there.
  var status: PresenceStatus?

  func joined(with other: UserPresence) -> UserPresence {
    UserPresence(
      connections: connections + other.connections, status: status ?? other.status)
  }
}

/// What comes of a survey.
typealias ShardQueryResult = Result<ShardQueryAnswer, ShardQueryFailure>

/// A survey under way on the shard that asks.
struct ShardQuery {
  /// Who is told what all shards say.
  enum Asker {
    case request(ConnectionID)
    case outside(@Sendable (ShardQueryResult) -> Void)
  }

  let number: UInt64
  let question: ShardQueryRequest
  let asker: Asker
  let endsAt: UInt64
  /// Shards that have not answered.
  var missingCount: Int
  var answer: ShardQueryAnswer?
}

extension Shard {
  // MARK: Asking

  /// Asks all shards and lets the request wait for them.
  func ask(
    _ question: ShardQueryRequest, for request: Request
  ) throws(Refusal) -> EndpointResult {
    guard beginShardQuery(question, for: .request(table.id(of: request.slot))) else {
      throw .busy
    }
    return .later(.shardQuery)
  }

  /// Asks all shards; false when as many surveys are under way as may be.
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

  /// Takes one shard's answer.
  func take(_ answer: ShardQueryAnswer, ofShardQuery number: UInt64) {
    guard let position = shardQueries.firstIndex(where: { $0.number == number }) else { return }
    let limits = core.configuration.limits
    let joined = shardQueries[position].answer?.joined(with: answer, limits: limits) ?? answer
    shardQueries[position].answer = joined
    shardQueries[position].missingCount -= 1
    guard shardQueries[position].missingCount == 0 else { return }
    finish(shardQueries.remove(at: position), .success(joined))
  }

  /// Answers the surveys whose time is up.
  func expireShardQueries() {
    // All have the same time, so the oldest is always the first to end.
    while let late = shardQueries.first, now >= late.endsAt {
      finish(shardQueries.removeFirst(), .failure(.late))
    }
  }

  /// Answers what is under way when the shard ends: nobody is left waiting on another thread.
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
      guard table.holds(id), case .shardQuery? = (table[id.slot].task as? Exchange)?.pending else {
        return
      }
      finish(id.slot, Endpoints.answer(shardQuery.question, result))
    }
  }

  // MARK: Answering

  /// What this shard says for its own connections.
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
    // What is listed and no session is a poll that waits.
    let dialect =
      connection.state == .session ? fanOutGroups[connection.group].dialect.name : "poll"
    return ConnectionSummary(
      id: "\(index)-\(slot)-\(connection.generation)", dialect: dialect,
      connectedAt: connection.connectedAt, remoteAddress: connection.peer.text,
      userAgent: connection.userAgent, rooms: rooms(at: slot))
  }

  private func presence(of user: UserID) -> UserPresence {
    let isSeenHere = core.ownerShard(of: user) == index && isHere(user)
    return UserPresence(
      connections: directory.count(of: user), status: isSeenHere ? presence.status(of: user) : nil)
  }

  /// The users whose home this shard is; with one shard alone its directory is the census.
  private func users(limit: Int, after: UserID?, online: Bool) -> ConnectedUsers {
    var selection = UserSelection(limit: limit, after: after)
    if core.mailboxes.count == 1 {
      directory.forEachUser { selection.offer($0) }
    } else {
      for user in userShardCounts.keys { selection.offer(user) }
    }
    for user in online ? presence.usersInGrace : [] { selection.offer(TextKey(user)) }
    return selection.finish()
  }

  /// Ends the user's sessions and waiting polls here, and says how many those were.
  private func disconnect(_ user: UserID, reason: String) -> Int {
    // What was published before is told before.
    _ = core.ring.drain(consumer: index, limit: core.ring.capacity) { deliver($0) }
    var count = 0
    // A copy, because whoever is closed leaves the directory.
    for slot in directory.slots(of: user) where table.contains(slot) {
      count += 1
      if let poll = (table[slot].task as? Exchange)?.poll {
        end(poll, at: slot)
      } else {
        close(slot, code: 1008, reason: reason, logged: "disconnected by a publisher")
      }
    }
    return count
  }
}
