// Which web pages may connect: the Origin check against cross-site WebSocket hijacking (RFC 6455,
// section 10.2), and which responses a page of another origin may read (the Fetch standard's CORS
// protocol). Both use one list.

internal import Wire

/// Decides whether a browser's page may connect.
struct OriginPolicy: Sendable {
  private let allowed: [String]
  private let allowsAll: Bool

  /// `allowed` holds origins as a browser writes them; an empty list allows this machine's own
  /// names, on any port.
  init(allowed: [String]) {
    self.allowed = allowed.map { $0.lowercased() }
    allowsAll = allowed.contains("*")
  }

  /// Whether a request with these Origin fields is allowed.
  ///
  /// A client that is no browser sends none, and its token alone identifies it; a browser cannot
  /// omit the field.
  func allows(_ origins: [String], host: String?, isSecure: Bool = false) -> Bool {
    guard let first = origins.first else { return true }
    // guard: single-origin
    guard origins.count == 1 else { return false }
    let origin = first.lowercased()
    // `null` is the origin of a sandboxed frame or a local file, so any page can produce it.
    guard origin != "null", !origin.isEmpty else { return false }
    // guard: origin-is-not-a-prefix
    // guard: origin-is-not-a-suffix
    if allowsAll || allowed.contains(origin) { return true }
    if let host, origin == (isSecure ? "https://" : "http://") + host.lowercased() { return true }
    return allowed.isEmpty && OriginPolicy.isLocal(origin)
  }

  /// The fields that let the page of a request read its response, if its origin is allowed.
  func fields(for head: HTTPRequestHead) -> [(String, String)] {
    let origins = head.values(of: "origin")
    guard let origin = origins.first else { return [] }
    // A cache must not serve one page's response to another.
    let vary = ("Vary", "Origin")
    guard allows(origins, host: head.value(of: "host")) else { return [vary] }
    return [
      ("Access-Control-Allow-Origin", origin), vary,
      ("Access-Control-Expose-Headers", "Retry-After, Idempotent-Replay"),
    ]
  }

  /// The answer to a CORS preflight; nil when `head` is not one.
  func preflight(_ head: HTTPRequestHead, methods: String) -> Answer? {
    guard head.method == .options, head.value(of: "access-control-request-method") != nil else {
      return nil
    }
    let answer = Answer(response: HTTPResponse(status: 204), status: 204)
    guard allows(head.values(of: "origin"), host: head.value(of: "host")) else { return answer }
    return
      answer
      .with("Access-Control-Allow-Methods", methods)
      .with(
        "Access-Control-Allow-Headers",
        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-API-Key"
      )
      .with("Access-Control-Max-Age", "600")
  }

  private static func isLocal(_ origin: String) -> Bool {
    for scheme in ["http://", "https://"] where origin.hasPrefix(scheme) {
      if Loopback.isNamed(by: String(origin.dropFirst(scheme.count))) { return true }
    }
    return false
  }
}

/// The names of this machine for itself.
enum Loopback {
  /// Whether an authority, a host with or without a port, is one of this machine's own names.
  static func isNamed(by authority: String) -> Bool {
    let authority = authority.lowercased()
    for name in ["localhost", "127.0.0.1", "[::1]"] where authority.hasPrefix(name) {
      let rest = authority.dropFirst(name.count)
      // guard: loopback-name-is-whole
      if rest.isEmpty { return true }
      if rest.first == ":", rest.count > 1, rest.dropFirst().allSatisfy({ "0"..."9" ~= $0 }) {
        return true
      }
    }
    return false
  }
}
