// What browsers load: the client's files, the pages, and in development the tokens of the demo.
//
// The files are for anybody, on any site: they have no secret and know no user. So other sites'
// modules may import them whatever the list of origins says, which is about who may connect.

internal import Wire

extension Endpoints {
  /// `GET /client/*`: a file of the client, or the way to it.
  static func clientFile(_ request: Request, on shard: Shard) throws(Refusal) -> Answer {
    guard let path = request.route.parameters.first,
      let location = shard.core.files.location(of: path)
    else { throw Refusal(404, "not_found", "there is no such file of the client") }
    var answer: Answer
    switch location {
    case .file(let file):
      // Another build is another folder, so what is in this one never changes.
      answer = try serve(file, cache: "public, max-age=31536000, immutable", to: request)
    case .moved(let address):
      // A page that was loaded before the server became another one still finds its modules, and
      // a browser asks anew each time, because the next build moves them again.
      answer = Answer(response: HTTPResponse(status: 307), status: 307)
        .with("Location", address)
        .with("Cache-Control", "no-cache")
    }
    answer.readers = .everyOrigin
    return protected(answer).with("Cross-Origin-Resource-Policy", "cross-origin")
  }

  /// `GET /console`, and `GET /` in development.
  static func page(
    _ name: String, _ request: Request, on shard: Shard
  ) throws(Refusal) -> Answer {
    guard let file = shard.core.files.page(name) else {
      throw Refusal(404, "not_found", "there is nothing at this path")
    }
    var answer = try serve(file, cache: "no-cache", to: request)
    answer.readers = .ownOrigin
    return protected(answer).with("Content-Security-Policy", contentSecurityPolicy)
  }

  /// What a page may do: load what is ours and talk to us, and be in nobody's frame.
  static let contentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    + "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    + "frame-ancestors 'none'"

  /// `GET /demo/tokens`, in development: what makes the demo's page its users.
  ///
  /// The server listens on this machine alone then, but a page of any site runs on this machine
  /// too. It may not read this as long as it is of another origin; and one whose name's address
  /// was changed to this machine's, so that it is of the same one, has that name in Host.
  static func demoTokens(_ request: Request, on shard: Shard) throws(Refusal) -> Answer {
    guard let make = shard.core.configuration.demoTokens else {
      throw Refusal(404, "not_found", "there is nothing at this path")
    }
    // guard: demo-tokens-on-loopback-names
    guard let host = request.head.host, Loopback.isNamed(by: host) else {
      var refusal = Answer.failure(403, "forbidden", "tokens are told to this machine's names only")
      refusal.readers = .ownOrigin
      throw Refusal(refusal)
    }
    let tokens = make(shard.wall / 1_000)
    var answer = Answer.object { data in
      data.memberName("users")
      data.append(UInt8(ascii: "["))
      for (index, user) in tokens.users.enumerated() {
        if index > 0 { data.append(UInt8(ascii: ",")) }
        data.openObject()
        data.member("id", user.id)
        data.member("token", user.token)
        data.closeObject()
      }
      data.append(UInt8(ascii: "]"))
      data.member("publisher", tokens.publisher)
    }
    // guard: demo-tokens-same-origin
    answer.readers = .ownOrigin
    return protected(answer)
      .with("Cache-Control", "no-store")
      .with("Cross-Origin-Resource-Policy", "same-origin")
  }

  // MARK: What they have in common

  /// The file in the form that the client takes, or that the client has it already.
  private static func serve(
    _ file: ClientFile, cache: String, to request: Request
  ) throws(Refusal) -> Answer {
    let codings = request.head.values(of: "accept-encoding")
    guard let coding = ContentCoding.preferred(in: codings) else {
      throw Refusal(
        Answer.failure(406, "not_acceptable", "there is this plain and as gzip")
          .with("Vary", "Accept-Encoding"))
    }
    let form = file.form(coding)
    let isKnown = EntityTag.isNamed(form.tag, in: request.head.values(of: "if-none-match"))
    var answer = Answer(response: HTTPResponse(status: isKnown ? 304 : 200), status: 200)
    answer.status = answer.response.status
    if !isKnown {
      answer.response.contentType = file.contentType
      answer.response.body = form.bytes
      answer.isShared = true
      if coding == .gzip { answer = answer.with("Content-Encoding", "gzip") }
    }
    return
      answer
      .with("Cache-Control", cache)
      .with("ETag", "\"\(form.tag)\"")
      .with("Vary", "Accept-Encoding")
  }

  /// The answer with what keeps a browser from guessing its type, and from telling where it was
  /// asked for.
  private static func protected(_ answer: Answer) -> Answer {
    answer
      .with("X-Content-Type-Options", "nosniff")
      .with("Referrer-Policy", "no-referrer")
  }
}
