// Responses: RFC 9112, sections 4 and 6; RFC 9110, section 15.
//
// Whatever the fields contain, the output is exactly one response: names and values are sanitised
// here, at the last moment, and not assumed to be checked by the caller. A header that splits in
// two is an injection; one that arrives with a space in it is only a bug report.

/// A complete response with its body.
package struct HTTPResponse: Sendable {
  package var status: UInt16
  package var body: [UInt8]
  package var contentType: String?
  /// Further fields; `write` itself writes those that frame the message, so they are ignored here.
  package var fields: [(String, String)] = []

  package init(status: UInt16, body: [UInt8] = [], contentType: String? = nil) {
    self.status = status
    self.body = body
    self.contentType = contentType
  }

  /// The response to a request that violates the protocol; the caller closes after it.
  package init(_ violation: HTTPViolation) {
    self.init(status: violation.status)
  }

  /// Appends the response in its wire format.
  ///
  /// `isHead` omits the body but not its length. An HTTP/1.0 client (`minorVersion` 0) gets
  /// `Connection: keep-alive` if the connection is kept; every client gets `Connection: close` if
  /// it is not.
  package func write(
    keepsAlive: Bool, isHead: Bool = false, minorVersion: Int = 1, into output: inout [UInt8]
  ) {
    // RFC 9110, section 8.6 and 15.4.5: these have neither a body nor a Content-Length.
    let hasBody = status >= 200 && status != 204 && status != 304
    output.makeRoom(for: 192 + (hasBody && !isHead ? body.count : 0))
    output.appendText("HTTP/1.1 ")
    HTTPResponse.appendStatus(status, into: &output)
    for (name, value) in fields where !HTTPResponse.isFraming(name) {
      HTTPResponse.appendField(name, value, into: &output)
    }
    if hasBody {
      if let contentType, !body.isEmpty {
        HTTPResponse.appendField("Content-Type", contentType, into: &output)
      }
      output.appendText("Content-Length: ")
      output.appendDecimal(body.count)
      output.appendText("\r\n")
    }
    if !keepsAlive {
      output.appendText("Connection: close\r\n")
    } else if minorVersion == 0 {
      output.appendText("Connection: keep-alive\r\n")
    }
    output.appendText("\r\n")
    if hasBody, !isHead { output.append(contentsOf: body) }
  }

  /// Appends one field, sanitised: for responses that are written by hand.
  ///
  /// A field with a name that is not a token is dropped. In the value, every control becomes a
  /// space, line ends above all.
  package static func appendField(_ name: String, _ value: String, into output: inout [UInt8]) {
    // guard: response-name-is-token
    guard !name.isEmpty, all(of: name, are: HTTPCharacter.isToken) else { return }
    output.appendText(name)
    output.appendText(": ")
    let start = output.count
    output.appendText(value)
    // guard: response-value-keeps-its-line
    if !all(of: value, are: HTTPCharacter.isFieldValue) {
      for index in start..<output.count where !HTTPCharacter.isFieldValue(output[index]) {
        output[index] = HTTPCharacter.space
      }
    }
    output.appendText("\r\n")
  }

  @inline(__always)
  private static func all(of text: String, are isAllowed: (UInt8) -> Bool) -> Bool {
    let bytes = text.utf8.span
    for index in bytes.indices where !isAllowed(bytes[index]) { return false }
    return true
  }

  /// Appends the status and its reason phrase, with the line's end.
  package static func appendStatus(_ status: UInt16, into output: inout [UInt8]) {
    // The grammar requires three digits; any other number is a bug of the server.
    let status = (100...599).contains(status) ? status : 500
    output.appendDecimal(status)
    output.append(HTTPCharacter.space)
    output.appendText(reason(for: status))
    output.appendText("\r\n")
  }

  private static func isFraming(_ name: String) -> Bool {
    let bytes = name.utf8.span
    return HTTPFields.matches(bytes, 0..<bytes.count, "content-length")
      || HTTPFields.matches(bytes, 0..<bytes.count, "transfer-encoding")
  }

  /// The reason phrase of a status: RFC 9110, section 15, and RFC 6585.
  package static func reason(for status: UInt16) -> String {
    switch status {
    case 100: "Continue"
    case 101: "Switching Protocols"
    case 200: "OK"
    case 201: "Created"
    case 202: "Accepted"
    case 204: "No Content"
    case 301: "Moved Permanently"
    case 302: "Found"
    case 303: "See Other"
    case 304: "Not Modified"
    case 307: "Temporary Redirect"
    case 308: "Permanent Redirect"
    case 400: "Bad Request"
    case 401: "Unauthorized"
    case 403: "Forbidden"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 406: "Not Acceptable"
    case 408: "Request Timeout"
    case 409: "Conflict"
    case 410: "Gone"
    case 411: "Length Required"
    case 412: "Precondition Failed"
    case 413: "Content Too Large"
    case 414: "URI Too Long"
    case 415: "Unsupported Media Type"
    case 416: "Range Not Satisfiable"
    case 417: "Expectation Failed"
    case 421: "Misdirected Request"
    case 422: "Unprocessable Content"
    case 426: "Upgrade Required"
    case 428: "Precondition Required"
    case 429: "Too Many Requests"
    case 431: "Request Header Fields Too Large"
    case 500: "Internal Server Error"
    case 501: "Not Implemented"
    case 502: "Bad Gateway"
    case 503: "Service Unavailable"
    case 504: "Gateway Timeout"
    case 505: "HTTP Version Not Supported"
    default: "Status"
    }
  }
}
