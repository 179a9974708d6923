// Quotas: how many connections an address may have and how many sessions a user, and how often they
// may ask, over all shards together.
//
// The kernel spreads one address over all shards, so its count is one number behind one mutex. It
// is taken when a connection is accepted, when a session begins, when either ends, and for a
// publish where publishes are limited: never on the way of a notification to a client. What is
// counted is exact: of those who come at once at the limit, one is let in.
//
// A limit that nobody set counts only callers from elsewhere: a load test on this machine and a
// proxy in front of the server would be nothing but one address. One that was set counts everybody.
//
// Whoever counted something uncounts it, exactly once: the connection's flags say what.

internal import Broadcast
internal import Notifications
internal import Reactor

/// Who shares a quota of connections: an IPv4 address, or a network of an IPv6 address.
///
/// A network of 64 bits is what one household or one machine is given, so an address of it is
/// nothing that anybody would run out of.
struct AddressKey: Hashable {
  private let family: PeerAddress.Family
  private let prefix: UInt64

  init(_ address: PeerAddress) {
    family = address.family
    let bytes = address.bytes
    let high = [bytes.0, bytes.1, bytes.2, bytes.3]
    // guard: ipv6-network-prefix
    let low = [bytes.4, bytes.5, bytes.6, bytes.7]
    prefix = (address.family == .ipv4 ? high : high + low).reduce(0) { $0 &* 256 &+ UInt64($1) }
  }
}

/// Why a connection is turned away before anything of it is read.
enum AdmissionRefusal: Error, Equatable {
  /// Its address has as many as it may have.
  case address
  /// Its address came too often; in so many nanoseconds it may come again.
  case addressRate(wait: UInt64)
  /// Too many are here that have not shown who they are.
  case unauthenticated
}

/// What becomes of a user's further session.
enum SessionVerdict: Equatable {
  case admitted
  /// Admitted, and the user's oldest one is to be ended.
  case replaces(ShardConnectionID)
  case refused
}

/// What is counted; the caller has the mutex.
struct QuotaTable {
  private struct Sessions {
    var count = 0
    /// Oldest first; only where the oldest has to give way.
    var ids: [ShardConnectionID] = []
  }

  private var connections: [AddressKey: Int] = [:]
  private var sessions: [TextKey: Sessions] = [:]
  private var attempts: BucketTable<AddressKey>
  private var publishes: BucketTable<TextKey>

  init(connectRate: RateLimit, publishRate: RateLimit, capacity: Int) {
    attempts = BucketTable(limit: connectRate, capacity: capacity)
    publishes = BucketTable(limit: publishRate, capacity: capacity)
  }

  /// Addresses and users that something is counted for, and buckets that are not full.
  mutating func sizes(at now: UInt64) -> QuotaSizes {
    attempts.forgetFull(at: now)
    publishes.forgetFull(at: now)
    return QuotaSizes(
      addresses: connections.count, users: sessions.count,
      buckets: attempts.count + publishes.count)
  }

  mutating func attempt(_ address: AddressKey, at now: UInt64) -> UInt64? {
    attempts.take(address, at: now)
  }

  mutating func publish(by publisher: TextKey, at now: UInt64) -> UInt64? {
    publishes.take(publisher, at: now)
  }

  /// False when the address has `limit` connections already.
  mutating func enter(_ address: AddressKey, limit: Int) -> Bool {
    let count = connections[address] ?? 0
    // guard: connections-per-address
    guard count < limit else { return false }
    connections[address] = count + 1
    return true
  }

  mutating func leave(_ address: AddressKey, at now: UInt64) {
    guard let count = connections[address] else { return }
    // guard: empty-address-forgotten
    connections[address] = count > 1 ? count - 1 : nil
    if count <= 1 { attempts.forget(address, at: now) }
  }

  mutating func begin(
    _ user: TextKey, at id: ShardConnectionID, limit: Int, whenFull policy: FullUserPolicy
  ) -> SessionVerdict {
    var open = sessions[user] ?? Sessions()
    var verdict = SessionVerdict.admitted
    if open.count >= limit {
      guard policy == .replace, !open.ids.isEmpty else { return .refused }
      verdict = .replaces(open.ids.removeFirst())
      open.count -= 1
    }
    open.count += 1
    if policy == .replace { open.ids.append(id) }
    sessions[user] = open
    return verdict
  }

  /// Nothing changes for a session that was replaced: it is not counted any more.
  mutating func end(_ user: TextKey, at id: ShardConnectionID, whenFull policy: FullUserPolicy) {
    guard var open = sessions[user] else { return }
    if policy == .replace {
      // guard: replaced-session-counted-once
      guard let index = open.ids.firstIndex(of: id) else { return }
      open.ids.remove(at: index)
    }
    open.count -= 1
    sessions[user] = open.count > 0 ? open : nil
  }
}

/// How much is remembered.
struct QuotaSizes: Equatable {
  var addresses: Int
  var users: Int
  var buckets: Int
}

