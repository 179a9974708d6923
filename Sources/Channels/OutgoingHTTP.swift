// Requests to other servers, many at a time, on one thread.
//
// The owner's thread calls `start`, and then `wait` in a loop, which moves all transfers on and
// returns those that have ended. A transfer goes through three states: its name is being resolved,
// it waits for one of the connections to its origin, or libcurl has it. The deadline covers all
// three, so it is checked here and not by libcurl.

internal import Broadcast
package import Reactor

/// A client of other servers over HTTP/1.1, for one thread.
///
/// Redirects are not followed, no cookie, proxy, alternative service or password is used, and only
/// addresses that the policy allows are connected to. A request on a kept connection that its peer
/// closes before the first byte of the answer is sent again, once for each such connection, so a
/// receiver needs an id of the message to know it again.
///
/// Invariant: each request that `start` accepted has one result, unless it was cancelled; at most
/// `limits.transfers` are in flight, of which at most `limits.hostConnections` run for one origin.
package final class OutgoingHTTP: @unchecked Sendable {
  // Sendable because `multi` is Sendable, and `wake` uses nothing else; all other functions run on
  // the owner's thread, which debug builds check.
  private let multi: CurlMulti
  private let parker: Parker
  private let resolver: HostResolver
  private let policy: AddressPolicy
  private let authorities: String?
  private let limits: OutgoingLimits
  private let kernel: Kernel
  /// Tests clear it: libcurl then resolves a name itself, as if its addresses had changed after
  /// the check.
  var pinsNames = true
  /// Set by the first call of a debug build.
  private var owner: ThreadID?

  private var transfers: [UInt64: Transfer] = [:]
  /// The transfers that run, by their handles.
  private var running: [EasyHandle: Transfer] = [:]
  /// The transfers that wait for a name, by name; each name is being looked up.
  private var resolving: [String: [Transfer]] = [:]
  /// The transfers that run or wait for a connection, by origin.
  private var origins: [String: Origin] = [:]
  private var cache: HostCache
  private var ended: [OutgoingResult] = []

  private struct Origin {
    var runningCount = 0
    var queue: [Transfer] = []
  }

  /// Loads libcurl and starts the resolver's thread.
  ///
  /// `authorities` is a file of the certificates that are trusted (PEM) in place of the system's.
  package convenience init(
    policy: AddressPolicy, limits: OutgoingLimits = OutgoingLimits(), kernel: Kernel = .real,
    authorities: String? = nil
  ) throws {
    try self.init(
      policy: policy, limits: limits, kernel: kernel, authorities: authorities,
      lookup: HostLookup.addresses(of:))
  }

  /// The same with a name service of the caller, which may block.
  package init(
    policy: AddressPolicy, limits: OutgoingLimits = OutgoingLimits(), kernel: Kernel,
    authorities: String? = nil, lookup: @escaping @Sendable (String) -> [PeerAddress]
  ) throws {
    precondition(
      limits.transfers > 0 && limits.hostConnections > 0,
      "\(limits.transfers) transfers, \(limits.hostConnections) for one origin")
    let multi = try CurlMulti(limits: limits)
    let parker = Parker(wake: { multi.wake() })
    self.multi = multi
    self.parker = parker
    self.policy = policy
    self.authorities = authorities
    self.limits = limits
    self.kernel = kernel
    cache = HostCache(
      capacity: limits.cachedNames, lifetimeMilliseconds: limits.nameLifetime,
      failureLifetimeMilliseconds: limits.failedNameLifetime)
    resolver = try HostResolver(
      capacity: limits.lookups, kernel: kernel, owner: parker, lookup: lookup)
  }

  deinit { stop() }

  /// Transfers that `start` would accept.
  package var freeCount: Int { limits.transfers - transfers.count }

  /// Begins a request; false if as many as `limits.transfers` are in flight.
  ///
  /// Its result comes from `wait` with this id, which no other request has until then.
  package func start(_ request: OutgoingRequest, id: UInt64) -> Bool {
    assertOnOwnersThread()
    precondition(transfers[id] == nil, "request \(id) is in flight")
    // guard: transfers-bounded
    guard freeCount > 0 else { return false }
    let now = kernel.monotonicMilliseconds
    let transfer = Transfer(
      id: id, request: request, policy: policy, deadline: now &+ request.timeoutMilliseconds,
      wallMilliseconds: kernel.wallMilliseconds)
    transfers[id] = transfer
    if let address = request.destination.address {
      connect(transfer, addresses: [address])
    } else {
      resolve(transfer, now: now)
    }
    return true
  }

  /// Cancels a request: its connection is closed, and it has no result.
  ///
  /// Bytes that the kernel has already accepted still leave, and no others. An id that is not in
  /// flight is ignored.
  package func cancel(_ id: UInt64) {
    assertOnOwnersThread()
    if let transfer = transfers[id] { remove(transfer) }
    ended.removeAll { $0.id == id }
    checkInvariants()
  }

  /// Moves all transfers on and returns those that have ended.
  ///
  /// With none it waits once, for up to this time, for a socket, a name, a deadline or `wake`. It
  /// may return none before that time.
  package func wait(milliseconds: Int32) -> [OutgoingResult] {
    assertOnOwnersThread()
    advance()
    if ended.isEmpty && milliseconds != 0 {
      if parker.park(unless: { resolver.hasAnswers }) {
        multi.poll(milliseconds: pollMilliseconds(milliseconds))
        parker.resume()
      }
      advance()
    }
    checkInvariants()
    defer { ended.removeAll() }
    return ended
  }

  /// Ends `wait`, or the next one; any thread may call it.
  package func wake() { multi.wake() }

  /// Cancels all requests, closes all connections and ends the resolver's thread, after the lookup
  /// in progress.
  package func stop() {
    // The queued ones first, so that none of them runs in the place of another.
    for transfer in transfers.values where transfer.state != .running { remove(transfer) }
    for transfer in transfers.values { remove(transfer) }
    ended.removeAll()
    resolver.stop()
  }

  // MARK: Names

  private func resolve(_ transfer: Transfer, now: UInt64) {
    let name = transfer.request.destination.host
    if let addresses = cache.addresses(of: name, now: now) {
      connect(transfer, addresses: addresses)
    } else if resolving[name] != nil {
      resolving[name]?.append(transfer)
    } else if resolver.offer(name, until: transfer.deadline) {
      resolving[name] = [transfer]
    } else {
      end(transfer, .failed(.resolverBusy))
    }
  }

  private func take(_ answer: HostResolver.Answer, now: UInt64) {
    let transfers = resolving.removeValue(forKey: answer.name) ?? []
    if let addresses = answer.addresses {
      cache.insert(addresses, for: answer.name, now: now)
    }
    for transfer in transfers {
      if let addresses = answer.addresses {
        connect(transfer, addresses: addresses)
      } else {
        // The lookup was late for the first that waited; those after it have more time.
        resolve(transfer, now: now)
      }
    }
  }

  /// Goes on with a transfer that has its addresses.
  private func connect(_ transfer: Transfer, addresses: [PeerAddress]) {
    guard !addresses.isEmpty else { return end(transfer, .failed(.nameUnknown)) }
    transfer.addresses = addresses.filter(policy.allows)
    guard !transfer.addresses.isEmpty else { return end(transfer, .failed(.addressRefused)) }
    // guard: origin-connections-bounded
    if origins[transfer.origin, default: Origin()].runningCount >= limits.hostConnections {
      transfer.state = .queued
      origins[transfer.origin]?.queue.append(transfer)
    } else {
      run(transfer)
    }
  }

  // MARK: Transfers

  private func run(_ transfer: Transfer) {
    guard
      let easy = transfer.prepare(
        isPinned: pinsNames, authorities: authorities,
        connectMilliseconds: limits.connectTimeout), multi.add(easy)
    else { return end(transfer, .failed(.unavailable)) }
    transfer.state = .running
    running[easy] = transfer
    origins[transfer.origin, default: Origin()].runningCount += 1
  }

  /// Runs the transfers of an origin that have waited longest, as far as connections are free.
  private func runQueued(_ origin: String) {
    while let entry = origins[origin], let next = entry.queue.first,
      entry.runningCount < limits.hostConnections
    {
      origins[origin]?.queue.removeFirst()
      run(next)
    }
    if let entry = origins[origin], entry.runningCount == 0, entry.queue.isEmpty {
      origins[origin] = nil
    }
  }

  private func advance() {
    let now = kernel.monotonicMilliseconds
    resolver.takeAnswers { take($0, now: now) }
    multi.perform { easy, result in
      guard let transfer = running[easy] else { return }
      end(transfer, transfer.outcome(result))
    }
    // The queued ones first, so that none of them runs in the place of another.
    let late = transfers.values.filter { $0.deadline <= now }
      .sorted { $0.state != .running && $1.state == .running }
    // guard: deadline-of-transfers
    for transfer in late where transfers[transfer.id] === transfer {
      end(transfer, .failed(transfer.timeoutFailure))
    }
  }

  private func end(_ transfer: Transfer, _ outcome: OutgoingOutcome) {
    remove(transfer)
    ended.append(OutgoingResult(id: transfer.id, outcome: outcome))
  }

  private func remove(_ transfer: Transfer) {
    transfers[transfer.id] = nil
    switch transfer.state {
    case .resolving:
      // The name stays, because its lookup goes on.
      resolving[transfer.request.destination.host]?.removeAll { $0 === transfer }
    case .queued:
      origins[transfer.origin]?.queue.removeAll { $0 === transfer }
    case .running:
      guard let easy = transfer.easy, running.removeValue(forKey: easy) != nil else { return }
      multi.remove(easy)
      origins[transfer.origin]?.runningCount -= 1
    }
    runQueued(transfer.origin)
  }

  /// The time until the next deadline, at most this time (-1: without limit).
  private func pollMilliseconds(_ milliseconds: Int32) -> Int32 {
    let now = kernel.monotonicMilliseconds
    guard let deadline = transfers.values.lazy.map(\.deadline).min() else {
      return milliseconds < 0 ? .max : milliseconds
    }
    let rest = Int32(clamping: deadline > now ? deadline - now : 0)
    return milliseconds < 0 ? rest : min(rest, milliseconds)
  }

  private func assertOnOwnersThread() {
    assert(
      {
        if owner == nil { owner = .current }
        return owner == .current
      }(), "called on a thread that is not the owner's")
  }

  private func checkInvariants() {
    assert(transfers.count <= limits.transfers)
    assert(running.values.allSatisfy { transfers[$0.id] === $0 && $0.state == .running })
    assert(origins.values.reduce(0) { $0 + $1.runningCount } == running.count)
    assert(origins.values.allSatisfy { $0.runningCount <= limits.hostConnections })
    assert(running.count + queuedCount + resolvingCount == transfers.count)
  }

  private var queuedCount: Int { origins.values.reduce(0) { $0 + $1.queue.count } }
  private var resolvingCount: Int { resolving.values.reduce(0) { $0 + $1.count } }
}
