// The server accepts the tokens that `carillon token` makes.

import Testing
import Tokens

@Suite("signing of tokens")
struct TokenSignerTests {
  @Test(
    "a signed token is accepted with all of its claims", arguments: SigningAlgorithm.ofSecrets)
  func roundTrip(algorithm: SigningAlgorithm) throws {
    let token = TokenSigner.sign(
      userID: "ü\"\\\n/user", scopes: ["publish", "read"], issuedAtSeconds: Forge.now,
      expiresAtSeconds: Forge.now + 3_600, secret: Forge.secret, algorithm: algorithm,
      keyIdentifier: "a \"key\"", issuer: "carillon", audience: "devices")
    let key = VerificationKey.hmac(
      secret: Forge.secret, algorithm: algorithm, identifier: "a \"key\"")
    let policy = TokenPolicy(keys: [key], issuer: "carillon", audience: "devices")
    let claims = try policy.claims(of: token)
    // The line feed makes the id unusable; the rest of the token is valid.
    #expect(claims.userID == nil)
    #expect(claims.scopes == ["publish", "read"])
    #expect(claims.isPublisher)
    #expect(claims.expiresAtSeconds == Forge.now + 3_600)
    #expect(policy.refusal(of: token, at: Forge.now - 31) == .notYetValid)
  }

  @Test("the simplest token has exactly these bytes")
  func exactBytes() {
    let token = TokenSigner.sign(
      userID: "alice", issuedAtSeconds: 1_700_000_000, expiresAtSeconds: 1_700_003_600,
      secret: Array("secret".utf8))
    #expect(
      token == """
        eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.\
        eyJzdWIiOiJhbGljZSIsImlhdCI6MTcwMDAwMDAwMCwiZXhwIjoxNzAwMDAzNjAwfQ.\
        V0o9HT2hqC4CWxm3BRfzAfpluYLIvP39xcri4TQhHBE
        """)
  }

  @Test("a user without scopes is not a publisher")
  func plainUser() throws {
    let token = TokenSigner.sign(
      userID: "alice", issuedAtSeconds: Forge.now, expiresAtSeconds: Forge.now + 60,
      secret: Forge.secret)
    let expected = Claims(
      userID: "alice", isPublisher: false, scopes: [], expiresAtSeconds: Forge.now + 60,
      bearer: .subject("alice"))
    #expect(try Forge.policy.claims(of: token) == expected)
  }
}
