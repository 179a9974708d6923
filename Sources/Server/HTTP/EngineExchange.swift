// The requests of Engine.IO in the terms of HTTP: one awaits packets, another has a body of them.

extension HTTPConnections {
  /// Makes the request at `slot`, a poll of `session`, wait for packets.
  func awaitPackets(of session: EngineSession, at slot: UInt32) {
    exchange(at: slot).address(session, .poll)
    wait(for: .event, at: slot)
  }

  /// Makes the request at `slot`, a post to `session`, expect a body of at most `limit` bytes.
  ///
  /// `endpoint` handles the request once it is whole.
  func awaitBody(
    to session: EngineSession, limit: Int, for endpoint: Endpoint, at slot: UInt32
  ) {
    let exchange = exchange(at: slot)
    exchange.address(session, .post)
    exchange.route = Endpoints.Match(endpoint: endpoint, parameters: [])
    exchange.caller = .anyone
    exchange.bodyLimit = limit
  }
}
