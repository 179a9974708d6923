// The address of a connection's client, and whether it is this machine.
//
// The client of a direct connection is its peer. A forwarding header shows that there is a proxy.
// If the peer is a trusted proxy, the header names the client, and limits, logs and lists use that
// address from then on: it replaces the peer's. Else all clients of the proxy share its address.
// Either way the connection is not one of this machine's own, so no limit exempts it and `/metrics`
// asks for a token.
//
// The connection of a trusted proxy is counted with its first request, not when it is accepted. A
// proxy that keeps its connections open sends requests of many clients on one of them: the
// connection counts for the client of the latest request.

internal import Broadcast
internal import Reactor
internal import Wire

extension Shard {
  /// Whether the connection at `slot` is a direct one of this machine.
  func isLocal(_ slot: UInt32) -> Bool {
    // guard: forwarded-is-not-local
    table[slot].peer.isLoopback && !table[slot].flags.contains(.forwarded)
  }

  /// Takes the header of the PROXY protocol at the start of a connection.
  ///
  /// Returns the number of bytes consumed; 0 when the header is incomplete, nil when there is none.
  func takeProxyHeader(
    at slot: UInt32, from: Int, to end: Int
  ) throws(HTTPViolation) -> Int? {
    let flags = table[slot].flags
    guard flags.isDisjoint(with: [.usedBefore, .clientCounted]) else { return nil }
    let search = try receiver.scratch.withSpan(from: from, to: end) {
      (bytes) throws(HTTPViolation) in
      try ProxyHeader.search(bytes)
    }
    switch search {
    case .absent: return nil
    case .incomplete: return 0
    case .found(let header):
      // guard: proxy-header-of-trusted-only
      guard flags.contains(.trustedProxy) else {
        throw HTTPViolation(
          status: 400, reason: "PROXY header from an address that is not in --trusted-proxies")
      }
      if let refusal = enter(header, at: slot) { respond(refusal, at: slot) }
      return header.byteCount
    }
  }

  /// Counts the connection for the client that a PROXY header names; returns the refusal, if any.
  private func enter(_ header: ProxyHeader, at slot: UInt32) -> Answer? {
    let client: PeerAddress? =
      switch header.source {
      case .text(let text): PeerAddress(text)
      case .bytes(let bytes): PeerAddress(network: bytes)
      case .unknown: nil
      }
    table[slot].flags.insert(.forwarded)
    // A proxy in front of this one may name the client in each request.
    guard let client, !core.proxies.isTrusted(client) else { return nil }
    // From here on the connection is this client's, and its own headers count for nothing.
    table[slot].flags.remove(.trustedProxy)
    return answer { () throws(AdmissionRefusal) in try recount(client, isRated: true, at: slot) }
  }

  /// The answer to a client that is over a limit; nil if `count` counts it.
  private func answer(_ count: () throws(AdmissionRefusal) -> Void) -> Answer? {
    do throws(AdmissionRefusal) {
      try count()
      return nil
    } catch {
      var answer = answer(to: error)
      answer.endsConnection = true
      return answer
    }
  }

  /// Takes the client of a request from its head, before anything else is decided about it.
  ///
  /// Returns the answer if the client is over a limit.
  func identifyClient(of head: HTTPRequestHead, at slot: UInt32) -> Answer? {
    let flags = table[slot].flags
    let isProxy = flags.contains(.trustedProxy)
    guard head.isForwarded || isProxy && !flags.contains(.clientCounted) else { return nil }
    if head.isForwarded {
      table[slot].flags.insert(.forwarded)
      if !isProxy { warnOfForwarding(at: slot) }
    }
    // Any other connection was counted when it was accepted.
    guard isProxy || table[slot].peer.isLoopback else { return nil }
    let client = isProxy ? core.proxies.client(of: head) : nil
    let isSame = client.map { AddressKey($0) == AddressKey(table[slot].peer) } ?? true
    if isSame, flags.contains(.clientCounted) { return nil }
    // A proxy may open a connection for each request, so only those that stay are rated.
    let isRated = WebSocketHandshake.isUpgrade(head) && (isProxy || !core.quotas.ratesLocal)
    return answer { () throws(AdmissionRefusal) in
      try recount(client, isRated: isRated, at: slot)
    }
  }

  /// Counts the connection for `client`, or for its present address where that is nil.
  private func recount(
    _ client: PeerAddress?, isRated: Bool, at slot: UInt32
  ) throws(AdmissionRefusal) {
    if table[slot].flags.contains(.countedByAddress) {
      table[slot].flags.remove(.countedByAddress)
      // guard: earlier-client-uncounted
      core.quotas.leave(table[slot].peer, at: now.nanosecondsOfMilliseconds)
    }
    if let client { table[slot].peer = client }
    table[slot].flags.insert(.clientCounted)
    try count(slot, isRated: isRated)
  }

  /// Logs once that a proxy is not trusted.
  private func warnOfForwarding(at slot: UInt32) {
    guard !hasWarnedOfForwarding else { return }
    hasWarnedOfForwarding = true
    let isFirst = core.hasWarnedOfForwarding.withLock { hasWarned in
      defer { hasWarned = true }
      return !hasWarned
    }
    guard isFirst else { return }
    core.log.write(
      .warning, at: wall,
      """
      warning: a request from \(table[slot].peer.text) has a forwarding header, and this address \
      is not in --trusted-proxies: all its clients count as one address
      """)
  }
}
