// Tokens signed with private keys: which key verifies which token (cases 45 and 46).

import TestSigning
import TestSupport
import Testing
import Wire

@testable import Tokens

@Suite("RFC 8725, 3.1: one algorithm for each key")
struct PublicKeyTokenTests {
  static func policy(_ texts: String...) throws -> TokenPolicy {
    TokenPolicy(keys: try texts.flatMap { text throws in try KeyDocument.parse(text) })
  }

  @Test("a token is accepted with the public key of its signer", arguments: TestKey.all)
  func acceptance(key: TestKey) throws {
    let policy = try Self.policy(key.jwk())
    #expect(policy.keys.map(\.algorithm) == [key.algorithm])
    #expect(policy.refusal(of: key.token()) == nil)
    #expect(
      policy.refusal(of: key.token(header: #""kid":"any","jku":"https://a.example/""#)) == nil)
    #expect(policy.refusal(of: key.token(#"{"exp":1}"#)) == .expired)
    let other = key.token(#"{"sub":"other","exp":1800000000}"#).split(separator: ".")
    let mixed = key.token().split(separator: ".")
    #expect(policy.refusal(of: "\(mixed[0]).\(other[1]).\(mixed[2])") == .badSignature)
  }

  /// The texts of a public key that an attacker may use as the secret of an HMAC.
  static func publicTexts(of key: TestKey) -> [[UInt8]] {
    let texts = [
      key.pem, key.jwk(), "{\(key.jwkNumbers)}", "{\"keys\":[\(key.jwk())]}",
      Base64.encode(key.signer.publicKey), Base64.encodeURL(key.signer.publicKey),
      key.pem.split(separator: "\n").dropFirst().dropLast().joined(),
    ]
    let spellings = texts.flatMap { text -> [String] in
      let bare = text.hasSuffix("\n") ? String(text.dropLast()) : text
      return [bare, bare + "\n", bare + "\r\n", bare.replacing("\n", with: "\r\n"), " " + bare]
    }
    return spellings.map { Array($0.utf8) } + [
      key.signer.publicKey, key.signer.publicKey + [0x0A], [0],
    ]
  }

  @Test("an HMAC with a public key as its secret is refused", arguments: TestKey.all)
  func confusion(key: TestKey) throws {
    let policies = [
      try Self.policy(key.jwk()),
      // Beside a secret, an HMAC is compared with that secret only.
      TokenPolicy(keys: try KeyDocument.parse(key.jwk()) + [.hmac(secret: Forge.secret)]),
      TokenPolicy(
        keys: try KeyDocument.parse(key.jwk())
          + SigningAlgorithm.ofSecrets.map {
            .hmac(secret: Forge.secret, algorithm: $0)
          }),
    ]
    for secret in Self.publicTexts(of: key) {
      for algorithm in SigningAlgorithm.ofSecrets {
        for alg in [algorithm.rawValue, key.algorithm.rawValue] {
          let token = Forge.token(
            #"{"sub":"user","exp":1800000000}"#, header: #"{"alg":"\#(alg)"}"#, secret: secret,
            algorithm: algorithm)
          for policy in policies {
            let refusal = try #require(policy.refusal(of: token), "\(alg)")
            #expect(refusal == .wrongAlgorithm || refusal == .badSignature)
          }
        }
      }
    }
  }

  @Test("each algorithm is accepted by its own key only, of thirteen by thirteen")
  func matrix() throws {
    let keys =
      try TestKey.all.flatMap { try KeyDocument.parse($0.jwk()) }
      + SigningAlgorithm.ofSecrets.map { .hmac(secret: Forge.secret, algorithm: $0) }
    #expect(Set(keys.map(\.algorithm)) == Set(SigningAlgorithm.allCases))
    for token in SigningAlgorithm.allCases {
      let payload = #"{"sub":"user","exp":1800000000}"#
      // Signed by `token`, with every name of an algorithm.
      for name in SigningAlgorithm.allCases {
        let text =
          token.hash != nil
          ? Forge.token(payload, header: #"{"alg":"\#(name.rawValue)"}"#, algorithm: token)
          : TestKey.key(token).token(payload, alg: name.rawValue)
        for key in keys {
          let refusal = TokenPolicy(keys: [key]).refusal(of: text)
          switch (name == key.algorithm, token == name) {
          case (true, true): #expect(refusal == nil, "\(token) with \(key)")
          case (true, false): #expect(refusal == .badSignature, "\(token) as \(name), \(key)")
          case (false, _): #expect(refusal == .wrongAlgorithm, "\(token) as \(name), \(key)")
          }
        }
        let refusal = TokenPolicy(keys: keys).refusal(of: text)
        #expect(refusal == (token == name ? nil : .badSignature), "\(token) as \(name)")
      }
    }
  }

  @Test("a secret and public keys verify their own tokens side by side")
  func mixed() throws {
    var policy = try Self.policy(TestKey.key(.es256).pem, TestKey.key(.rs256).pem)
    policy.keys.append(.hmac(secret: Forge.secret))
    let payload = #"{"sub":"user","exp":1800000000}"#
    #expect(policy.refusal(of: Forge.token(payload)) == nil)
    #expect(policy.refusal(of: TestKey.key(.es256).token()) == nil)
    #expect(policy.refusal(of: TestKey.key(.rs256).token()) == nil)
    #expect(policy.refusal(of: TestKey.key(.eddsa).token()) == .wrongAlgorithm)
    #expect(policy.refusal(of: TestKey.key(.rs256).token(header: #""kid":"k""#)) == .unknownKey)
  }

  @Test("a key of a set is found by its `kid`, and only by that")
  func identifiers() throws {
    let (one, two) = (TestKey(.es256, .init(.p256)), TestKey(.es256, .init(.p256)))
    let set = #"{"keys":[\#(one.jwk(#""kid":"1""#)),\#(two.jwk(#""kid":"2""#))]}"#
    let policy = try Self.policy(set)
    #expect(policy.refusal(of: one.token(header: #""kid":"1""#)) == nil)
    #expect(policy.refusal(of: two.token(header: #""kid":"2""#)) == nil)
    #expect(policy.refusal(of: one.token(header: #""kid":"2""#)) == .badSignature)
    #expect(policy.refusal(of: one.token(header: #""kid":"3""#)) == .unknownKey)
    #expect(policy.refusal(of: one.token()) == .unknownKey)
    // Two keys may have the same identifier during a rotation.
    let alike = try Self.policy(
      #"{"keys":[\#(one.jwk(#""kid":"1""#)),\#(two.jwk(#""kid":"1""#))]}"#)
    #expect(alike.refusal(of: one.token(header: #""kid":"1""#)) == nil)
    #expect(alike.refusal(of: two.token(header: #""kid":"1""#)) == nil)
  }

  @Test("an empty, cut, extended or foreign signature is refused", arguments: TestKey.all)
  func signatures(key: TestKey) throws {
    let policy = try Self.policy(key.jwk())
    let parts = key.token().split(separator: ".")
    let decoded = Base64.decodeURL(Array(parts[2].utf8).span)
    let signature = try #require(decoded)
    let others: [[UInt8]] = [
      [], [0], signature + [0], Array(signature.dropLast()), Array(signature.reversed()),
      [0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01], [UInt8](repeating: 0, count: 64),
      signature + signature,
    ]
    for other in others {
      let token = "\(parts[0]).\(parts[1]).\(Base64.encodeURL(other))"
      #expect(policy.refusal(of: token) == .badSignature)
    }
  }

  @Test("no way of printing a public key shows its numbers")
  func printing() throws {
    let key = try KeyDocument.parse(TestKey.key(.es256).jwk(#""kid":"2026""#))[0]
    var printed = "\(key) \(String(reflecting: key))"
    dump(TokenPolicy(keys: [key]), to: &printed)
    #expect(printed.contains("ES256 key 2026"))
    #expect(!printed.contains("PublicKey"))
    #expect(!key.isShort)
  }

  @Test("the reason of a refusal names the remedy for public keys")
  func reasons() throws {
    func reason(_ token: String, _ policy: TokenPolicy) -> TokenReason? {
      TokenVerifier(policy: policy).reason(forRefusing: token, nowSeconds: Forge.now)
    }
    let rsa = try Self.policy(TestKey.key(.rs256).pem)
    #expect(
      reason(TestKey.key(.ps256).token(), rsa)
        == .otherAlgorithm(.ps256, expected: [.rs256], isSignedByKey: true))
    #expect(
      reason(TestKey.key(.ps256).token(), rsa)?.remedy?.contains("PS256: before the key") == true)
    #expect(
      reason(Forge.token("{}"), rsa)
        == .otherAlgorithm(.hs256, expected: [.rs256], isSignedByKey: false))
    #expect(reason(TestKey(.rs256, .init(.rsa(bits: 2_048))).token(), rsa) == .wrongKey)
    let elliptic = TestKey.key(.es256)
    let both = try Self.policy(elliptic.pem, TestKey.key(.rs256).pem)
    #expect(
      reason(TestKey.key(.eddsa).token(), both)
        == .otherAlgorithm(.eddsa, expected: [.es256, .rs256], isSignedByKey: false))
    let parts = elliptic.token().split(separator: ".")
    let der = elliptic.signer.signDER(Array("\(parts[0]).\(parts[1])".utf8), hash: "SHA2-256")
    #expect(reason("\(parts[0]).\(parts[1]).\(Base64.encodeURL(der))", both) == .signatureIsDER)
    let many = TokenReason.otherAlgorithm(
      nil, expected: SigningAlgorithm.allCases, isSignedByKey: false)
    for reason in [many, .wrongKey, .signatureIsDER, .noKeysYet, .noKeyIdentifier] {
      #expect(reason.text.utf8.count <= 97, "\(reason.text)")
      #expect(reason.remedy != nil)
    }
  }
}
