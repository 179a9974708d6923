// The requests of the shard's connections, dispatched to the components that speak another protocol
// and to the endpoints.

internal import Delivery
internal import Notifications
internal import Wire

extension Shard {
  /// Handles the requests in the scratch's [offset, end).
  ///
  /// Moves `offset` to where the unfinished one begins.
  func handleRequests(at slot: UInt32, from offset: inout Int, to end: Int) {
    while true {
      switch http.process(slot, from: &offset, to: end) {
      case .done: return
      case .request(let request): handle(request)
      case .head(let head):
        // Without a body it is whole by now.
        if case .request(let request) = begin(
          head, at: slot, from: offset - head.byteCount, to: end)
        {
          handle(request)
        }
      }
    }
  }

  /// Begins a request for another protocol, or for an endpoint at the same path.
  ///
  /// The head is at the start of the scratch's [from, end).
  private func begin(
    _ head: HTTPRequestHead, at slot: UInt32, from: Int, to end: Int
  ) -> HTTPStep {
    switch engine.begin(head, at: slot, from: from, to: end) {
    case .taken: .done
    case .takesBody: http.beginBody(of: head, at: slot)
    case .endpoint: upgrade.begin(head, at: slot) ? .done : http.beginEndpoint(head, at: slot)
    }
  }

  /// Answers a whole request, at once or later, or makes its connection a session.
  private func handle(_ request: Request) {
    let result: EndpointResult
    do throws(Refusal) {
      try access.confirm(request.caller)
      result = try request.route.endpoint.handler(request, self)
    } catch {
      result = .now(error.answer)
    }
    switch result {
    case .now(let answer): http.respond(answer, at: request.slot)
    case .later(let pending): http.wait(for: pending, at: request.slot)
    case .stream(let dialect, let since, let rooms):
      openStream(request, of: dialect, since: since, rooms: rooms)
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

  /// Passes the result of a read on to those that wait for it.
  func dispatch(_ read: StoreReads.Finished) {
    // Requests that wait for one read get one body.
    var body = SharedAnswer()
    for asker in read.askers {
      // guard: answer-generation
      guard table.holds(asker.id) else { continue }
      let slot = asker.id.slot
      guard let answer = read.answer else {
        if asker.purpose == .catchUp, reads.awaitMemory(slot) { continue }
        refuseRead(at: slot)
        continue
      }
      if let charge = read.charge { pages.hold(charge, at: slot) }
      if asker.purpose == .keptRooms {
        socketIO.takeKeptRooms(answer, at: slot)
        pages.settle(at: slot, to: 0)
      } else if table[slot].state == .session {
        reads.takeWhenApplied(answer, at: slot)
      } else {
        if let poll = table[slot].activity.exchange?.poll {
          polls.take(answer, for: poll, at: slot)
        } else {
          http.answer(slot, with: answer, sharing: &body)
        }
        // It was answered before, or reads on.
        pages.settle(at: slot, to: 0)
      }
    }
    if let charge = read.charge { pages.releaseIfUnheld(charge) }
  }

  /// Answers a connection for which the store was not read.
  func refuseRead(at slot: UInt32) {
    if table[slot].state == .session {
      reads.refuse(slot)
    } else if table[slot].flags.contains(.awaitsAnswer) {
      http.finish(Refusal.busy.answer, at: slot)
    }
  }
}
