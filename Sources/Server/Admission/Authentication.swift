// Identifies the caller of a request: by a token in the header, the query or the subprotocols, or
// by an API key.
//
// A credential may be meant for another server, such as the Basic password of a proxy, so the first
// place that holds one does not decide. The first place with a credential of ours does: an invalid
// one is an error and no other place is tried, because the client might otherwise act for another
// user than the one that it names.

internal import Broadcast
internal import Cryptography
internal import Notifications
internal import Reactor
internal import Tokens
internal import Wire

/// The authenticated caller of a request.
///
/// Many sessions keep one for as long as they live.
struct Caller {
  /// Who the credential names.
  enum Identity {
    case user(String)
    /// The bearer of a token without a usable user id, by a digest of what distinguishes it.
    case bearer(String)
    /// The bearer of CARILLON_API_KEY.
    case apiKey
    /// The bearer of an API key, which the use names.
    indirect case key(APIKeyUse)
    case anyone
  }

  var identity: Identity
  /// Whether it has a publisher's credential; an API key is one, whatever its verbs.
  var isPublisher: Bool
  /// Whether its token names an administrator, or it has CARILLON_API_KEY.
  var isAdmin = false
  /// Wall-clock time in seconds at which the token expires, leeway included, or the key;
  /// `Int64.max`: never.
  var end: Int64
  /// Names and patterns of the rooms that the token claims.
  var rooms: [String] = []

  /// The user that the token names; nil for an API key, and for a token without a usable id.
  var user: String? {
    if case .user(let user) = identity { return user }
    return nil
  }

  /// Scope of the caller's idempotency keys and of its publish rate: no other publisher has it.
  var scope: String {
    switch identity {
    case .user(let user): "user:" + user
    case .bearer(let digest): "token:" + digest
    case .apiKey: "key"
    // Of the key and not of its secret: a rotation keeps it.
    // guard: scope-of-key
    case .key(let use): "key:" + use.id.characters
    case .anyone: ""
    }
  }

  /// Whether it may use the publishers' endpoints with that verb.
  func may(_ verb: APIVerb) -> Bool {
    // guard: key-verbs
    if case .key(let use) = identity { return use.rights.verbs.contains(verb) }
    // guard: admin-verb-of-admins
    return verb == .admin ? isAdmin : isPublisher
  }

  /// Whether it may publish notifications of `type`.
  func mayPublish(type: String) -> Bool {
    if case .key(let use) = identity { use.rights.allow(type: type) } else { true }
  }

  /// Whether it has a valid token or key.
  var isAuthenticated: Bool { if case .anyone = identity { false } else { true } }

  /// A caller without credentials.
  static let anyone = Caller(identity: .anyone, isPublisher: false, end: .max)
}

extension Caller.Identity {
  /// The identity of a token's bearer.
  init(_ claims: Claims) {
    if let user = claims.userID {
      self = .user(user)
      return
    }
    let bearer =
      switch claims.bearer {
      case .subject(let text): "sub:" + text
      case .key(let identifier): identifier.map { "kid:" + $0 } ?? "kid"
      }
    // A digest, because neither text is bounded like a user id.
    // guard: scope-of-token-without-user
    self = .bearer(Base64.encodeURL(Digest.sha256(Array(bearer.utf8))))
  }
}

/// The reason why authentication failed.
///
/// The exact reason of a token is there only where the server explains its refusals.
enum AuthenticationFailure: Error {
  case missing(MissingCredential)
  case invalid(TokenError, TokenReason?)
  /// `X-API-Key` is not CARILLON_API_KEY.
  case wrongKey
  /// `X-API-Key` is none of the API keys, or one that has ended.
  case refusedKey(KeyRefusal)
  /// The token is valid for another user than that of the session.
  case otherUser
  case noUser(TokenReason?)
  /// Too many tokens with a wrong signature came from the address: this one was not verified, and
  /// the next one is after so many nanoseconds.
  case tooManyBadTokens(wait: UInt64)
}

/// The reason why a request has no credential.
enum MissingCredential {
  case nothing
  /// `Authorization` has another scheme than Bearer, or no token after it.
  case otherScheme
  /// `X-API-Key` is there, and the server has no key.
  case noConfiguredKey
}

