// `/api/v1/keys`: an administrator creates, lists, revokes and rotates API keys.
//
// A secret is in the answer that creates it, and nowhere else: the store and the shards have its
// digest. A key may grant no more than its creator has.

internal import Cryptography
internal import Notifications
internal import Reactor
internal import Storage
internal import Wire

extension Endpoints {
  /// `POST /api/v1/keys`: 201 with the key and its secret.
  static func createKey(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let fields = try NewKeyFields(request)
    let rights = APIRights(verbs: fields.verbs, types: fields.types)
    try requireRights(toGrant: rights, until: fields.expiresAt, request)
    // guard: key-expires-later
    guard fields.expiresAt.map({ $0 > shard.wall }) ?? true else {
      throw .invalid("expires_at: must be in the future")
    }
    let id = makeKeyID(on: shard)
    let (secret, digest) = makeSecret(of: id, on: shard)
    let key = APIKey(
      id: id, name: fields.name, rights: rights, createdAt: shard.wall,
      expiresAt: fields.expiresAt, digest: digest)
    return try change(.create(key), request, on: shard) { .of($0, status: 201, secret: secret) }
  }

  /// `GET /api/v1/keys`: a page of keys, in the order of their creation.
  static func listKeys(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let limit = try number("limit", in: request.query, 1...UInt64(APIKeyPage.limit))
    let after = try number("after", in: request.query, 0...UInt64(Int64.max))
    let query = TypedQuery.apiKeys(
      after: after, limit: limit.map { Int($0) } ?? APIKeyPage.limit)
    return try ask(query, request, on: shard, isCommon: false) { page in
      .object { data in
        data.member("keys", array: page.keys) { data, key in
          data.openObject()
          write(key, into: &data)
          data.closeObject()
        }
        if let next = page.next { data.member("next", "\(next)") }
      }
    }
  }

  /// `DELETE /api/v1/keys/:id`: revokes the key.
  ///
  /// When it is answered, every shard refuses the key, and its streams have ended.
  static func revokeKey(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    try change(.revoke(keyID(of: request), at: shard.wall), request, on: shard) { .of($0) }
  }

  /// `POST /api/v1/keys/:id/rotate`: a new secret; the one before it stays valid for `overlap`.
  static func rotateKey(_ request: Request, on shard: Shard) throws(Refusal) -> EndpointResult {
    let overlap = try overlapSeconds(of: request)
    let id = try keyID(of: request)
    guard let key = shard.apiKeys[id] else { throw unknownKey }
    // The new secret has the rights of the key.
    try requireRights(toGrant: key.rights, until: key.expiresAt, request)
    let (secret, digest) = makeSecret(of: id, on: shard)
    return try change(
      .rotate(id, to: digest, at: shard.wall, overlapMilliseconds: overlap * 1_000), request,
      on: shard
    ) { .of($0, secret: secret) }
  }

  // MARK: Commands

  private static let unknownKey = Refusal(404, "not_found", "no such key")

  /// Submits a command; it is answered when all shards have the change.
  private static func change(
    _ command: APIKeyCommand, _ request: Request, on shard: Shard,
    _ answer: @escaping (APIKey) -> Answer
  ) throws(Refusal) -> EndpointResult {
    let core = shard.core
    return try submit(
      .apiKeys(command), request, on: shard, applying: { core.apply($0, done: $1) }
    ) { outcome in
      switch outcome {
      case .changed(let key, _): answer(key)
      case .unknown: unknownKey.answer
      case .ended:
        .failure(409, "key_ended", "the key was revoked or has expired: create another one")
      case .full(let limit):
        .failure(409, "key_limit", "the server has \(limit) keys: revoke one that is not used")
      // Cannot happen: no request notes uses.
      case .noted: .unreadable
      }
    }
  }

  /// Refuses to give rights that the caller does not have, or for longer than it has them.
  private static func requireRights(
    toGrant rights: APIRights, until expiresAt: Int64?, _ request: Request
  ) throws(Refusal) {
    guard case .key(let own) = request.caller.identity else { return }
    // guard: key-grants-no-more
    guard own.rights.include(rights) else {
      throw Refusal(403, "forbidden", "a key cannot grant verbs or types that it does not have")
    }
    // guard: key-grants-no-longer
    guard expiresAt ?? .max <= own.expiresAt ?? .max else {
      throw Refusal(403, "forbidden", "a key cannot grant rights for longer than it has them")
    }
  }

  private static func makeKeyID(on shard: Shard) -> APIKeyID {
    // 82 bits, so that no two keys share an id.
    let name = RandomName.make(characterCount: APIKeyID.characterCount, shard.kernel)
    guard let id = APIKeyID(characters: name) else { preconditionFailure("\(name) is no id") }
    return id
  }

