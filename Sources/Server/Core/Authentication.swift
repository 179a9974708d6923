// Identifies the caller of a request: by a token in the header, the query or the subprotocols, or
// by an API key.
//
// A credential may be meant for another server, such as the Basic password of a proxy, so the first
// place that holds one does not decide. The first place with a credential of ours does: an invalid
// one is an error and no other place is tried, because the client might otherwise act for another
// user than the one that it names.

internal import Cryptography
internal import Reactor
internal import Tokens
internal import Wire

/// The authenticated caller of a request.
struct Caller {
  /// The user that the token names; nil for an API key, and for a token without a usable id.
  var user: String?
  var isPublisher: Bool
  /// Wall-clock time in seconds at which the token expires, leeway included; `Int64.max`: never.
  var end: Int64
  /// Names and patterns of the rooms that the token claims.
  var rooms: [String] = []
  /// Scope of the caller's idempotency keys and of its publish rate.
  var scope: String { user.map { "user:" + $0 } ?? "key" }

  /// A caller without credentials.
  static let anyone = Caller(user: nil, isPublisher: false, end: .max)
}

/// The reason why authentication failed.
enum AuthenticationFailure: Error {
  case missing
  case invalid(TokenError)
  case noUser
}

extension Shard {
  /// The token of a request: from the header, else the query, else `subprotocolToken`.
  ///
  /// A place with an empty token has none. A token is never logged.
  func token(of head: HTTPRequestHead, subprotocolToken: String? = nil) -> String? {
    if let token = bearerToken(in: head) { return token }
    // A malformed query has no token; the endpoint reports the error.
    if let raw = head.query, let query = try? QueryString(raw), let token = query["token"],
      !token.isEmpty
    {
      return token
    }
    return subprotocolToken
  }

  /// The token in `Authorization`; nil where the field has another scheme or is absent.
  private func bearerToken(in head: HTTPRequestHead) -> String? {
    guard let field = head.value(of: "authorization") else { return nil }
    let scheme = "bearer "
    guard field.utf8.count > scheme.utf8.count,
      field.prefix(scheme.count).lowercased() == scheme
    else { return nil }
    return String(field.dropFirst(scheme.count).drop { $0 == " " })
  }

  /// Authenticates the caller of a request.
  ///
  /// `prefersToken` is for requests of users: an API key names no user, and a gateway may add its
  /// own to every request. Where the server has no key, `X-API-Key` is another server's.
  func authenticate(
    _ head: HTTPRequestHead, subprotocolToken: String? = nil, prefersToken: Bool = false
  ) throws(AuthenticationFailure) -> Caller {
    let token = token(of: head, subprotocolToken: subprotocolToken)
    if !prefersToken || token == nil, let expected = core.configuration.apiKey,
      let key = head.value(of: "x-api-key")
    {
      guard ConstantTime.areEqual(Array(key.utf8), Array(expected.utf8)) else {
        throw .invalid(.badSignature)
      }
      return Caller(user: nil, isPublisher: true, end: .max)
    }
    guard let token else { throw .missing }
    return try caller(of: token)
  }

  /// Verifies a token and returns the caller that it names.
  func caller(of token: String) throws(AuthenticationFailure) -> Caller {
    let claims: Claims
    do throws(TokenError) {
      claims = try core.verifier.verify(token, nowSeconds: wall / 1_000)
    } catch {
      throw .invalid(error)
    }
    return Caller(
      user: claims.userID, isPublisher: claims.isPublisher,
      end: core.verifier.endSeconds(of: claims) ?? .max, rooms: claims.rooms)
  }

  /// Authorizes a request for `endpoint`, or throws the refusal.
  func admit(
    _ head: HTTPRequestHead, to endpoint: Endpoint, at slot: UInt32
  ) throws(Refusal) -> Caller {
    switch endpoint.access {
    case .anyone:
      return .anyone
    case .loopbackOrPublisher:
      if table[slot].peer.isLoopback { return .anyone }
    case .user, .caller, .publisher:
      break
    }
    let caller: Caller
    do throws(AuthenticationFailure) {
      caller = try authenticate(head, prefersToken: endpoint.access == .user)
    } catch {
      let reason =
        switch error {
        case .missing: "a token is needed: Authorization: Bearer, or ?token="
        case .invalid(.expired): "the token has expired"
        case .invalid, .noUser: "the token or key is not valid"
        }
      throw Refusal(
        .failure(401, "unauthorized", reason).with("WWW-Authenticate", "Bearer"))
    }
    authenticated(slot)
    switch endpoint.access {
    case .user where caller.user == nil:
      throw Refusal(403, "forbidden", "this needs the token of a user")
    case .publisher where !caller.isPublisher, .loopbackOrPublisher where !caller.isPublisher:
      throw Refusal(403, "forbidden", "this needs a publisher's token or key")
    case .user, .publisher, .loopbackOrPublisher, .anyone, .caller:
      return caller
    }
  }
}
