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

extension AdmissionControl {
  /// Counts the connection at `slot` for the client that a PROXY header names.
  ///
  /// - Throws: the limit that the client exceeds.
  func enter(_ header: ProxyHeader, at slot: UInt32) throws(AdmissionRefusal) {
    let client: PeerAddress? =
      switch header.source {
      case .text(let text): PeerAddress(text)
      case .bytes(let bytes): PeerAddress(network: bytes)
      case .unknown: nil
      }
    table[slot].flags.insert(.forwarded)
    // A proxy in front of this one may name the client in each request.
    guard let client, !core.proxies.isTrusted(client) else { return }
    // From here on the connection is this client's, and its own headers count for nothing.
    table[slot].flags.remove(.trustedProxy)
    try recount(client, isRated: true, at: slot)
  }

  /// Takes the client of a request from its head, before anything else is decided about it.
  ///
  /// - Throws: the limit that the client exceeds.
  func identifyClient(of head: HTTPRequestHead, at slot: UInt32) throws(AdmissionRefusal) {
    let flags = table[slot].flags
    let isProxy = flags.contains(.trustedProxy)
    guard head.isForwarded || isProxy && !flags.contains(.clientCounted) else { return }
    if head.isForwarded {
      table[slot].flags.insert(.forwarded)
      // guard: untrusted-header-logged
      if !isProxy { warnOfForwarding(at: slot) }
    }
    // Any other connection was counted when it was accepted.
    guard isProxy || table[slot].peer.isLoopback else { return }
    let client = isProxy ? core.proxies.client(of: head) : nil
    let isSame = client.map { AddressKey($0) == AddressKey(table[slot].peer) } ?? true
    if isSame, flags.contains(.clientCounted) { return }
    // A proxy may open a connection for each request, so only those that stay are rated.
    let isRated = WebSocketHandshake.isUpgrade(head) && (isProxy || !core.quotas.ratesLocal)
    try recount(client, isRated: isRated, at: slot)
  }
}
