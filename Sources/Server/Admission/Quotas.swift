// Quotas over all shards: connections per address, sessions per user, and the rates of connecting,
// of users' requests and of publishing.
//
// The kernel spreads one address over all shards, so its count is one number protected by one
// mutex. A shard takes the mutex when a connection is accepted, when a session begins, when either
// ends, for a user's request, and for a publish where publishes are limited: never while it
// delivers a notification. The counts are exact: of several connections that arrive at once, one
// below the limit, exactly one is admitted.
//
// A default limit does not count callers on this machine: a load test and a proxy in front of the
// server would each be a single address. A configured limit counts every caller.
//
// Invariant: every count is returned exactly once; the connection's flags record the counts it
// holds.

internal import Broadcast
internal import Notifications
internal import Reactor

/// The holder of a quota of connections: an IPv4 address, or the network of an IPv6 address.
///
/// A network of 64 bits is assigned to one household or one machine, which could connect from
/// another address every time, so a limit on single addresses would bound nothing.
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

/// Why a connection is rejected before anything is read from it.
enum AdmissionRefusal: Error, Equatable {
  /// Its address is at its limit of connections.
  case address
  /// Its address connects too often; it may retry after so many nanoseconds.
  case addressRate(wait: UInt64)
  /// Too many open connections have not presented a token.
  case unauthenticated
}

/// The outcome of counting a user's further session.
enum SessionVerdict: Equatable {
  case admitted
  /// Admitted, and the user's oldest one must be ended.
  case replaces(ShardConnectionID)
  case refused
}

/// The counts and the buckets; the caller holds the mutex.
struct QuotaTable {
  private struct Sessions {
    var count = 0
    /// Oldest first; kept only under the policy that the newest replaces the oldest.
    var ids: [ShardConnectionID] = []
  }

  private var connections: [AddressKey: Int] = [:]
  private var sessions: [TextKey: Sessions] = [:]
  private var attempts: BucketTable<AddressKey>
  private var publishes: BucketTable<TextKey>
  private var requests: BucketTable<TextKey>
  private var badTokens: BucketTable<AddressKey>

  init(
    connectRate: RateLimit, publishRate: RateLimit, requestRate: RateLimit = .off,
    badTokenRate: RateLimit = .off, capacity: Int
  ) {
    attempts = BucketTable(limit: connectRate, capacity: capacity)
    publishes = BucketTable(limit: publishRate, capacity: capacity)
    requests = BucketTable(limit: requestRate, capacity: capacity)
    badTokens = BucketTable(limit: badTokenRate, capacity: capacity)
  }

  /// The number of addresses and users with a count, and of buckets that are not full.
  mutating func sizes(at now: UInt64) -> QuotaSizes {
    attempts.forgetFull(at: now)
    publishes.forgetFull(at: now)
    requests.forgetFull(at: now)
    badTokens.forgetFull(at: now)
    return QuotaSizes(
      addresses: connections.count, users: sessions.count,
      buckets: attempts.count + publishes.count + requests.count + badTokens.count)
  }

  mutating func attempt(_ address: AddressKey, at now: UInt64) -> UInt64? {
    attempts.take(address, at: now)
  }

  mutating func publish(by publisher: TextKey, at now: UInt64) -> UInt64? {
    publishes.take(publisher, at: now)
  }

  mutating func request(by user: TextKey, at now: UInt64) -> UInt64? {
    requests.take(user, at: now)
  }

  func badTokenWait(_ address: AddressKey, at now: UInt64) -> UInt64? {
    badTokens.wait(address, at: now)
  }

  mutating func countBadToken(_ address: AddressKey, at now: UInt64) {
    _ = badTokens.take(address, at: now)
  }

  /// Counts a connection; false when the address already has `limit` of them.
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

  /// Uncounts a session; one that was replaced is no longer counted and changes nothing.
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

/// The number of entries in the tables.
struct QuotaSizes: Equatable {
  var addresses: Int
  var users: Int
  var buckets: Int
}

/// The quotas of a server, for its shards.
///
/// Any thread may use them.
final class Quotas: Sendable {
  /// A limit that may be a default.
  private struct Cap {
    /// `Int.max` means no limit.
    let limit: Int
    let countsLoopback: Bool

    init(_ given: Int?, standard: Int) {
      let limit = given ?? standard
      self.limit = limit == 0 ? .max : limit
      // guard: loopback-not-counted
      countsLoopback = given != nil
    }
  }

  /// The rate at which one connection may send messages.
  let messageRate: RateLimit
  /// Counted connections of one address, and sessions of one user, for the answer to one more.
  var addressLimit: Int { connectionsPerAddress.limit }
  var sessionLimit: Int { sessionsPerUser.limit }
  /// Rooms that one user may hold.
  var roomLimit: Int { roomsPerUser.limit }
  private let connectionsPerAddress: Cap
  private let sessionsPerUser: Cap
  private let roomsPerUser: Cap
  /// The rooms that each user holds.
  let roomShares: RoomShares
  private let whenUserFull: FullUserPolicy
  let connectRate: RateLimit
  let publishRate: RateLimit
  /// The rate at which one user may send requests.
  let requestRate: RateLimit
  /// The rate at which one address may present tokens with a wrong signature.
  let badTokenRate: RateLimit
  private let countsLoopback: (attempts: Bool, messages: Bool, requests: Bool, badTokens: Bool)
  private let table: Guarded<QuotaTable>

