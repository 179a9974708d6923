// Files for browsers: the client's modules, the pages, and in development the demo's tokens.
//
// The files are public on any site: they contain no secret and nothing about a user. So modules of
// other sites may import them, whatever the list of origins says, which restricts connections only.

internal import Wire

extension Endpoints {
  /// `GET /client/*`: a file of the client, or a redirect to it.
  static func clientFile(_ request: Request, on shard: Shard) throws(Refusal) -> Answer {
    guard let path = request.route.parameters.first,
      let location = shard.core.files.location(of: path)
    else { throw Refusal(404, "not_found", "there is no such file of the client") }
    var answer: Answer
    switch location {
    case .file(let file):
      // Every build has a folder of its own, so a file in this one never changes.
      answer = try serve(file, cache: "public, max-age=31536000, immutable", to: request)
    case .moved(let address):
      // A page loaded before the server was replaced by a new build still finds its modules. A
      // browser asks again each time, because the next build moves them again.
      // Relative to the request's own path, because a proxy may have removed a prefix from it.
      let below = request.head.path.utf8.dropFirst("/client/".utf8.count)
      let depth = below.count { $0 == UInt8(ascii: "/") }
      // guard: redirect-below-a-prefix
      answer = redirect(to: String(repeating: "../", count: depth) + address)
    }
    answer.readers = .everyOrigin
    return protected(answer).with("Cross-Origin-Resource-Policy", "cross-origin")
  }

  /// `GET /console`, and `GET /`, which is the demo in development.
  static func page(
    _ name: String, _ request: Request, on shard: Shard
  ) throws(Refusal) -> Answer {
    guard let file = shard.core.files.page(name) else {
      throw Refusal(404, "not_found", "there is nothing at this path")
    }
    let path = request.head.path
    if path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") {
      // The page's addresses are relative, so it has one place.
      return redirect(to: ".." + path.dropLast())
    }
    var answer = try serve(file, cache: "no-cache", to: request)
    answer.readers = .ownOrigin
    return protected(answer).with("Content-Security-Policy", contentSecurityPolicy)
  }

  /// The pages' rights: load files and data from this server only, and appear in no frame.
  static let contentSecurityPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    + "connect-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    + "frame-ancestors 'none'"

  /// `GET /demo/tokens`, in development: the tokens of the demo page's users.
  ///
  /// The server then listens on loopback only, but a page of any site also runs on this machine. A
  /// page of another origin cannot read the answer. A page that uses DNS rebinding has the same
  /// origin, but then Host has its own name, which is refused.
  static func demoTokens(_ request: Request, on shard: Shard) throws(Refusal) -> Answer {
    guard let make = shard.core.configuration.demoTokens else {
      throw Refusal(404, "not_found", "there is nothing at this path")
    }
    // guard: demo-tokens-on-loopback-names
    guard let host = request.head.host, Loopback.isNamed(by: host) else {
      var refusal = Answer.failure(403, "forbidden", "tokens are served to loopback names only")
      refusal.readers = .ownOrigin
      throw Refusal(refusal)
    }
    let tokens = make(shard.wall / 1_000)
    var answer = Answer.object { data in
      data.member("users", array: tokens.users) { data, user in
        data.openObject()
        data.member("id", user.id)
        data.member("token", user.token)
        data.closeObject()
      }
      data.member("publisher", tokens.publisher)
    }
    // guard: demo-tokens-same-origin
    answer.readers = .ownOrigin
    return protected(answer)
      .with("Cross-Origin-Resource-Policy", "same-origin")
  }

  // MARK: Shared parts

  private static func redirect(to address: String) -> Answer {
    var answer = Answer(response: HTTPResponse(status: 307), status: 307)
      .with("Location", address)
    answer.caching = "no-cache"
    return answer
  }

  /// The file in an encoding that the client accepts, or 304 if the client already has it.
  private static func serve(
    _ file: ClientFile, cache: String, to request: Request
  ) throws(Refusal) -> Answer {
    let codings = request.head.values(of: "accept-encoding")
    guard let coding = ContentCoding.preferred(in: codings) else {
      throw Refusal(
        Answer.failure(406, "not_acceptable", "available encodings: identity, gzip")
          .with("Vary", "Accept-Encoding"))
    }
    let form = file.form(coding)
    let isKnown = EntityTag.isNamed(form.tag, in: request.head.values(of: "if-none-match"))
    var answer = Answer(response: HTTPResponse(status: isKnown ? 304 : 200), status: 200)
    answer.status = answer.response.status
    answer.caching = cache
    if !isKnown {
      answer.response.contentType = file.contentType
      answer.response.body = form.bytes
      answer.isShared = true
      if coding == .gzip { answer = answer.with("Content-Encoding", "gzip") }
    }
    return
      answer
      .with("ETag", "\"\(form.tag)\"")
      .with("Vary", "Accept-Encoding")
  }

  /// Adds the headers that keep a browser from guessing the type and from sending the Referer.
  private static func protected(_ answer: Answer) -> Answer {
    answer
      .with("X-Content-Type-Options", "nosniff")
      .with("Referrer-Policy", "no-referrer")
  }
}
