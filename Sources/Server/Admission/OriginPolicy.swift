// Which web pages may connect: the Origin check against cross-site WebSocket hijacking (RFC 6455,
// section 10.2), and which responses a page of another origin may read (the Fetch standard's CORS
// protocol). Both use one list.

internal import Wire

/// Decides whether a browser's page may connect.
package struct OriginPolicy: Sendable {
  private let allowed: [Origin]
  private let allowsAll: Bool
  private let allowsLocal: Bool

  /// `allowed` holds origins as a browser writes them, or `*`; an empty list allows this machine's
  /// own names, on any port.
  init(allowed: [String]) {
    self.allowed = allowed.compactMap { Origin($0) }
    allowsAll = allowed.contains("*")
    allowsLocal = allowed.isEmpty
  }

  /// Why no page's origin is this entry of the list, with the remedy; nil for a useful entry.
  package static func fault(in entry: String) -> String? {
    if entry == "*" { return nil }
    let rest = entry.utf8.firstIndex(of: UInt8(ascii: ":")).map { entry.utf8[$0...] }
    guard let rest, rest.starts(with: "://".utf8) else {
      return "an origin begins with its scheme, as in https://app.example"
    }
    if entry.utf8.contains(UInt8(ascii: "*")) {
      return "* is no part of an origin: list each one, or * alone for every origin"
    }
    if rest.dropFirst(3).contains(where: { [0x2F, 0x3F, 0x23, 0x40].contains($0) }) {
      return "an origin is scheme, host and port only, without a path or a slash at the end"
    }
    if entry.utf8.contains(where: { $0 >= 0x80 }) {
      return "write the host in ASCII, as browsers do (xn--…)"
    }
    guard let origin = Origin(entry) else {
      return "write scheme://host or scheme://host:port"
    }
    if ["ws", "wss"].contains(origin.scheme) {
      return "an origin has the scheme of the page: http or https"
    }
    return nil
  }

  /// Whether a request with these Origin fields is allowed.
  ///
  /// A client that is no browser sends none, and its token alone identifies it; a browser cannot
  /// omit the field.
  func allows(_ origins: [String], host: String?) -> Bool {
    origins.isEmpty || grant(to: origins, host: host) != nil
  }

  /// The grounds on which a page is allowed.
  private enum Grant {
    case everyOrigin
    /// The page's own origin is allowed, which `*` does not say.
    case named
  }

  private func grant(to origins: [String], host: String?) -> Grant? {
    // guard: single-origin
    guard let text = origins.first, origins.count == 1 else { return nil }
    // `null` is the origin of a sandboxed frame or a local file, so any page can produce it. It
    // does not parse, and neither does any other text that is not exactly an origin.
    guard let origin = Origin(text) else { return nil }
    // guard: origin-is-not-a-prefix
    // guard: origin-is-not-a-suffix
    // guard: origin-has-scheme-and-port
    if allowed.contains(origin) { return .named }
    // guard: origin-equals-host
    if let host, origin.isServed(by: host) { return .named }
    if allowsLocal, Origin.defaultPort(of: origin.scheme) != nil, Loopback.isName(origin.host) {
      return .named
    }
    return allowsAll ? .everyOrigin : nil
  }

  /// The longest origin that a refusal repeats, in bytes.
  static let namedOriginLimit = 80
  /// The most bytes of `Access-Control-Request-Headers` that a preflight's answer repeats.
  static let requestedFieldsBytesLimit = 1_024

  /// The refusal of a page, which names its origin and the option that lists it.
  ///
  /// A long text is not repeated, and neither is one with capitals, which no browser sends: it may
  /// be a token in the wrong field.
  func refusal(of head: HTTPRequestHead) -> String {
    let origins = head.values(of: "origin")
    let name =
      if origins.count != 1 {
        " given twice"
      } else if origins[0].utf8.count <= OriginPolicy.namedOriginLimit,
        !origins[0].utf8.contains(where: { (0x41...0x5A).contains($0) })
      {
        " \(origins[0])"
      } else {
        ""
      }
    // guard: refused-origin-named
    return "origin\(name) is not allowed: list it in --cors-origins or WEBSOCKET_CORS_ORIGINS"
  }

  /// The fields that let the page of a request read its response, if its origin is allowed.
  func fields(for head: HTTPRequestHead) -> [(String, String)] {
    let origins = head.values(of: "origin")
    guard let origin = origins.first else { return [] }
    // A cache must not serve one page's response to another.
    let isPreflight = OriginPolicy.isPreflight(head)
    // guard: preflight-varies-by-fields
    let vary = ("Vary", isPreflight ? "Origin, Access-Control-Request-Headers" : "Origin")
    guard let grant = grant(to: origins, host: head.value(of: "host")) else { return [vary] }
    var fields = [
      ("Access-Control-Allow-Origin", origin), vary,
      ("Access-Control-Expose-Headers", "Retry-After, Idempotent-Replay"),
    ]
    // The server never reads a cookie. The field only lets code that always sends them read the
    // answer.
    // guard: credentials-never-with-star
    if grant == .named { fields.append(("Access-Control-Allow-Credentials", "true")) }
    return fields
  }

  /// The fields of an answer to bytes that name no page, because no whole head was read.
  ///
  /// Every page may read it: its text is constant and depends on nothing but those bytes.
  static let fieldsWithoutHead = [("Access-Control-Allow-Origin", "*")]

  private static func isPreflight(_ head: HTTPRequestHead) -> Bool {
    head.method == .options && head.value(of: "access-control-request-method") != nil
  }

  /// The answer to a CORS preflight; nil when `head` is not one.
  func preflight(_ head: HTTPRequestHead, methods: String) -> Answer? {
    guard OriginPolicy.isPreflight(head) else { return nil }
    let answer = Answer(response: HTTPResponse(status: 204), status: 204)
    guard grant(to: head.values(of: "origin"), host: head.value(of: "host")) != nil else {
      return answer
    }
    return
      answer
      .with("Access-Control-Allow-Methods", methods)
      .with("Access-Control-Allow-Headers", OriginPolicy.requestedFields(head))
      .with("Access-Control-Max-Age", "600")
  }

  /// The header fields that the page asks to send, or those that the server reads.
  private static func requestedFields(_ head: HTTPRequestHead) -> String {
    let asked = head.values(of: "access-control-request-headers").joined(separator: ", ")
    // guard: reflected-fields-are-names
    guard !asked.isEmpty, asked.utf8.count <= OriginPolicy.requestedFieldsBytesLimit,
      asked.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F || $0 == 0x20 })
    else { return "Authorization, Content-Type, Idempotency-Key, Last-Event-ID, X-API-Key" }
    return asked
  }
}
