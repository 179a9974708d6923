// Answers of the HTTP surface: `{"success":true,"data":…}` or `{"success":false,"error":{…}}`.

internal import Wire

/// One answer to one request.
struct Answer {
  var response: HTTPResponse
  var status: UInt16
  /// Machine-readable code of a refusal, never text from a client; nil for other answers.
  var code: String?
  /// Whether the connection ends after this answer.
  var endsConnection = false
  // guard: no-store-by-default
  /// Value of Cache-Control; an answer that depends on the caller or the moment is never stored.
  var caching = "no-store"
  /// Web pages that may read the answer.
  var readers = Readers.configuredOrigins
  /// Whether many connections send this body and so share one copy of it.
  var isShared = false

  /// Web pages that a browser allows to read an answer.
  enum Readers {
    /// Pages of the origins that may connect.
    case configuredOrigins
    case everyOrigin
    /// Pages that the server itself served.
    case ownOrigin
  }

  /// A success with the data that `write` writes.
  static func success(_ status: UInt16 = 200, _ write: (inout [UInt8]) -> Void) -> Answer {
    Answer.json(status, Answer.body(of: write))
  }

  /// The body of a success with the data that `write` writes.
  static func body(of write: (inout [UInt8]) -> Void) -> [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    json.member("success", true)
    json.memberName("data")
    write(&json)
    json.closeObject()
    return json
  }

  /// A success with an object as its data.
  static func object(_ status: UInt16 = 200, _ write: (inout [UInt8]) -> Void) -> Answer {
    success(status) { json in
      json.openObject()
      write(&json)
      json.closeObject()
    }
  }

  /// A refusal with a message that states the fault and the remedy.
  static func failure(_ status: UInt16, _ code: String, _ message: String) -> Answer {
    var answer = json(status, failureBody(code, message))
    answer.code = code
    return answer
  }

  /// The body of a refusal.
  static func failureBody(_ code: String, _ message: String) -> [UInt8] {
    var json: [UInt8] = []
    json.openObject()
    json.member("success", false)
    json.member(
      "error",
      object: { error in
        error.member("code", code)
        error.member("message", message)
      })
    json.closeObject()
    return json
  }

  /// A temporary refusal: 503 with `Retry-After`.
  static func unavailable(_ code: String, _ message: String) -> Answer {
    // guard: temporary-refusal-has-retry-after
    failure(503, code, message).with("Retry-After", "1")
  }

  /// A refusal by a rate or count limit: 429 with `Retry-After`.
  static func tooMany(_ code: String, _ message: String, afterSeconds seconds: UInt64) -> Answer {
    failure(429, code, message).with("Retry-After", "\(seconds)")
  }

  /// An answer with a body that is already JSON.
  static func json(_ status: UInt16, _ body: [UInt8]) -> Answer {
    Answer(
      response: HTTPResponse(
        status: status, body: body, contentType: "application/json; charset=utf-8"),
      status: status)
  }

  /// The answer to OPTIONS: the methods of the path.
  static func allowing(_ methods: String) -> Answer {
    Answer(response: HTTPResponse(status: 204), status: 204).with("Allow", methods)
  }

  /// The same answer with one more header field.
  func with(_ name: String, _ value: String) -> Answer {
    var copy = self
    copy.response.fields.append((name, value))
    return copy
  }
}

/// A refused request, with the answer that gives the reason.
struct Refusal: Error {
  let answer: Answer
  /// The answer's message, for a caller that does not use HTTP; nil where only the answer has it.
  let message: String?
  /// Whether a request without a body gets the answer only after `Limits.heldRefusalMilliseconds`.
  ///
  /// The next request on the connection is not read before. So a client that ignores its refusals
  /// costs the server a few of them a second, and not as many as it can send.
  var isHeld = false

  init(_ status: UInt16, _ code: String, _ message: String) {
    answer = .failure(status, code, message)
    self.message = message
  }

  init(_ answer: Answer) {
    self.answer = answer
    message = nil
  }

  /// 400: the request is malformed.
  static func malformed(_ message: String) -> Refusal { Refusal(400, "malformed", message) }
  /// 422: the request is well formed and wrong.
  static func invalid(_ message: String) -> Refusal { Refusal(422, "invalid", message) }
  /// 503: the store's queue is full.
  static var busy: Refusal {
    Refusal(.unavailable("busy", "the server is at its limit, try again"))
  }
}
