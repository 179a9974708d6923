// Answers that depend on the quotas.

internal import Delivery
internal import Notifications
internal import Reactor
internal import Wire

extension Shard {
  /// The answer to a session over its user's limit.
  var tooManySessions: Answer { .tooManySessions(admission.tooManySessionsText) }

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
      let refusal = answer { () throws(AdmissionRefusal) in try admission.enter(header, at: slot) }
      if let refusal { http.respond(refusal, at: slot) }
      return header.byteCount
    }
  }

  /// Takes the client of a request from its head, before anything else is decided about it.
  ///
  /// Returns the answer if the client is over a limit.
  func identifyClient(of head: HTTPRequestHead, at slot: UInt32) -> Answer? {
    answer { () throws(AdmissionRefusal) in try admission.identifyClient(of: head, at: slot) }
  }

  /// The answer to a client that is over a limit; nil if `count` counts it.
  private func answer(_ count: () throws(AdmissionRefusal) -> Void) -> Answer? {
    do throws(AdmissionRefusal) {
      try count()
      return nil
    } catch {
      var answer = Answer.refusing(error, by: core.quotas)
      answer.endsConnection = true
      return answer
    }
  }

  /// Answers a connection over a limit, and ends it.
  func reject(_ slot: UInt32, _ refusal: AdmissionRefusal) {
    guard admission.beginRejection(of: slot) else { return connections.drop(slot) }
    let answer = Answer.refusing(refusal, by: core.quotas)
    table[slot].state = .closing
    var response = answer.response
    response.fields += [("Cache-Control", answer.caching), ("Date", clock.date())]
    response.fields += OriginPolicy.fieldsWithoutHead
    delivery.write(at: slot) { response.write(keepsAlive: false, isHead: false, into: &$0) }
    connections.closeWhenSent(slot)
  }

  /// Takes a token for a request that publishes, or refuses it with the time after which to retry.
  func takePublish(
    by caller: Caller, _ head: HTTPRequestHead, to endpoint: Endpoint
  ) throws(Refusal) {
    // Every POST of a publisher reaches clients.
    // guard: publish-rate
    guard endpoint.access == .publisher, head.method == .post,
      let wait = admission.drawPublish(by: caller)
    else { return }
    metrics.add(.publishesRefused)
    throw Refusal(.tooManyPublishes(wait: wait, by: core.quotas))
  }

  // MARK: Sessions

  /// Ends the oldest session of a user that has begun one more than its limit.
  func endReplaced(_ slot: UInt32) {
    if table[slot].state == .session {
      // guard: newest-session-closes-oldest
      life.close(slot, code: 1008, reason: "replaced by a newer connection")
    } else if let poll = table[slot].activity.exchange?.poll {
      // guard: newest-session-ends-waiting-poll
      end(poll, at: slot)
    }
  }
}
