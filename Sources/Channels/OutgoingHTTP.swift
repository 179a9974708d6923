// Requests to other servers, many at a time, on one thread.
//
// The owner's thread calls `start`, and then `wait` in a loop, which moves all transfers on and
// returns those that have ended. A transfer goes through two states: its name is being resolved, or
// libcurl has it. The deadline is checked here and not by libcurl, because it also covers the first
// state, and the time for which a transfer waits for a free connection to its host.

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
/// `limits.transfers` are in flight.
package final class OutgoingHTTP: @unchecked Sendable {
  // Sendable because `multi` is Sendable, and `wake` uses nothing else; all other functions run on
  // the owner's thread, which debug builds check.
  private let multi: CurlMulti
  private let parker: Parker
  private let resolver: HostResolver
  private let policy: AddressPolicy
  private let limits: OutgoingLimits
  private let kernel: Kernel
  /// Set by the first call of a debug build.
  private var owner: ThreadID?

  private var transfers: [UInt64: Transfer] = [:]
  /// The transfers of libcurl, by their handles.
  private var ids: [EasyHandle: UInt64] = [:]
  /// The transfers that wait for a name.
  private var waiting: [String: [UInt64]] = [:]
  private var cache: HostCache
  private var ended: [OutgoingResult] = []

  /// Loads libcurl and starts the resolver's thread.
  package convenience init(
    policy: AddressPolicy, limits: OutgoingLimits = OutgoingLimits(), kernel: Kernel = .real
  ) throws {
    try self.init(
      policy: policy, limits: limits, kernel: kernel, lookup: HostLookup.addresses(of:))
  }

  /// The same with a name service of the caller, which may block.
  package init(
    policy: AddressPolicy, limits: OutgoingLimits = OutgoingLimits(), kernel: Kernel,
    lookup: @escaping @Sendable (String) -> [PeerAddress]
  ) throws {
    precondition(limits.transfers > 0, "\(limits.transfers) transfers")
    let multi = try CurlMulti(limits: limits)
    let parker = Parker(wake: { multi.wake() })
    self.multi = multi
    self.parker = parker
    self.policy = policy
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
  /// Its result comes from `wait` with this id, which no other request in flight has.
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
      // guard: literal-address-checked
      guard policy.allows(address) else {
        end(transfer, .failed(.addressRefused))
        return true
      }
      launch(transfer, addresses: [])
    } else {
      resolve(transfer, now: now)
    }
    return true
  }

  /// Cancels a request: its connection is closed, no further byte of it leaves, and it has no
  /// result.
  ///
  /// An id that is not in flight is ignored.
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
    for transfer in transfers.values { remove(transfer) }
    ended.removeAll()
    resolver.stop()
  }

  // MARK: Names

  private func resolve(_ transfer: Transfer, now: UInt64) {
    let name = transfer.request.destination.host
    if let addresses = cache.addresses(of: name, now: now) {
      connect(transfer, addresses: addresses)
    } else if waiting[name] != nil {
      waiting[name]?.append(transfer.id)
    } else if resolver.offer(name, until: transfer.deadline) {
      waiting[name] = [transfer.id]
    } else {
      end(transfer, .failed(.resolverBusy))
    }
  }

  private func take(_ answer: HostResolver.Answer, now: UInt64) {
    let ids = waiting.removeValue(forKey: answer.name) ?? []
    if let addresses = answer.addresses {
      cache.insert(addresses, for: answer.name, now: now)
    }
    for id in ids {
      // A cancelled one is gone, and its id may have been given to a request for another name.
      guard let transfer = transfers[id], transfer.easy == nil,
        transfer.request.destination.host == answer.name
      else { continue }
      if let addresses = answer.addresses {
        connect(transfer, addresses: addresses)
      } else {
        // The first that waited is late; those after it have more time.
        resolve(transfer, now: now)
      }
    }
  }

  private func connect(_ transfer: Transfer, addresses: [PeerAddress]) {
    guard !addresses.isEmpty else { return end(transfer, .failed(.nameUnknown)) }
    // guard: resolved-addresses-checked
    let allowed = addresses.filter(policy.allows)
    guard !allowed.isEmpty else { return end(transfer, .failed(.addressRefused)) }
    launch(transfer, addresses: allowed)
  }

  // MARK: Transfers

  private func launch(_ transfer: Transfer, addresses: [PeerAddress]) {
    guard
      let easy = transfer.prepare(
        addresses: addresses, connectMilliseconds: limits.connectTimeout)
    else { return end(transfer, .failed(.unavailable)) }
    guard multi.add(easy) else { return end(transfer, .failed(.unavailable)) }
    ids[easy] = transfer.id
  }

  private func advance() {
    let now = kernel.monotonicMilliseconds
    resolver.takeAnswers { take($0, now: now) }
    multi.perform { easy, result in
      guard let id = ids[easy], let transfer = transfers[id] else { return }
      end(transfer, transfer.outcome(result))
    }
    let late = transfers.values.filter { $0.deadline <= now }
    // guard: deadline-of-transfers
    for transfer in late { end(transfer, .failed(transfer.timeoutFailure)) }
  }

  private func end(_ transfer: Transfer, _ outcome: OutgoingOutcome) {
    remove(transfer)
    ended.append(OutgoingResult(id: transfer.id, outcome: outcome))
  }

  private func remove(_ transfer: Transfer) {
    if let easy = transfer.easy, ids.removeValue(forKey: easy) != nil {
      multi.remove(easy)
    }
    transfers[transfer.id] = nil
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
    assert(ids.count <= transfers.count)
    assert(ids.values.allSatisfy { transfers[$0] != nil })
  }
}
