// Makes tokens for the tests, valid and invalid, and returns a verifier's result for them.

import Cryptography
import Tokens
import Wire

/// Makes tokens with one secret, the only key of `policy`.
enum Forge {
  static let secret = Array("0123456789abcdef0123456789abcdef".utf8)
  static let header = #"{"alg":"HS256","typ":"JWT"}"#
  static let policy = TokenPolicy(keys: [.hmac(secret: secret)])
  /// The time at which tokens are verified unless a test sets another.
  static let now: Int64 = 1_700_000_000

  /// A token with this payload and a valid signature.
  static func token(
    _ payload: String, header: String = header, secret: [UInt8] = secret,
    algorithm: SigningAlgorithm = .hs256
  ) -> String {
    TokenSigner.sign(
      header: Array(header.utf8), payload: Array(payload.utf8), secret: secret,
      algorithm: algorithm)
  }

  /// A token for `user`, valid for an hour, with these additional members.
  static func token(members: String, header: String = header) -> String {
    token(#"{"sub":"user","exp":\#(now + 3_600),\#(members)}"#, header: header)
  }

  /// `signed`, whatever its content, with its valid signature.
  static func sign(_ signed: String) -> String {
    let code = HMAC.authenticate(Array(signed.utf8), key: secret, using: .sha256)
    return signed + "." + Base64.encodeURL(code)
  }
}

extension TokenPolicy {
  /// The reason why this policy refuses the token, or nil if it accepts it.
  func refusal(of token: String, at nowSeconds: Int64 = Forge.now) -> TokenError? {
    do throws(TokenError) {
      _ = try TokenVerifier(policy: self).verify(token, nowSeconds: nowSeconds)
      return nil
    } catch {
      return error
    }
  }

  /// The claims that this policy reads from a token, which it must accept.
  func claims(of token: String, at nowSeconds: Int64 = Forge.now) throws -> Claims {
    try TokenVerifier(policy: self).verify(token, nowSeconds: nowSeconds)
  }
}
