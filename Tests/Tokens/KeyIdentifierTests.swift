// `kid` and the header's other pointers to keys (case 48).

import Testing
import Tokens

@Suite("RFC 7515, 4.1.2 to 4.1.5: which key")
struct KeyIdentifierTests {
  static let first = Array("the first key, of thirty-two byte".utf8)
  static let second = Array("the second key, of thirty-two byt".utf8)
  static let policy = TokenPolicy(keys: [
    .hmac(secret: first, identifier: "K1"), .hmac(secret: second, identifier: "k2"),
  ])
  static let payload = #"{"sub":"user","exp":1800000000}"#

  static func token(kid: String, secret: [UInt8]) -> String {
    Forge.token(payload, header: #"{"alg":"HS256","kid":\#(kid)}"#, secret: secret)
  }

  @Test("a token is checked against the key that it names and no other")
  func lookup() {
    #expect(Self.policy.refusal(of: Self.token(kid: #""K1""#, secret: Self.first)) == nil)
    #expect(Self.policy.refusal(of: Self.token(kid: #""k2""#, secret: Self.second)) == nil)
    #expect(
      Self.policy.refusal(of: Self.token(kid: #""K1""#, secret: Self.second)) == .badSignature)
    #expect(
      Self.policy.refusal(of: Self.token(kid: #""k2""#, secret: Self.first)) == .badSignature)
  }

  @Test(
    "a `kid` that names no key is refused, even with a valid signature",
    arguments: [
      #""""#, #""k1""#, #""K1 ""#, #""K1\u0000""#, #""\u0000""#, #""../../dev/null""#,
      #""/etc/passwd""#, #""' OR '1'='1""#, #""K1'; DROP TABLE keys;--""#,
      #""https://attacker.example/jwks.json""#, #""file:///dev/null""#, #""K1|k2""#, #""*""#,
      // The Kelvin sign, which Swift's `==` treats as equal to the letter.
      #""\u212a1""#,
    ])
  func unknown(kid: String) {
    #expect(Self.policy.refusal(of: Self.token(kid: kid, secret: Self.first)) == .unknownKey)
    #expect(Self.policy.refusal(of: Self.token(kid: kid, secret: [])) == .unknownKey)
    // Nor does it match one of two secrets that have no identifier, or the only one so far.
    var policy = TokenPolicy(keys: [.hmac(secret: Forge.secret), .hmac(secret: Self.first)])
    #expect(policy.refusal(of: Self.token(kid: kid, secret: Forge.secret)) == .unknownKey)
    policy.keys.removeLast()
    policy.hasKeySource = true
    #expect(policy.refusal(of: Self.token(kid: kid, secret: Forge.secret)) == .unknownKey)
    // Some issuers stamp an identifier on the tokens of the only secret that there is.
    policy.hasKeySource = false
    #expect(policy.refusal(of: Self.token(kid: kid, secret: Forge.secret)) == nil)
    #expect(policy.refusal(of: Self.token(kid: kid, secret: Self.first)) == .badSignature)
  }

  @Test("a token that names no key is checked against the only key, also if that has a name")
  func onlyKey() {
    var policy = TokenPolicy(keys: [.hmac(secret: Self.first, identifier: "K1")])
    #expect(policy.refusal(of: Forge.token(Self.payload, secret: Self.first)) == nil)
    #expect(policy.refusal(of: Forge.token(Self.payload, secret: Self.second)) == .badSignature)
    #expect(policy.refusal(of: Self.token(kid: #""k2""#, secret: Self.first)) == .unknownKey)
    policy.keys.append(.hmac(secret: Self.second, identifier: "k2"))
    #expect(policy.refusal(of: Forge.token(Self.payload, secret: Self.first)) == .unknownKey)
  }

  @Test("a non-string `kid` is refused", arguments: ["1", "null", "true", "[\"K1\"]", "{}"])
  func mistyped(kid: String) {
    #expect(Self.policy.refusal(of: Self.token(kid: kid, secret: Self.first)) == .malformed)
    #expect(Forge.policy.refusal(of: Self.token(kid: kid, secret: Forge.secret)) == .malformed)
  }

  @Test("a `kid` of 5 KiB names no key, and one of 64 KiB is too large to be read")
  func long() {
    let long = "\"" + String(repeating: "K", count: 5_120) + "\""
    #expect(Self.policy.refusal(of: Self.token(kid: long, secret: Self.first)) == .unknownKey)
    let longer = "\"" + String(repeating: "K", count: 65_536) + "\""
    #expect(Self.policy.refusal(of: Self.token(kid: longer, secret: Self.first)) == .tooLarge)
  }

  @Test("a token that names no key is checked against the keys without identifier only")
  func unnamed() {
    let token = Forge.token(Self.payload, secret: Self.first)
    #expect(Self.policy.refusal(of: token) == .unknownKey)
    var mixed = Self.policy
    mixed.keys.append(.hmac(secret: Forge.secret))
    #expect(mixed.refusal(of: token) == .badSignature)
    #expect(mixed.refusal(of: Forge.token(Self.payload)) == nil)
  }

  @Test("two keys may share an identifier, and the algorithm must still be the key's")
  func sharedIdentifier() {
    let policy = TokenPolicy(keys: [
      .hmac(secret: Self.first, identifier: "K1"), .hmac(secret: Self.second, identifier: "K1"),
    ])
    #expect(policy.refusal(of: Self.token(kid: #""K1""#, secret: Self.first)) == nil)
    #expect(policy.refusal(of: Self.token(kid: #""K1""#, secret: Self.second)) == nil)
    let token = Forge.token(
      Self.payload, header: #"{"alg":"HS384","kid":"K1"}"#, secret: Self.first, algorithm: .hs384)
    #expect(policy.refusal(of: token) == .wrongAlgorithm)
  }

  @Test(
    "a key that the token contains or points to is never used",
    arguments: [
      #""jwk":{"kty":"oct","k":"YXR0YWNrZXI"}"#, #""jku":"https://attacker.example/keys""#,
      #""x5u":"https://attacker.example/cert""#, #""x5c":["YXR0YWNrZXI"]"#,
      #""jku":"http://127.0.0.1:9/""#, #""x5t":"YXR0YWNrZXI""#,
    ])
  func carriedKeys(member: String) {
    let header = #"{"alg":"HS256",\#(member)}"#
    let forged = Forge.token(Self.payload, header: header, secret: Array("attacker".utf8))
    #expect(Forge.policy.refusal(of: forged) == .badSignature)
    // Ignored, as RFC 7515, section 4, requires for parameters that are not understood.
    #expect(Forge.policy.refusal(of: Forge.token(Self.payload, header: header)) == nil)
  }
}
