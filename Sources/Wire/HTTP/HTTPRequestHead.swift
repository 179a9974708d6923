// A parsed and checked request head: RFC 9112, sections 3 and 5.

/// The head of one request.
///
/// Made by `HTTPRequestHeadParser`, so everything in it has been checked: the framing is
/// unambiguous, the target is visible ASCII, names are tokens and values hold no controls.
package struct HTTPRequestHead: Sendable {
  package let method: HTTPMethod
  /// 0 or 1; a later HTTP/1 version is treated as 1.
  package let minorVersion: Int
  /// The size of the head on the wire, with the empty line that ends it.
  package let byteCount: Int
  package let contentLength: Int?
  package let isChunked: Bool
  /// Whether the client wants to send another request on this connection.
  package let keepsAlive: Bool
  /// Whether the client waits for 100 before it sends the body.
  package let expectsContinue: Bool
  /// Whether a proxy has sent the request on, or the client claims so.
  ///
  /// True with Forwarded, Via, X-Real-IP or a field that begins with X-Forwarded-.
  package let isForwarded: Bool
  package let fields: HTTPFields

  let target: HTTPTarget
  private let methodRange: Range<Int>
  private let hostRange: Range<Int>?

  init(
    method: HTTPMethod, methodRange: Range<Int>, minorVersion: Int, byteCount: Int,
    framing: HTTPFraming, target: HTTPTarget, fields: HTTPFields
  ) {
    self.method = method
    self.methodRange = methodRange
    self.minorVersion = minorVersion
    self.byteCount = byteCount
    self.contentLength = framing.contentLength
    self.isChunked = framing.isChunked
    // RFC 9112, section 9.3: "close" wins over everything, then the version decides.
    self.keepsAlive =
      !framing.closesConnection && (minorVersion > 0 || framing.keepsConnection)
    // RFC 9110, section 10.1.1: an expectation in HTTP/1.0 is ignored.
    self.expectsContinue = framing.expectsContinue && minorVersion > 0
    self.isForwarded = framing.isForwarded
    self.target = target
    self.hostRange = framing.host ?? target.authority
    self.fields = fields
  }

  package var methodName: String { fields.text(methodRange) }

  /// The path as it was sent, without the query; escapes are not decoded.
  ///
  /// It begins with "/", or is "*".
  package var path: String { target.path.isEmpty ? "/" : fields.text(target.path) }

  /// The part after the first "?", as it was sent.
  package var query: String? { target.query.map { fields.text($0) } }

  /// The host that the request is for.
  ///
  /// It comes from the Host field, which an absolute target must match; nil only in HTTP/1.0.
  package var host: String? { hostRange.map { fields.text($0) } }

  /// Whether a body follows the head.
  package var hasBody: Bool { isChunked || contentLength ?? 0 > 0 }

  /// The first value of a field; `name` is lower case.
  package func value(of name: String) -> String? { fields.value(of: name) }

  /// The values of all fields of this name; `name` is lower case.
  package func values(of name: String) -> [String] { fields.values(of: name) }

  /// Whether a comma-separated field has this token, letters in either case.
  package func hasToken(_ token: String, in name: String) -> Bool {
    fields.hasToken(token, in: name)
  }
}