  init(_ limits: Limits) {
    connectionsPerAddress = Cap(
      limits.connectionsPerAddressLimit, standard: Limits.standardConnectionsPerAddress)
    sessionsPerUser = Cap(limits.sessionsPerUserLimit, standard: Limits.standardSessionsPerUser)
    roomsPerUser = Cap(limits.roomsPerUserLimit, standard: Limits.standardRoomsPerUser)
    roomShares = RoomShares(limit: roomsPerUser.limit)
    whenUserFull = limits.whenUserFull
    connectRate = limits.connectRate ?? Limits.standardConnectRate
    messageRate = limits.messageRate ?? Limits.standardMessageRate
    publishRate = limits.publishRate
    requestRate = limits.requestRate ?? Limits.standardRequestRate
    badTokenRate = limits.badTokenRate ?? Limits.standardBadTokenRate
    countsLoopback = (
      attempts: limits.connectRate != nil, messages: limits.messageRate != nil,
      requests: limits.requestRate != nil, badTokens: limits.badTokenRate != nil
    )
    table = Guarded(
      QuotaTable(
        connectRate: connectRate, publishRate: publishRate, requestRate: requestRate,
        badTokenRate: badTokenRate, capacity: limits.rateBucketCountLimit))
  }

  /// Admits a connection from that address, or throws the reason for refusing it.
  ///
  /// `isLocal` is whether it is a direct connection of this machine, `isRated` whether it counts at
  /// the connect rate. Returns true when it was counted: then `leave` must be called once it has
  /// ended.
  func enter(
    from peer: PeerAddress, isLocal: Bool, isRated: Bool = true, at now: UInt64
  ) throws(AdmissionRefusal) -> Bool {
    let isRated = isRated && !connectRate.isOff && (countsLoopback.attempts || !isLocal)
    let isCounted = applies(connectionsPerAddress, isLocal)
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

  /// Uncounts a connection that has ended.
  func leave(_ peer: PeerAddress, at now: UInt64) {
    let address = AddressKey(peer)
    table.withLock { $0.leave(address, at: now) }
  }

  /// Whether connections of this machine count at the connect rate.
  var ratesLocal: Bool { countsLoopback.attempts }

  /// Whether sessions are counted, those of this machine or those of others.
  func countsSessions(isLocal: Bool) -> Bool { applies(sessionsPerUser, isLocal) }

  /// Whether a room counts for the user that opens it from this machine, or from another one.
  func countsRooms(isLocal: Bool) -> Bool { applies(roomsPerUser, isLocal) }

  /// Counts a session of `user`; `end` uncounts it, unless the verdict was a refusal.
  func begin(_ user: UserID, at id: ShardConnectionID) -> SessionVerdict {
    let user = TextKey(user)
    let limit = sessionsPerUser.limit
    let policy = whenUserFull
    return table.withLock { $0.begin(user, at: id, limit: limit, whenFull: policy) }
  }

  /// Uncounts a session that has ended.
  func end(_ user: UserID, at id: ShardConnectionID) {
    let user = TextKey(user)
    let policy = whenUserFull
    table.withLock { $0.end(user, at: id, whenFull: policy) }
  }

  /// Takes a token for a publish; returns the nanoseconds to wait when there is none.
  func publish(by scope: String, at now: UInt64) -> UInt64? {
    if publishRate.isOff { return nil }
    let publisher = TextKey(scope)
    return table.withLock { $0.publish(by: publisher, at: now) }
  }

  /// Takes a token for a user's request; returns the nanoseconds to wait when there is none.
  func request(by user: UserID, isLocal: Bool, at now: UInt64) -> UInt64? {
    guard !requestRate.isOff, countsLoopback.requests || !isLocal else { return nil }
    let user = TextKey(user)
    return table.withLock { $0.request(by: user, at: now) }
  }

  /// The nanoseconds until a token of that address is verified; nil if it is verified now.
  func badTokenWait(of peer: PeerAddress, isLocal: Bool, at now: UInt64) -> UInt64? {
    guard countsBadTokens(isLocal: isLocal) else { return nil }
    let address = AddressKey(peer)
    return table.withLock { $0.badTokenWait(address, at: now) }
  }

  /// Counts a token with a wrong signature.
  func countBadToken(of peer: PeerAddress, isLocal: Bool, at now: UInt64) {
    guard countsBadTokens(isLocal: isLocal) else { return }
    let address = AddressKey(peer)
    table.withLock { $0.countBadToken(address, at: now) }
  }

  private func countsBadTokens(isLocal: Bool) -> Bool {
    !badTokenRate.isOff && (countsLoopback.badTokens || !isLocal)
  }

  /// Whether messages are counted, those of this machine or those of others.
  func countsMessages(isLocal: Bool) -> Bool {
    !messageRate.isOff && (countsLoopback.messages || !isLocal)
  }

  /// The number of entries in the tables at this moment.
  func sizes(at now: UInt64) -> QuotaSizes { table.withLock { $0.sizes(at: now) } }

  private func applies(_ cap: Cap, _ isLocal: Bool) -> Bool {
    cap.limit < .max && (cap.countsLoopback || !isLocal)
  }
}
