// The answers of a shard: to its requests that waited for a probe or for all shards, and to the
// queries of every shard about this one's connections.

internal import Broadcast
internal import Delivery
internal import Notifications
internal import Reactor

extension Shard {
  /// Answers the requests of a probe, if it has a verdict.
  func respond(_ verdict: Readiness.Verdict?) {
    guard let verdict else { return }
    for id in verdict.waiting where table.holds(id) { http.finish(verdict.answer, at: id.slot) }
  }

  // MARK: Queries

  /// Passes the result of a finished query on.
  func respond(_ query: ShardQueries.Finished) {
    switch query.asker {
    case .outside(let done):
      done(query.result)
    case .request(let id):
      guard table.holds(id) else { break }
      if let charge = query.charge { pages.hold(charge, at: id.slot) }
      http.answer(id.slot, with: query.result)
      pages.settle(at: id.slot, to: 0)
    }
    if let charge = query.charge { pages.releaseIfUnheld(charge) }
  }

  // MARK: Answers

  /// Answers a query for this shard's own connections.
  ///
  /// `ringEnd` is the end of the ring when the query was sent.
  func answer(_ question: ShardQueryRequest, ringEnd: UInt64) -> ShardQueryAnswer {
    switch question {
    case .connections(let user):
      .connections(summaries(of: user))
    case .connectionCount(let user):
      .count(users.connectionCount(of: user))
    case .presence(let user):
      .presence(presence(of: user))
    case .users(let limit, let after, let online):
      .users(users(limit: limit, after: after, online: online))
    case .disconnect(let user, let reason):
      .count(disconnect(user, reason: reason, ringEnd: ringEnd))
    case .join(let room, let user):
      .count(rooms.join(room, user: user, among: users))
    case .leave(let room, let user):
      .count(rooms.leave(room, user: user, among: users))
    case .inside(let room, let user):
      .count(rooms.insideCount(room, user: user, among: users))
    case .members(let room, let limit):
      .members(rooms.members(of: room, limit: limit))
    case .observe(let id, let offer):
      .count(observers.add(id, offer: offer))
    case .unobserve(let id):
      .count(observers.remove(id))
    }
  }

  private func summaries(of user: UserID) -> [ConnectionSummary] {
    var found: [ConnectionSummary] = []
    users.forEachSlot(of: user) { found.append(summary(of: $0)) }
    found.sort(by: ConnectionSummary.isBefore)
    return Array(found.prefix(limits.listedConnectionsLimit))
  }

  private func summary(of slot: UInt32) -> ConnectionSummary {
    let connection = table[slot]
    // A listed connection that is no session is a waiting poll.
    let dialect =
      connection.state == .session ? encoder(of: slot).dialect.name : "poll"
    return ConnectionSummary(
      id: "\(index)-\(slot)-\(delivery[slot].generation)", dialect: dialect,
      connectedAt: connection.connectedAt, remoteAddress: connection.peer.text,
      userAgent: connection.userAgent?.text ?? "", rooms: rooms.names(at: slot))
  }

  private func presence(of user: UserID) -> UserPresence {
    UserPresence(connections: users.connectionCount(of: user), status: users.status(of: user))
  }

  /// The connected users that this shard owns.
  private func users(limit: Int, after: UserID?, online: Bool) -> ConnectedUsers {
    var selection = UserSelection(limit: limit, after: after)
    self.users.forEachOwned { selection.offer($0) }
    for user in online ? self.users.inGrace : [] { selection.offer(TextKey(user)) }
    return selection.finish()
  }

  /// Ends the user's sessions and waiting polls on this shard and returns their number.
  private func disconnect(_ user: UserID, reason: String, ringEnd: UInt64) -> Int {
    // Deliver the events published before the query, and only these: the messages that precede them
    // were posted before the query, so they have been received. A later event may have one that is
    // still in the mailbox.
    // guard: disconnect-delivers-nothing-early
    deliverEvents(before: ringEnd, limit: core.ring.capacity)
    var count = 0
    // Iterates over a copy, because a closed connection leaves the directory.
    for slot in users.slots(of: user) {
      count += 1
      if let poll = table[slot].activity.exchange?.poll {
        polls.end(poll, at: slot)
      } else {
        life.close(slot, code: 1008, reason: reason, logged: "disconnected by a publisher")
      }
    }
    return count
  }
}
