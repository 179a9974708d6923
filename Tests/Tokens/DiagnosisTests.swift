// The exact reasons of refusals: each kind of fault, and never a text of the token.

import TestSupport
import Testing

@testable import Tokens

@Suite("Reasons of refused tokens")
struct DiagnosisTests {
  static let now = Forge.now

  static func reason(
    _ token: String, _ policy: TokenPolicy = Forge.policy, at nowSeconds: Int64 = now
  ) -> TokenReason? {
    TokenVerifier(policy: policy).reason(forRefusing: token, nowSeconds: nowSeconds)
  }

  static func header(_ text: String) -> String {
    Forge.token(#"{"sub":"u","exp":\#(now + 60)}"#, header: text)
  }

  static let valid = Forge.token(members: #""x":1"#)

  static let spellings: [(token: String, reason: TokenReason)] = [
    ("", .partCount(1)), ("a", .partCount(1)), ("a.b", .partCount(2)), ("a.b.c.d", .partCount(4)),
    ("Bearer " + valid, .hasScheme), (valid + "\n", .hasForeignCharacters),
    ("\"\(valid)\"", .hasForeignCharacters), (valid + "=", .notBase64URL(.signature)),
    ("=" + valid, .notBase64URL(.header)), ("é" + valid, .notBase64URL(.header)),
    (String(repeating: "a", count: 9_000), .tooLong(byteCount: 9_000)),
    (header("[]"), .notObject(.header)), (header("{"), .notObject(.header)),
    (header(#"{"alg":"HS256","alg":"none"}"#), .repeatedMember(.header)),
    (header("{}"), .noAlgorithm), (header(#"{"alg":1}"#), .noAlgorithm),
    (header(#"{"alg":"none"}"#), .unsigned), (header(#"{"alg":"NonE"}"#), .unsigned),
    (header(#"{"alg":"HS256","crit":["b64"]}"#), .criticalHeader),
    (header(#"{"alg":"HS256","kid":1}"#), .keyIdentifierNotText),
    (
      header(#"{"alg":"RS256"}"#),
      .otherAlgorithm(.rs256, expected: [.hs256], isSignedByKey: false)
    ),
    (
      header(#"{"alg":"canary"}"#),
      .otherAlgorithm(nil, expected: [.hs256], isSignedByKey: false)
    ),
    (
      Forge.token("{}", header: #"{"alg":"HS512"}"#, algorithm: .hs512),
      .otherAlgorithm(.hs512, expected: [.hs256], isSignedByKey: true)
    ),
    (Forge.sign(valid.split(separator: ".")[0] + ".=="), .notBase64URL(.payload)),
    (Forge.token("[]"), .notObject(.payload)), (Forge.token("{}x"), .notObject(.payload)),
    (Forge.token(#"{"a":1,"a":2}"#), .repeatedMember(.payload)),
    (
      Forge.token(
        #"{"exp":\#(now + 60),"scope":"\#(String(repeating: "a ", count: 65))"}"#), .tooManyNames
    ),
  ]

  @Test("a token that is too long is refused with its length and the bound")
  func namedBound() {
    let reason = Self.reason(String(repeating: "a", count: 8_193))
    #expect(reason?.text == "the token has 8193 bytes, over 8192")
  }

  @Test("a fault of spelling or header is named", arguments: spellings)
  func spelling(token: String, reason: TokenReason) {
    #expect(Self.reason(token) == reason)
  }

  static let times: [(payload: String, reason: TokenReason?)] = [
    ("{}", .noExpiry), (#"{"exp":\#(now + 1)}"#, nil), (#"{"exp":\#(now - 29)}"#, nil),
    (#"{"exp":\#(now - 30)}"#, .expired(secondsAgo: 30)),
    (#"{"exp":0}"#, .expired(secondsAgo: now)),
    (#"{"exp":\#(now)000}"#, .inMilliseconds(.exp)), (#"{"exp":1e12}"#, .inMilliseconds(.exp)),
    (#"{"exp":\#(now)000000}"#, .outOfRange(.exp)), (#"{"exp":-1}"#, .outOfRange(.exp)),
    (#"{"exp":1e308}"#, .outOfRange(.exp)), (#"{"exp":1e999}"#, .outOfRange(.exp)),
    (#"{"exp":"\#(now + 60)"}"#, .notNumber(.exp)), (#"{"exp":null}"#, .notNumber(.exp)),
    (#"{"exp":\#(now + 60),"nbf":\#(now + 31)}"#, .notYetValid(.nbf, inSeconds: 31)),
    (#"{"exp":\#(now + 60),"iat":\#(now + 40)}"#, .notYetValid(.iat, inSeconds: 40)),
    (#"{"exp":\#(now + 60),"nbf":\#(now)000}"#, .inMilliseconds(.nbf)),
    (#"{"exp":\#(now + 60),"iat":\#(now)000}"#, .inMilliseconds(.iat)),
    (#"{"exp":\#(now + 60),"iat":[]}"#, .notNumber(.iat)),
  ]

  @Test("a fault of exp, nbf or iat is named", arguments: times)
  func time(payload: String, reason: TokenReason?) {
    #expect(Self.reason(Forge.token(payload)) == reason, "\(payload)")
  }

  @Test("a missing or different issuer, audience or key id is named")
  func names() {
    var policy = Forge.policy
    policy.issuer = "us"
    #expect(Self.reason(Self.valid, policy) == .noIssuer)
    #expect(Self.reason(Forge.token(members: #""iss":"them""#), policy) == .otherIssuer)
    policy.issuer = nil
    policy.audience = "bells"
    #expect(Self.reason(Self.valid, policy) == .noAudience)
    #expect(Self.reason(Forge.token(members: #""aud":["a"]"#), policy) == .otherAudience)
    var named = TokenPolicy(keys: [.hmac(secret: Forge.secret, identifier: "one")])
    named.keys.append(.hmac(secret: Forge.secret, identifier: "three"))
    #expect(Self.reason(Self.valid, named) == .noKeyIdentifier)
    let other = Self.header(#"{"alg":"HS256","kid":"two"}"#)
    #expect(Self.reason(other, named) == .unknownKeyIdentifier(isNeeded: true))
    let unnamed = TokenPolicy(keys: [.hmac(secret: Forge.secret), .hmac(secret: [1])])
    #expect(Self.reason(other, unnamed) == .unknownKeyIdentifier(isNeeded: false))
    var empty = TokenPolicy(keys: [])
    empty.hasKeySource = true
    #expect(Self.reason(other, empty) == .noKeysYet)
  }

  @Test("a secret that differs in white space, quotes or coding is recognised")
  func secretForms() {
    let secret = Forge.secret
    let coded = Array("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=".utf8)
    let table: [(configured: [UInt8], form: SecretForm)] = [
      (secret + [0x0A], .withoutNewline), (secret + [0x0D, 0x0A], .withoutNewline),
      ([0x20] + secret + [0x09], .withoutSpace), ([0x22] + secret + [0x22], .withoutQuotes),
      ([0x27] + secret + [0x27], .withoutQuotes), (coded, .decoded),
    ]
    for row in table {
      let policy = TokenPolicy(keys: [.hmac(secret: row.configured)])
      #expect(Self.reason(Self.valid, policy) == .otherFormOfSecret(row.form), "\(row)")
      #expect(policy.refusal(of: Self.valid) == .badSignature)
    }
    let withNewline = Forge.token("{}", secret: secret + [0x0A])
    #expect(Self.reason(withNewline) == .otherFormOfSecret(.withNewline))
    let other = Forge.token("{}", secret: Array("another".utf8))
    #expect(Self.reason(other) == .wrongSecret)
    for text in ["\n", " ", "\"\"", "=", "\"", "A"] {
      let policy = TokenPolicy(keys: [.hmac(secret: Array(text.utf8))])
      #expect(Self.reason(Self.valid, policy) == .wrongSecret, "\(text.debugDescription)")
    }
  }

  @Test("a valid token without a user says whether the claim is missing or unusable")
  func users() {
    let verifier = TokenVerifier(policy: Forge.policy)
    let none = Forge.token(#"{"exp":\#(Self.now + 60)}"#)
    #expect(verifier.reason(forNoUserIn: none) == .noUser)
    for claim in [#""sub":"""#, #""sub":null"#, #""id":1.5"#] {
      let token = Forge.token(#"{"exp":\#(Self.now + 60),\#(claim)}"#)
      #expect(verifier.reason(forNoUserIn: token) == .unusableUser)
    }
  }

  @Test("there is a reason exactly for the tokens that are refused, whatever their bytes")
  func consistency() {
    var generator = SeededGenerator(seed: 1)
    let verifier = TokenVerifier(policy: Forge.policy)
    let seeds = Self.spellings.map(\.token) + Self.times.map { Forge.token($0.payload) }
    for _ in 0..<5_000 {
      var bytes = Array(seeds.randomElement(using: &generator)!.utf8.prefix(400))
      for _ in 0..<Int.random(in: 0...2, using: &generator) where !bytes.isEmpty {
        let index = bytes.indices.randomElement(using: &generator)!
        bytes[index] = UInt8.random(in: .min ... .max, using: &generator)
      }
      let token = String(decoding: bytes, as: UTF8.self)
      let now = [Self.now, 0, .min, .max].randomElement(using: &generator)!
      let isAccepted = (try? verifier.verify(token, nowSeconds: now)) != nil
      let reason = verifier.reason(forRefusing: token, nowSeconds: now)
      #expect((reason == nil) == isAccepted, "\(token)")
    }
  }

  @Test("a reason fits a close frame and holds nothing of the token")
  func texts() {
    let canary = "canary"
    let tokens =
      Self.spellings.map(\.token) + Self.times.map { Forge.token($0.payload) } + [
        Self.header(#"{"alg":"canary"}"#), Self.header(#"{"alg":"HS256","kid":"canary"}"#),
        Forge.token(members: #""iss":"canary","aud":"canary","nbf":"canary""#), canary,
      ]
    var policy = Forge.policy
    policy.issuer = "us"
    var reasons = tokens.flatMap { [Self.reason($0), Self.reason($0, policy)] }.compactMap { $0 }
    reasons += SecretForm.allCases.map { .otherFormOfSecret($0) } + [.noUser, .unusableUser]
    reasons += [.expired(secondsAgo: .max), .notYetValid(.nbf, inSeconds: .max)]
    for reason in reasons {
      // "invalid or expired token: " stands before it, and a close frame holds 123 bytes.
      #expect(reason.text.utf8.count <= 97, "\(reason.text)")
      let all = reason.text + reason.code + (reason.remedy ?? "")
      #expect(all.utf8.allSatisfy { (0x20..<0x7F).contains($0) }, "\(all)")
      #expect(!all.contains(canary))
      #expect(!reason.code.contains(" "))
    }
  }
}
