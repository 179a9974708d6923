// What HTTP leaves to the shard: the components that speak another protocol or answer a request.

internal import Delivery
internal import Notifications
internal import Wire

extension Shard: HTTPOwner {
  func begin(
    _ head: HTTPRequestHead, at slot: UInt32, from: Int, to end: Int
  ) throws(HTTPViolation) -> HeadStep {
    let step = engine.begin(head, at: slot, from: from, to: end)
    guard step == .endpoint else { return step }
    return try upgrade.begin(head, at: slot) ? .taken : .endpoint
  }

  func handle(_ request: Request) {
    let result: EndpointResult
    do throws(Refusal) {
      result = try request.route.endpoint.handler(request, self)
    } catch {
      result = .now(error.answer)
    }
    switch result {
    case .now(let answer): http.respond(answer, at: request.slot)
    case .later(let pending): http.wait(for: pending, at: request.slot)
    case .stream(let since, let rooms): openStream(request, since: since, rooms: rooms)
    case .metricsStream: openMetricsStream(request)
    case .event(let event): http.respond(broadcast(event), at: request.slot)
    }
  }

  /// Puts the event of a broadcast into the ring, and returns the answer to its publisher.
  private func broadcast(_ event: Event) -> Answer {
    guard offer(event) else { return Endpoints.ringFull }
    metrics.add(.broadcasts)
    return Endpoints.accepted
  }

  func end(_ poll: Poll, at slot: UInt32) { polls.end(poll, at: slot) }

  func requestLost(_ exchange: Exchange) { engine.requestLost(exchange) }

  /// Passes the store's reply on to the session, the poll or the request that waits for it.
  func dispatch(_ reply: StoreAnswer, to slot: UInt32) {
    if table[slot].state == .session {
      reads.takeWhenApplied(reply, at: slot)
    } else if let poll = table[slot].activity.exchange?.poll {
      polls.take(reply, for: poll, at: slot)
    } else {
      http.answer(slot, with: reply)
    }
  }
}