/// Identifies callers for a shard.
///
/// Invariant: between two requests it keeps the keys and the time of a signal, nothing of a caller.
/// A token is never logged.
final class Authenticator: ShardComponent {
  let context: ShardContext
  private let log: ConnectionLog
  private let apiKeys: APIKeys
  private let admission: AdmissionControl
  /// The rules with the newest keys: the shard's own copy, so that no request takes a lock.
  private(set) var verifier: TokenVerifier
  /// Monotonic milliseconds from which on an unknown key is reported again.
  private var nextUnknownKeyReport: UInt64 = 0
  static let unknownKeyReportMilliseconds: UInt64 = 1_000

  init(
    _ context: ShardContext, _ log: ConnectionLog, _ apiKeys: APIKeys, _ admission: AdmissionControl
  ) {
    self.context = context
    self.log = log
    self.apiKeys = apiKeys
    self.admission = admission
    verifier = Authenticator.verifier(context.core)
  }

  private static func verifier(_ core: ServerCore) -> TokenVerifier {
    var policy = core.configuration.tokenPolicy
    policy.hasKeySource = core.configuration.keySource != nil
    policy.keys += core.fetchedKeys.withLock { $0 }
    return TokenVerifier(policy: policy)
  }

  /// Takes the newest set of fetched keys.
  func takeKeys() { verifier = Authenticator.verifier(core) }

