// Tokens made to order, good and bad, and what a verifier says to them.

import Cryptography
import Tokens
import Wire

/// A maker of tokens with one secret, which `policy` has as its only key.
enum Forge {
  static let secret = Array("0123456789abcdef0123456789abcdef".utf8)
  static let header = #"{"alg":"HS256","typ":"JWT"}"#
  static let policy = TokenPolicy(keys: [.hmac(secret: secret)])
  /// The instant at which tokens are verified unless a test says otherwise.
  static let now: Int64 = 1_700_000_000

  /// A token with this payload, well signed.
  static func token(
    _ payload: String, header: String = header, secret: [UInt8] = secret,
    algorithm: SigningAlgorithm = .hs256
  ) -> String {
    TokenSigner.sign(
      header: Array(header.utf8), payload: Array(payload.utf8), secret: secret,
      algorithm: algorithm)
  }

  /// A token whose payload is `user` for an hour, and these members besides.
  static func token(members: String, header: String = header) -> String {
    token(#"{"sub":"user","exp":\#(now + 3_600),\#(members)}"#, header: header)
  }

  /// `signed`, whatever it is, with the signature that belongs to it.
  static func sign(_ signed: String) -> String {
    let code = HMAC.authenticate(Array(signed.utf8), key: secret, using: .sha256)
    return signed + "." + Base64.encodeURL(code)
  }
}

extension TokenPolicy {
  /// Why this policy refuses the token, or nil if it does not.
  func refusal(of token: String, at nowSeconds: Int64 = Forge.now) -> TokenError? {
    do throws(TokenError) {
      _ = try TokenVerifier(policy: self).verify(token, nowSeconds: nowSeconds)
      return nil
    } catch {
      return error
    }
  }

  /// What this policy reads from a token that it must accept.
  func claims(of token: String, at nowSeconds: Int64 = Forge.now) throws -> Claims {
    try TokenVerifier(policy: self).verify(token, nowSeconds: nowSeconds)
  }
}
