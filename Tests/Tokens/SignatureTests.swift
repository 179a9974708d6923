// Signatures: the accepted keys and algorithms (cases 44 and 45).

import Testing
import Tokens
import Wire

@Suite("RFC 7515: signatures; RFC 8725, 3.1: algorithms")
struct SignatureTests {
  /// RFC 7515, appendix A.1.
  static let published = """
    eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0\
    dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk
    """
  static let publishedKey = """
    AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow
    """

  @Test("the token of RFC 7515, appendix A.1, is valid until its own `exp`")
  func publishedToken() throws {
    let decoded = Base64.decodeURL(Array(Self.publishedKey.utf8).span)
    let secret = try #require(decoded)
    var policy = TokenPolicy(keys: [.hmac(secret: secret)], issuer: "joe", leewaySeconds: 0)
    let claims = try policy.claims(of: Self.published, at: 1_300_819_379)
    #expect(claims.expiresAtSeconds == 1_300_819_380)
    #expect(claims.userID == nil)
    #expect(!claims.isPublisher)
    #expect(policy.refusal(of: Self.published, at: 1_300_819_380) == .expired)
    policy.keys = [.hmac(secret: secret.map { $0 ^ 1 })]
    #expect(policy.refusal(of: Self.published, at: 1_300_819_379) == .badSignature)
  }

