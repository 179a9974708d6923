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
    header.appendText("{\"alg\":")
    header.appendJSONString(algorithm.rawValue)
    header.appendText(",\"typ\":\"JWT\"")
    if let keyIdentifier { header.appendMember("kid", keyIdentifier) }
    header.appendText("}")

    var payload: [UInt8] = []
    payload.appendText("{")
    payload.appendJSONString(userClaim)
    payload.appendText(":")
    payload.appendJSONString(userID)
    payload.appendText(",\"iat\":")
    payload.appendDecimal(issuedAtSeconds)
    payload.appendText(",\"exp\":")
    payload.appendDecimal(expiresAtSeconds)
    if !scopes.isEmpty { payload.appendMember("scope", scopes.joined(separator: " ")) }
    if !rooms.isEmpty { payload.appendMember("rooms", rooms) }
    if let issuer { payload.appendMember("iss", issuer) }
    if let audience { payload.appendMember("aud", audience) }
    payload.appendText("}")
    return sign(header: header, payload: payload, secret: secret, algorithm: algorithm)
  }

  /// The compact form of any header and payload, whether they are valid or not.
  package static func sign(
    header: [UInt8], payload: [UInt8], secret: [UInt8], algorithm: SigningAlgorithm = .hs256
  ) -> String {
    let signed = Base64.encodeURL(header) + "." + Base64.encodeURL(payload)
    let code = HMAC.authenticate(Array(signed.utf8), key: secret, using: algorithm.hash)
    return signed + "." + Base64.encodeURL(code)
  }
}

extension [UInt8] {
  /// Appends a comma and a member with a string as its value.
  fileprivate mutating func appendMember(_ name: String, _ value: String) {
    appendText(",")
    appendJSONString(name)
    appendText(":")
    appendJSONString(value)
  }

  /// Appends a comma and a member with an array of strings as its value.
  fileprivate mutating func appendMember(_ name: String, _ values: [String]) {
    appendText(",")
    appendJSONString(name)
    for (index, value) in values.enumerated() {
      appendText(index == 0 ? ":[" : ",")
      appendJSONString(value)
    }
    appendText("]")
  }
}
