// Access to endpoints: the client of a request, the credentials that it needs, and the refusals of
// others.

internal import Notifications
internal import Tokens
internal import Wire

/// Decides from the head of a request who sends it and whether it may go on.
///
/// It keeps no state of its own.
final class EndpointAccess: ShardComponent {
  let context: ShardContext
  private let admission: AdmissionControl
  private let authenticator: Authenticator

  init(
    _ context: ShardContext, _ admission: AdmissionControl, _ authenticator: Authenticator
  ) {
    self.context = context
    self.admission = admission
    self.authenticator = authenticator
  }

  // MARK: Clients

  /// Takes the client that the header of the PROXY protocol names.
  ///
  /// - Returns: the answer if the client is over a limit.
  func enter(
    _ header: ProxyHeader, at slot: UInt32
  ) throws(HTTPViolation) -> Answer? {
    // guard: proxy-header-of-trusted-only
    guard table[slot].flags.contains(.trustedProxy) else {
      throw HTTPViolation(
        status: 400, reason: "PROXY header from an address that is not in --trusted-proxies")
    }
    return answer { () throws(AdmissionRefusal) in try admission.enter(header, at: slot) }
  }

  /// Takes the client of a request from its head, before anything else is decided about it.
  ///
  /// - Returns: the answer if the client is over a limit, or names another host than this machine.
  func identifyClient(of head: HTTPRequestHead, at slot: UInt32) -> Answer? {
    let refusal = answer { () throws(AdmissionRefusal) in
      try admission.identifyClient(of: head, at: slot)
    }
    if let refusal { return refusal }
    // guard: loopback-names-in-development
    if core.configuration.servesLoopbackNamesOnly, !EndpointAccess.hasLoopbackName(head) {
      return EndpointAccess.foreignName
    }
    return nil
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

  /// Whether a request names no host, or this machine by one of its own names.
  ///
  /// A page that uses DNS rebinding reaches this machine under the name of its own site, which its
  /// browser sends. A browser always sends Host.
  private static func hasLoopbackName(_ head: HTTPRequestHead) -> Bool {
    head.host.map { Loopback.isNamed(by: $0) } ?? true
  }

  /// The answer of a development server to a request under another name; no page may read it.
  private static let foreignName = {
    var answer = Answer.failure(
      403, "host_not_allowed", "with --dev only localhost, 127.0.0.1 and [::1] are served")
    answer.readers = .ownOrigin
    return answer
  }()

  // MARK: Credentials

  /// Authorizes a request for `endpoint`, or throws the refusal.
  func authorize(
    _ head: HTTPRequestHead, for endpoint: Endpoint, at slot: UInt32
  ) throws(Refusal) -> Caller {
    let caller = try admit(head, to: endpoint, at: slot)
    try takePublish(by: caller, head, to: endpoint)
    return caller
  }

  /// The caller of a request for `endpoint`.
  private func admit(
    _ head: HTTPRequestHead, to endpoint: Endpoint, at slot: UInt32
  ) throws(Refusal) -> Caller {
    switch endpoint.access {
    case .anyone:
      return .anyone
    case .stripe:
      // guard: stripe-head-before-body
      _ = try Endpoints.stripeSignature(in: head, at: wall)
      return .anyone
    case .loopbackOrPublisher:
      // guard: metrics-on-loopback-names
      if admission.isLocal(slot), EndpointAccess.hasLoopbackName(head) { return .anyone }
    case .user, .caller, .publisher:
      break
    }
    let caller: Caller
    do throws(AuthenticationFailure) {
      caller = try authenticator.authenticate(head, prefersToken: endpoint.prefersToken, at: slot)
    } catch {
      throw refusal(
        of: error, missing: EndpointAccess.missingCredential(of: endpoint),
        invalid: "the token or key is not valid")
    }
    admission.authenticated(slot)
    try takeRequest(by: caller, at: slot)
    switch endpoint.access {
    case .user where caller.user == nil:
      let failure = authenticator.noUser(authenticator.token(of: head), at: slot)
      throw Refusal(
        403, "forbidden", authenticator.explain(failure, "this needs the token of a user"))
    case .user, .publisher, .loopbackOrPublisher, .anyone, .stripe, .caller:
      try requireVerb(of: endpoint, caller)
      return caller
    }
  }

  /// Refuses a caller that lacks the verb of the endpoint.
  private func requireVerb(of endpoint: Endpoint, _ caller: Caller) throws(Refusal) {
    guard let verb = endpoint.access.verb, !caller.may(verb) else { return }
    if case .key = caller.identity {
      metrics.add(.keysRefusedVerb)
      throw Refusal(403, "forbidden", "this needs a key with the verb \(verb.rawValue)")
    }
    guard verb == .admin else {
      throw Refusal(403, "forbidden", "this needs a publisher's token or key")
    }
    throw Refusal(403, "forbidden", "this needs an administrator's token or key")
  }

  /// Refuses a caller with a key that has ended since the request began.
  func confirm(_ caller: Caller) throws(Refusal) {
    // guard: key-valid-after-body
    guard authenticator.isStillValid(caller) else {
      throw refusal(of: .refusedKey(.revoked), missing: "", invalid: "")
    }
  }

  private static func missingCredential(of endpoint: Endpoint) -> String {
    let needed = "a token is needed: Authorization: Bearer, or ?token="
    guard endpoint.access == .loopbackOrPublisher else { return needed }
    return needed + ", except for a direct request from this machine to localhost"
  }

  /// The answer to a failed authentication: 401, or 429 to an address with too many wrong tokens.
  func refusal(
    of failure: AuthenticationFailure, missing: String, invalid: String
  ) -> Refusal {
    let message: String
    switch failure {
    case .missing: message = missing
    case .invalid(.expired, _): message = "the token has expired"
    // A caller with the right secret may know that it has ended.
    case .refusedKey(.expired): message = KeyRefusal.expired.text
    case .refusedKey(.revoked): message = KeyRefusal.revoked.text
    case .invalid, .wrongKey, .refusedKey(.unknown), .noUser, .otherUser: message = invalid
    case .tooManyBadTokens(let wait):
      var refusal = Refusal(.tooManyBadTokens(wait: wait, by: core.quotas))
      refusal.isHeld = true
      return refusal
    }
    return Refusal(
      .failure(401, "unauthorized", authenticator.explain(failure, message)).with(
        "WWW-Authenticate", "Bearer"))
  }

  /// Takes a token for a user's request, or refuses it with the time after which to retry.
  ///
  /// A request counts whether it is served or not: a user without the right to publish could
  /// otherwise flood the server with attempts. The refusal ends none of the user's sessions.
  private func takeRequest(by caller: Caller, at slot: UInt32) throws(Refusal) {
    // guard: request-rate
    guard let user = caller.user, !caller.isPublisher,
      let wait = admission.drawRequest(by: user, at: slot)
    else { return }
    metrics.add(.requestsRefusedByRate)
    var refusal = Refusal(.tooManyRequests(wait: wait, by: core.quotas))
    // guard: refusals-are-paced
    refusal.isHeld = true
    throw refusal
  }

  /// Takes a token for a request that publishes, or refuses it with the time after which to retry.
  private func takePublish(
    by caller: Caller, _ head: HTTPRequestHead, to endpoint: Endpoint
  ) throws(Refusal) {
    // Every other POST of a publisher reaches clients.
    // guard: publish-rate
    guard endpoint.access.isForPublishers, endpoint.access.verb?.managesServer != true,
      head.method == .post,
      let wait = admission.drawPublish(by: caller)
    else { return }
    metrics.add(.publishesRefused)
    throw Refusal(.tooManyPublishes(wait: wait, by: core.quotas))
  }
}
