// Keys: refused secrets, and secrecy in their printed forms.

import Testing

@testable import Tokens

@Suite("verification keys")
struct VerificationKeyTests {
  static let secret = Array("a-canary-secret-of-thirty-two-by".utf8)

  @Test("no way of printing a key, a policy or a verifier shows the secret (case 51)")
  func redaction() {
    let key = VerificationKey.hmac(secret: Self.secret, identifier: "2026-01")
    let policy = TokenPolicy(keys: [key])
    var printed = "\(key) \(policy) \(String(reflecting: key)) \(String(reflecting: policy))"
    dump(key, to: &printed)
    dump(policy, to: &printed)
    #expect(printed.contains("HS256 key 2026-01"))
    // As text, and as decimal bytes, the printed form of an array.
    #expect(!printed.contains("canary"))
    #expect(!printed.contains("97, 45, 99"))
    #expect(!printed.contains("- 97\n"))
  }

  @Test(
    "a secret shorter than the digest is short",
    arguments: [
      (SigningAlgorithm.hs256, 31, true), (.hs256, 32, false), (.hs384, 47, true),
      (.hs384, 48, false), (.hs512, 63, true), (.hs512, 64, false), (.hs256, 1, true),
    ])
  func shortness(algorithm: SigningAlgorithm, byteCount: Int, isShort: Bool) {
    let secret = [UInt8](repeating: 7, count: byteCount)
    #expect(VerificationKey.hmac(secret: secret, algorithm: algorithm).isShort == isShort)
  }

  @Test("the empty secret is a programming error")
  func emptySecret() async {
    await #expect(processExitsWith: .failure) { _ = VerificationKey.hmac(secret: []) }
  }
}