  private static func makeSecret(
    of id: APIKeyID, on shard: Shard
  ) -> (text: String, digest: SecretDigest) {
    let random = shard.kernel.randomBytes(count: APIKeyText.randomByteCount)
    let text = APIKeyText.make(id, random: random)
    guard let digest = SecretDigest(Digest.sha256(Array(text.utf8))) else {
      preconditionFailure("a SHA-256 of another length")
    }
    return (text, digest)
  }

  // MARK: Reading the request

  /// The key named in the path.
  private static func keyID(of request: Request) throws(Refusal) -> APIKeyID {
    guard let text = request.route.parameters.first, let id = APIKeyID(text) else {
      throw unknownKey
    }
    return id
  }

  /// The overlap of a rotation, in seconds; without a body the standard one.
  private static func overlapSeconds(of request: Request) throws(Refusal) -> Int64 {
    var seconds = APIKey.standardOverlapSeconds
    if request.body.isEmpty { return seconds }
    try requireJSON(request)
    do throws(DocumentError) {
      try DocumentParser.parse(request.body, ["overlap"]) {
        (parser: inout DocumentParser, reader: inout JSONReader, _: String)
          throws(JSONViolation) in
        // guard: overlap-bound
        let range = 0...APIKey.longestOverlapSeconds
        if let given = try parser.readInteger(in: range, from: &reader) { seconds = given }
      }
    } catch {
      throw Refusal(error)
    }
    return seconds
  }

  // MARK: Writing the answer

  fileprivate static func write(_ key: APIKey, into data: inout [UInt8]) {
    data.member("id", key.id.text)
    data.member("name", key.name)
    data.member("prefix", key.id.prefix)
    data.member("verbs", texts: key.rights.verbNames)
    data.member("types", texts: key.rights.types)
    data.member("created_at", time: key.createdAt)
    data.member("expires_at", time: key.expiresAt)
    data.member("revoked_at", time: key.revokedAt)
    data.member("last_used_at", time: key.lastUsedAt)
    data.member("earlier_secret_expires_at", time: key.earlier?.endsAt)
  }
}

extension Answer {
  /// A key, with its secret where it has just been made.
  fileprivate static func of(
    _ key: APIKey, status: UInt16 = 200, secret: String? = nil
  ) -> Answer {
    .object(status) { data in
      Endpoints.write(key, into: &data)
      if let secret { data.member("secret", secret) }
    }
  }
}

/// The body of a request for a new key.
private struct NewKeyFields {
  private(set) var name = ""
  private(set) var verbs: Set<APIVerb> = []
  private(set) var types: [String] = []
  private(set) var expiresAt: Int64?

  init(_ request: Request) throws(Refusal) {
    try Endpoints.requireJSON(request)
    var hasName = false
    do throws(DocumentError) {
      try DocumentParser.parse(request.body, ["name", "verbs", "types", "expires_at"]) {
        (parser: inout DocumentParser, reader: inout JSONReader, member: String)
          throws(JSONViolation) in
        switch member {
        case "name":
          hasName = true
          guard let text = try parser.readText(from: &reader) else { return }
          // guard: key-name-rule
          if APIKey.isValidName(text) { name = text } else { parser.refuse(APIKey.nameRule) }
        case "verbs": try takeVerbs(&parser, from: &reader)
        case "types": try takeTypes(&parser, from: &reader)
        default: try takeExpiry(&parser, from: &reader)
        }
      }
    } catch {
      throw Refusal(error)
    }
    guard hasName else { throw .invalid("name: missing") }
    // guard: key-has-a-verb
    guard !verbs.isEmpty else { throw .invalid("verbs: one or more of \(APIVerb.names)") }
  }

  private mutating func takeVerbs(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    var verbs: Set<APIVerb> = []
    try parser.readArray(from: &reader) { (parser, reader) throws(JSONViolation) in
      guard let text = try parser.readText(from: &reader) else { return }
      guard let verb = APIVerb(rawValue: text) else {
        return parser.refuse("must be some of \(APIVerb.names)")
      }
      if !verbs.insert(verb).inserted { parser.refuse("names a verb twice") }
    }
    self.verbs = verbs
  }

  private mutating func takeTypes(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    var types: [String] = []
    try parser.readArray(from: &reader) { (parser, reader) throws(JSONViolation) in
      guard let text = try parser.readText(from: &reader) else { return }
      // guard: key-type-rule
      guard APIRights.isValidPattern(text) else { return parser.refuse(APIRights.typeRule) }
      // guard: key-type-count
      guard types.count < APIRights.typeCountLimit else {
        return parser.refuse("at most \(APIRights.typeCountLimit) types")
      }
      types.append(text)
    }
    self.types = types
  }

  private mutating func takeExpiry(
    _ parser: inout DocumentParser, from reader: inout JSONReader
  ) throws(JSONViolation) {
    guard let text = try parser.readText(from: &reader) else { return }
    guard let time = RFC3339.parse(text) else {
      return parser.refuse("must be a time such as 2031-01-31T12:00:00Z")
    }
    expiresAt = time
  }
}