/// The quotas of a server, for its shards.
///
/// Any thread may use them.
final class Quotas: Sendable {
  /// A number that may be a default.
  private struct Cap {
    /// `Int.max`: there is none.
    let limit: Int
    let countsLoopback: Bool

    init(_ given: Int?, standard: Int) {
      let limit = given ?? standard
      self.limit = limit == 0 ? .max : limit
      // guard: loopback-not-counted
      countsLoopback = given != nil
    }
  }

  /// The limits that hold where none is given.
  static let standardConnectionsPerAddress = 100
  static let standardSessionsPerUser = 20
  static let standardConnectRate = RateLimit(perSecond: 20, burst: 100)
  static let standardMessageRate = RateLimit(perSecond: 50, burst: 200)

  /// How many messages a connection may send.
  let messageRate: RateLimit
  /// Connections of a shard that may not have shown who they are.
  let unauthenticatedLimit: Int
  private let connectionsPerAddress: Cap
  private let sessionsPerUser: Cap
  private let whenUserFull: FullUserPolicy
  private let connectRate: RateLimit
  private let publishRate: RateLimit
  private let countsLoopback: (attempts: Bool, messages: Bool, unauthenticated: Bool)
  private let table: Guarded<QuotaTable>

  init(_ limits: Limits) {
    connectionsPerAddress = Cap(
      limits.connectionsPerAddressLimit, standard: Quotas.standardConnectionsPerAddress)
    sessionsPerUser = Cap(limits.sessionsPerUserLimit, standard: Quotas.standardSessionsPerUser)
    whenUserFull = limits.whenUserFull
    connectRate = limits.connectRate ?? Quotas.standardConnectRate
    messageRate = limits.messageRate ?? Quotas.standardMessageRate
    publishRate = limits.publishRate
    let unauthenticated = Cap(
      limits.unauthenticatedPerShardLimit, standard: max(1, limits.connectionsPerShardLimit / 10))
    unauthenticatedLimit = unauthenticated.limit
    countsLoopback = (
      attempts: limits.connectRate != nil, messages: limits.messageRate != nil,
      unauthenticated: unauthenticated.countsLoopback
    )
    table = Guarded(
      QuotaTable(
        connectRate: connectRate, publishRate: publishRate,
        capacity: limits.rateBucketCountLimit))
  }

  /// Lets a connection from that address in, or says why not.
  ///
  /// True: it was counted, and `leave` is called once it has ended.
  func enter(from peer: PeerAddress, at now: UInt64) throws(AdmissionRefusal) -> Bool {
    let isLoopback = peer.isLoopback
    let isRated = !connectRate.isOff && (countsLoopback.attempts || !isLoopback)
    let isCounted = applies(connectionsPerAddress, isLoopback)
    guard isRated || isCounted else { return false }
    let address = AddressKey(peer)
    let limit = connectionsPerAddress.limit
    let refusal: AdmissionRefusal? = table.withLock { table in
      if isRated, let wait = table.attempt(address, at: now) { return .addressRate(wait: wait) }
      if isCounted, !table.enter(address, limit: limit) { return .address }
      return nil
    }
    if let refusal { throw refusal }
    return isCounted
  }

  /// A connection that was counted has ended.
  func leave(_ peer: PeerAddress, at now: UInt64) {
    let address = AddressKey(peer)
    table.withLock { $0.leave(address, at: now) }
  }

  /// Whether sessions from that address are counted.
  func countsSessions(from peer: PeerAddress) -> Bool {
    applies(sessionsPerUser, peer.isLoopback)
  }

  /// Counts a session of `user`, which `end` uncounts unless the verdict was a refusal.
  func begin(_ user: UserID, at id: ShardConnectionID) -> SessionVerdict {
    let user = TextKey(user)
    let limit = sessionsPerUser.limit
    let policy = whenUserFull
    return table.withLock { $0.begin(user, at: id, limit: limit, whenFull: policy) }
  }

  /// A session that was counted has ended.
  func end(_ user: UserID, at id: ShardConnectionID) {
    let user = TextKey(user)
    let policy = whenUserFull
    table.withLock { $0.end(user, at: id, whenFull: policy) }
  }

  /// Takes a request to publish; how long to wait if it came too soon.
  func publish(by scope: String, at now: UInt64) -> UInt64? {
    if publishRate.isOff { return nil }
    let publisher = TextKey(scope)
    return table.withLock { $0.publish(by: publisher, at: now) }
  }

  /// Whether messages from that address are counted.
  func countsMessages(from peer: PeerAddress) -> Bool {
    !messageRate.isOff && (countsLoopback.messages || !peer.isLoopback)
  }

  /// Whether a connection from that address has to show who it is.
  func countsUnauthenticated(from peer: PeerAddress) -> Bool {
    unauthenticatedLimit < .max && (countsLoopback.unauthenticated || !peer.isLoopback)
  }

  /// How much is remembered at this moment.
  func sizes(at now: UInt64) -> QuotaSizes { table.withLock { $0.sizes(at: now) } }

  private func applies(_ cap: Cap, _ isLoopback: Bool) -> Bool {
    cap.limit < .max && (cap.countsLoopback || !isLoopback)
  }
}
