// Signs tokens for `carillon token`, the development server and the tests.
//
// Carillon issues tokens only for trying it out with a shared secret; in production the
// application's own login issues them. So this file is limited to HMAC and the claims that
// `TokenVerifier` reads.

internal import Cryptography
internal import Wire

/// Signs tokens with a shared secret.
package enum TokenSigner {
  /// A token for `userID` in compact form, with the id in the claim `userClaim`.
  ///
  /// `userClaim` is the claim with the user's id. A scope must not contain a space or a comma,
  /// which would split it in two. The claims are not checked: the verifier refuses a token with an
  /// unusable user id.
  package static func sign(
    userID: String,
    userClaim: String = "sub",
    scopes: [String] = [],
    rooms: [String] = [],
    issuedAtSeconds: Int64,
    expiresAtSeconds: Int64,
    secret: [UInt8],
    algorithm: SigningAlgorithm = .hs256,
    keyIdentifier: String? = nil,
    issuer: String? = nil,
    audience: String? = nil
  ) -> String {
    var header: [UInt8] = []
    header.openObject()
    header.member("alg", algorithm.rawValue)
    header.member("typ", "JWT")
    if let keyIdentifier { header.member("kid", keyIdentifier) }
    header.closeObject()

    var payload: [UInt8] = []
    payload.openObject()
    payload.memberName(escaping: userClaim)
    payload.appendJSONString(userID)
    payload.member("iat", Int(issuedAtSeconds))
    payload.member("exp", Int(expiresAtSeconds))
    if !scopes.isEmpty { payload.member("scope", scopes.joined(separator: " ")) }
    if !rooms.isEmpty { payload.member("rooms", texts: rooms) }
    if let issuer { payload.member("iss", issuer) }
    if let audience { payload.member("aud", audience) }
    payload.closeObject()
    return sign(header: header, payload: payload, secret: secret, algorithm: algorithm)
  }

  /// The compact form of any header and payload, whether they are valid or not.
  ///
  /// An algorithm of public keys is a programming error.
  package static func sign(
    header: [UInt8], payload: [UInt8], secret: [UInt8], algorithm: SigningAlgorithm = .hs256
  ) -> String {
    let signed = Base64.encodeURL(header) + "." + Base64.encodeURL(payload)
    guard let hash = algorithm.hash else {
      preconditionFailure("\(algorithm.rawValue) has no secret")
    }
    let code = HMAC.authenticate(Array(signed.utf8), key: secret, using: hash)
    return signed + "." + Base64.encodeURL(code)
  }
}
