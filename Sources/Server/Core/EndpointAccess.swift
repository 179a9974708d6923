// Access to endpoints: the credentials that a request needs, and the refusals of others.

internal import Notifications
internal import Tokens
internal import Wire

extension Shard {
  /// Authorizes a request for `endpoint`, or throws the refusal.
  func admit(
    _ head: HTTPRequestHead, to endpoint: Endpoint, at slot: UInt32
  ) throws(Refusal) -> Caller {
    switch endpoint.access {
    case .anyone:
      return .anyone
    case .loopbackOrPublisher:
      // guard: metrics-on-loopback-names
      if admission.isLocal(slot), HTTPConnections.hasLoopbackName(head) { return .anyone }
    case .user, .caller, .publisher:
      break
    }
    let caller: Caller
    do throws(AuthenticationFailure) {
      caller = try authenticator.authenticate(head, prefersToken: endpoint.prefersToken, at: slot)
    } catch {
      throw refusal(
        of: error, missing: Shard.missingCredential(of: endpoint),
        invalid: "the token or key is not valid")
    }
    admission.authenticated(slot)
    switch endpoint.access {
    case .user where caller.user == nil:
      let failure = authenticator.noUser(authenticator.token(of: head), at: slot)
      throw Refusal(
        403, "forbidden", authenticator.explain(failure, "this needs the token of a user"))
    case .publisher where !caller.isPublisher, .loopbackOrPublisher where !caller.isPublisher:
      throw Refusal(403, "forbidden", "this needs a publisher's token or key")
    case .user, .publisher, .loopbackOrPublisher, .anyone, .caller:
      return caller
    }
  }

  private static func missingCredential(of endpoint: Endpoint) -> String {
    let needed = "a token is needed: Authorization: Bearer, or ?token="
    guard endpoint.access == .loopbackOrPublisher else { return needed }
    return needed + ", except for a direct request from this machine to localhost"
  }

  /// The answer 401 to a failed authentication.
  func refusal(
    of failure: AuthenticationFailure, missing: String, invalid: String
  ) -> Refusal {
    let message =
      switch failure {
      case .missing: missing
      case .invalid(.expired, _): "the token has expired"
      case .invalid, .wrongKey, .noUser, .otherUser: invalid
      }
    return Refusal(
      .failure(401, "unauthorized", authenticator.explain(failure, message)).with(
        "WWW-Authenticate", "Bearer"))
  }
}