  /// Reports to the source of keys that a token names a key that is not there.
  private func reportUnknownKey() {
    guard verifier.policy.hasKeySource, now >= nextUnknownKeyReport else { return }
    nextUnknownKeyReport = now + Authenticator.unknownKeyReportMilliseconds
    core.unknownKeyReporter.withLock { $0 }?()
  }

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
    // guard: foreign-scheme-skipped
    // guard: bearer-in-any-case
    guard field.utf8.count > scheme.utf8.count,
      field.prefix(scheme.count).lowercased() == scheme
    else { return nil }
    return String(field.dropFirst(scheme.count).drop { $0 == " " })
  }

  /// Authenticates the caller of a request.
  ///
  /// `prefersToken` is for requests of users: an API key names no user, and a gateway may add its
  /// own to every request. Where the server has no key, `X-API-Key` is another server's; so is one
  /// that is no text of an API key, unless CARILLON_API_KEY is set.
  func authenticate(
    _ head: HTTPRequestHead, subprotocolToken: String? = nil, prefersToken: Bool = false,
    at slot: UInt32
  ) throws(AuthenticationFailure) -> Caller {
    let token = token(of: head, subprotocolToken: subprotocolToken)
    if !prefersToken || token == nil, let key = head.value(of: "x-api-key"),
      let caller = try caller(ofKey: key, at: slot)
    {
      return caller
    }
    if let token { return try caller(of: token, at: slot) }
    if head.value(of: "authorization") != nil { throw .missing(.otherScheme) }
    throw .missing(head.value(of: "x-api-key") != nil ? .noConfiguredKey : .nothing)
  }

  /// The caller with a key; nil if the key is another server's.
  private func caller(
    ofKey text: String, at slot: UInt32
  ) throws(AuthenticationFailure) -> Caller? {
    let expected = core.configuration.apiKey
    if let expected, ConstantTime.areEqual(Array(text.utf8), Array(expected.utf8)) {
      return Caller(identity: .apiKey, isPublisher: true, isAdmin: true, end: .max)
    }
    // guard: unknown-key-refused
    guard APIKeyText.isMarked(text), expected != nil || !apiKeys.isEmpty else {
      guard expected != nil else { return nil }
      log.refusedCredential("the key is not CARILLON_API_KEY", at: slot)
      throw .wrongKey
    }
    do throws(KeyRefusal) {
      let use = try apiKeys.use(text)
      return Caller(
        identity: .key(use), isPublisher: true,
        end: (apiKeys.end(of: use) ?? 0).secondOfMilliseconds)
    } catch {
      log.refusedCredential(error.text, at: slot)
      throw .refusedKey(error)
    }
  }

  /// Whether a caller that was authenticated earlier in its request still is.
  ///
  /// A body may arrive long after its head, and a key may be revoked meanwhile.
  func isStillValid(_ caller: Caller) -> Bool {
    guard case .key(let use) = caller.identity else { return true }
    return apiKeys.end(of: use) != nil
  }

  /// Verifies a token and returns the caller that it names.
  ///
  /// The reason of a refusal is worked out only for a development server or for a debug line that
  /// is written, so that the time of a refusal otherwise depends on the verification alone.
  func caller(of token: String, at slot: UInt32) throws(AuthenticationFailure) -> Caller {
    // Before any verification: a signature costs a hundred times as much as an HMAC, and anyone can
    // send wrong ones.
    // guard: bad-token-rate
    if let wait = admission.badTokenWait(at: slot) {
      metrics.add(.tokensRefusedByRate)
      log.refusedCredential("too many tokens with a wrong signature from its address", at: slot)
      throw .tooManyBadTokens(wait: wait)
    }
    let claims: Claims
    let second = wall / 1_000
    do throws(TokenError) {
      claims = try verifier.verify(token, nowSeconds: second)
    } catch {
      if error == .badSignature { admission.countBadToken(at: slot) }
      if error == .unknownKey { reportUnknownKey() }
      // guard: refused-token-logged
      log.refusedCredential(
        verifier.reason(forRefusing: token, nowSeconds: second)?.text ?? "", at: slot)
      guard core.configuration.explainsRefusals else { throw .invalid(error, nil) }
      throw .invalid(error, verifier.reason(forRefusing: token, nowSeconds: second))
    }
    return Caller(
      identity: Caller.Identity(claims), isPublisher: claims.isPublisher,
      isAdmin: claims.isAdmin, end: verifier.endSeconds(of: claims) ?? .max, rooms: claims.rooms)
  }

  /// Authenticates a caller that must be a user.
  func authenticateUser(
    _ head: HTTPRequestHead, subprotocolToken: String? = nil, at slot: UInt32
  ) throws(AuthenticationFailure) -> Caller {
    let caller = try authenticate(
      head, subprotocolToken: subprotocolToken, prefersToken: true, at: slot)
    guard caller.user == nil else { return caller }
    throw noUser(token(of: head, subprotocolToken: subprotocolToken), at: slot)
  }

  /// Verifies a token that must name a user.
  func userCaller(
    of token: String, at slot: UInt32
  ) throws(AuthenticationFailure) -> (Caller, UserID) {
    let caller = try caller(of: token, at: slot)
    guard let user = caller.user else { throw noUser(token, at: slot) }
    return (caller, user)
  }

  /// The failure of a caller without a user: by its token, or else by a key.
  func noUser(_ token: String?, at slot: UInt32) -> AuthenticationFailure {
    guard let token else { return .noUser(nil) }
    log.refusedCredential(verifier.reason(forNoUserIn: token).text, at: slot)
    guard core.configuration.explainsRefusals else { return .noUser(nil) }
    return .noUser(verifier.reason(forNoUserIn: token))
  }

  /// `message`, followed by the reason and its remedy on a server that explains its refusals.
  func explain(_ failure: AuthenticationFailure, _ message: String) -> String {
    guard let reason = explanation(of: failure) else { return message }
    return "\(message): \(reason.text)\(reason.remedy.map { "; " + $0 } ?? "")"
  }

  /// The reason of a failure with its remedy; nil where there is none to say, and on a server that
  /// does not explain its refusals.
  func explanation(of failure: AuthenticationFailure) -> (text: String, remedy: String?)? {
    // guard: refusal-explained-in-development
    guard core.configuration.explainsRefusals else { return nil }
    switch failure {
    case .missing(.nothing): return nil
    case .missing(.otherScheme):
      return ("Authorization has no Bearer token", "write: Authorization: Bearer TOKEN")
    case .missing(.noConfiguredKey):
      return ("the server has no key for X-API-Key", "set CARILLON_API_KEY")
    case .wrongKey: return ("X-API-Key is not CARILLON_API_KEY", nil)
    case .refusedKey(let refusal): return ("X-API-Key: \(refusal.text)", nil)
    case .otherUser: return ("the token is another user's", nil)
    case .tooManyBadTokens:
      return ("too many tokens with a wrong signature came from this address", nil)
    case .invalid(.expired, nil): return ("the token has expired meanwhile", nil)
    case .invalid(_, let reason): return reason.map { ($0.text, $0.remedy) }
    case .noUser(let reason):
      return reason.map { ($0.text, $0.remedy) } ?? ("an API key names no user", nil)
    }
  }
}