  @Test(
    "each algorithm of a secret is accepted with its own key and with no other", arguments: allPairs
  )
  func matrix(ofToken: SigningAlgorithm, ofKey: SigningAlgorithm) {
    let header = #"{"alg":"\#(ofToken.rawValue)"}"#
    let token = Forge.token(#"{"exp":1800000000}"#, header: header, algorithm: ofToken)
    let policy = TokenPolicy(keys: [.hmac(secret: Forge.secret, algorithm: ofKey)])
    #expect(policy.refusal(of: token) == (ofToken == ofKey ? nil : .wrongAlgorithm))
  }

  static let allPairs = SigningAlgorithm.ofSecrets.flatMap { token in
    SigningAlgorithm.ofSecrets.map { (token, $0) }
  }

  @Test("a signature of another algorithm than the header's is refused, whole or cut to length")
  func mislabelled() throws {
    // HS512's signature labelled HS256, and the first 32 bytes of it.
    let token = Forge.token(#"{"exp":1800000000}"#, algorithm: .hs512)
    #expect(Forge.policy.refusal(of: token) == .badSignature)
    let dot = try #require(token.lastIndex(of: "."))
    let decoded = Base64.decodeURL(Array(token[dot...].dropFirst().utf8).span)
    let cut = token[...dot] + Base64.encodeURL(Array(try #require(decoded).prefix(32)))
    #expect(Forge.policy.refusal(of: String(cut)) == .badSignature)
  }

  /// Case 44: the header, and the error with which it must be refused.
  static let noAlgorithm: [(String, TokenError)] = [
    (#"{"alg":"none"}"#, .wrongAlgorithm),
    (#"{"alg":"None"}"#, .wrongAlgorithm),
    (#"{"alg":"NONE"}"#, .wrongAlgorithm),
    (#"{"alg":"nOnE"}"#, .wrongAlgorithm),
    (#"{"alg":""}"#, .wrongAlgorithm),
    (#"{"alg":null}"#, .wrongAlgorithm),
    (#"{}"#, .wrongAlgorithm),
    (#"{"alg":["HS256"]}"#, .wrongAlgorithm),
    (#"{"alg":{"alg":"HS256"}}"#, .wrongAlgorithm),
    (#"{"alg":256}"#, .wrongAlgorithm),
    (#"{"alg":true}"#, .wrongAlgorithm),
    (#"{"alg":"hs256"}"#, .wrongAlgorithm),
    (#"{"alg":"HS256 "}"#, .wrongAlgorithm),
    (#"{"alg":" HS256"}"#, .wrongAlgorithm),
    (#"{"alg":"HS256\u0000"}"#, .wrongAlgorithm),
    (#"{"alg":"HS256,none"}"#, .wrongAlgorithm),
    (#"{"alg":"HS384"}"#, .wrongAlgorithm),
    (#"{"alg":"RS256"}"#, .wrongAlgorithm),
    (#"{"alg":"ES256"}"#, .wrongAlgorithm),
    (#"{"alg":"EdDSA"}"#, .wrongAlgorithm),
    (#"{"ALG":"HS256"}"#, .wrongAlgorithm),
    (#"{"alg":"HS256","alg":"none"}"#, .malformed),
    (#"{"alg":"none","alg":"HS256"}"#, .malformed),
    (#"{"alg":"HS256","\u0061lg":"HS256"}"#, .malformed),
  ]

  @Test("a header whose algorithm is not exactly the key's is refused", arguments: noAlgorithm)
  func refusedAlgorithms(header: String, error: TokenError) {
    // With the right signature, with none, and with none and no dot before it.
    let token = Forge.token(#"{"exp":1800000000}"#, header: header)
    let end = token.lastIndex(of: ".") ?? token.endIndex
    #expect(Forge.policy.refusal(of: token) == error)
    #expect(Forge.policy.refusal(of: String(token[...end])) == error)
    #expect(Forge.policy.refusal(of: String(token[..<end])) == .malformed)
  }

  @Test("an algorithm spelt with JSON escapes is the same algorithm")
  func escapedAlgorithm() {
    let token = Forge.token(#"{"exp":1800000000}"#, header: #"{"alg":"\u0048S256"}"#)
    #expect(Forge.policy.refusal(of: token) == nil)
  }

  @Test("an empty, short or long signature is refused")
  func signatureLengths() throws {
    let token = Forge.token(#"{"exp":1800000000}"#)
    let dot = try #require(token.lastIndex(of: "."))
    let decoded = Base64.decodeURL(Array(token[dot...].dropFirst().utf8).span)
    let code = try #require(decoded)
    for count in [0, 1, 16, 31] {
      let short = token[...dot] + Base64.encodeURL(Array(code.prefix(count)))
      #expect(Forge.policy.refusal(of: String(short)) == .badSignature, "\(count) bytes")
    }
    for tail: [UInt8] in [[0], code, [UInt8](repeating: 0, count: 32)] {
      let long = token[...dot] + Base64.encodeURL(code + tail)
      #expect(Forge.policy.refusal(of: String(long)) == .badSignature)
    }
  }

  @Test("no part of the payload is read before the signature is verified")
  func signatureFirst() throws {
    let payloads = [
      #"{"exp":1}"#, "{}", "not JSON", #"{"exp":1,"exp":2}"#, #"{"exp":-1}"#,
      #"{"exp":1800000000,"aud":"elsewhere","nbf":1900000000}"#,
    ]
    var policy = Forge.policy
    policy.issuer = "nobody"
    for payload in payloads {
      let forged = Forge.token(payload, secret: Array("another secret".utf8))
      #expect(policy.refusal(of: forged) == .badSignature, "\(payload)")
      let refusal = try #require(policy.refusal(of: Forge.token(payload)))
      #expect(refusal != .badSignature, "\(payload)")
    }
    // Not even its base64url.
    let header = Base64.encodeURL(Array(Forge.header.utf8))
    let code = Base64.encodeURL([UInt8](repeating: 1, count: 32))
    #expect(policy.refusal(of: "\(header).!!!.\(code)") == .badSignature)
  }

  @Test(
    "any critical extension is refused",
    arguments: [
      #"["exp"]"#, #"["b64"]"#, #"[]"#, #"null"#, #""exp""#, #"{}"#,
    ])
  func critical(value: String) {
    let header = #"{"alg":"HS256","crit":\#(value),"b64":false}"#
    let token = Forge.token(#"{"exp":1800000000}"#, header: header)
    #expect(Forge.policy.refusal(of: token) == .unsupportedCritical)
  }

  @Test("several keys without identifier are tried in turn, as during a rotation")
  func rotation() {
    let old = Array("the secret of last year, 32 bytes".utf8)
    let policy = TokenPolicy(keys: [
      .hmac(secret: Forge.secret, algorithm: .hs512), .hmac(secret: Forge.secret),
      .hmac(secret: old),
    ])
    let payload = #"{"exp":1800000000}"#
    #expect(policy.refusal(of: Forge.token(payload)) == nil)
    #expect(policy.refusal(of: Forge.token(payload, secret: old)) == nil)
    #expect(policy.refusal(of: Forge.token(payload, secret: [1])) == .badSignature)
  }
}
