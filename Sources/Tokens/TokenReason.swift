// Why exactly a token was refused: `TokenError` is for the client, `TokenReason` for its operator.
//
// A reason carries no text of the token and nothing of a key: only names from this file, counts and
// seconds. So it may be logged and shown.

internal import Wire

/// The exact reason why a token was refused.
package enum TokenReason: Equatable, Sendable {
  /// The text begins with the scheme of the header field.
  case hasScheme
  /// The text contains white space or quotes.
  case hasForeignCharacters
  case partCount(Int)
  case notBase64URL(TokenPart)
  case notObject(TokenPart)
  /// A member occurs twice.
  case repeatedMember(TokenPart)
  case malformed
  case tooLong(byteCount: Int)
  /// More scopes, audiences or rooms than allowed.
  case tooManyNames
  case noAlgorithm
  case unsigned
  /// `alg` is not the key's, or none of the keys'; nil: it is a name of no known algorithm.
  case otherAlgorithm(SigningAlgorithm?, expected: [SigningAlgorithm], isSignedByKey: Bool)
  case criticalHeader
  case keyIdentifierNotText
  /// `kid` names no key; `isNeeded` is whether keys have identifiers at all.
  case unknownKeyIdentifier(isNeeded: Bool)
  case noKeyIdentifier
  /// The source of the keys has not sent any.
  case noKeysYet
  case wrongSecret
  /// No public key with the token's algorithm and key id made the signature.
  case wrongKey
  /// An ECDSA signature in the form that OpenSSL writes.
  case signatureIsDER
  /// The signature matches a changed form of the configured secret.
  case otherFormOfSecret(SecretForm)
  case notNumber(TimeClaim)
  case inMilliseconds(TimeClaim)
  case outOfRange(TimeClaim)
  case noExpiry
  case expired(secondsAgo: Int64)
  case notYetValid(TimeClaim, inSeconds: Int64)
  case noIssuer, otherIssuer
  case noAudience, otherAudience
  /// The token is valid and no claim names its user.
  case noUser
  /// The token is valid and its claim of the user holds no usable id.
  case unusableUser
}

/// A part of a token in its compact form.
package enum TokenPart: String, Sendable {
  case header, payload, signature
}

/// A claim that holds a time.
package enum TimeClaim: String, Sendable, CaseIterable {
  case exp, nbf, iat
}

/// A form of the configured secret that an issuer may use by mistake.
package enum SecretForm: Sendable, CaseIterable {
  case withoutNewline, withNewline, withoutSpace, withoutQuotes, decoded

  /// `secret` in this form; nil where it has no such form.
  func applied(to secret: [UInt8]) -> [UInt8]? {
    let quotes: [UInt8] = [0x22, 0x27]
    switch self {
    case .withoutNewline:
      let kept = secret.prefix(secret.count - secret.reversed().prefix(while: isNewline).count)
      return kept.count == secret.count ? nil : Array(kept)
    case .withNewline:
      return secret + [0x0A]
    case .withoutSpace:
      let kept = secret.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
      return kept.count == secret.count ? nil : Array(kept)
    case .withoutQuotes:
      guard secret.count > 2, let first = secret.first, quotes.contains(first),
        secret.last == first
      else { return nil }
      return Array(secret[1..<(secret.count - 1)])
    case .decoded:
      return Base64.decode(secret.span) ?? Base64.decodeURL(secret.span)
    }
  }

  private func isNewline(_ byte: UInt8) -> Bool { byte == 0x0A || byte == 0x0D }

  private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || isNewline(byte) }
}

extension TokenReason {
  /// The reason as a name for programs.
  package var code: String {
    switch self {
    case .hasScheme: "has_scheme"
    case .hasForeignCharacters: "has_foreign_characters"
    case .partCount: "part_count"
    case .notBase64URL(let part): "\(part.rawValue)_not_base64url"
    case .notObject(let part): "\(part.rawValue)_not_an_object"
    case .repeatedMember(let part): "\(part.rawValue)_repeats_a_member"
    case .malformed: "malformed"
    case .tooLong: "too_long"
    case .tooManyNames: "too_many_names"
    case .noAlgorithm: "alg_missing"
    case .unsigned: "alg_none"
    case .otherAlgorithm: "alg_not_the_keys"
    case .criticalHeader: "crit_present"
    case .keyIdentifierNotText: "kid_not_text"
    case .unknownKeyIdentifier: "kid_unknown"
    case .noKeyIdentifier: "kid_missing"
    case .noKeysYet: "no_keys_yet"
    case .wrongSecret: "wrong_secret"
    case .wrongKey: "wrong_key"
    case .signatureIsDER: "signature_is_der"
    case .otherFormOfSecret: "other_form_of_secret"
    case .notNumber(let claim): "\(claim.rawValue)_not_a_number"
    case .inMilliseconds(let claim): "\(claim.rawValue)_in_milliseconds"
    case .outOfRange(let claim): "\(claim.rawValue)_out_of_range"
    case .noExpiry: "exp_missing"
    case .expired: "expired"
    case .notYetValid(let claim, _): "\(claim.rawValue)_in_the_future"
    case .noIssuer: "iss_missing"
    case .otherIssuer: "iss_not_the_configured"
    case .noAudience: "aud_missing"
    case .otherAudience: "aud_not_the_configured"
    case .noUser: "user_missing"
    case .unusableUser: "user_unusable"
    }
  }

  /// The reason in words: one clause of ASCII, short enough for a close frame.
  package var text: String {
    switch self {
    case .hasScheme: "the token begins with the word Bearer"
    case .hasForeignCharacters: "the token contains white space or quotes"
    case .partCount(let count): "the token has \(count) parts between its dots, not 3"
    case .notBase64URL(let part): "the \(part.rawValue) is not base64url without padding"
    case .notObject(let part): "the \(part.rawValue) is not a JSON object"
    case .repeatedMember(let part): "the \(part.rawValue) has a member twice"
    case .malformed: "the token is malformed"
    case .tooLong(let count): "the token has \(count) bytes, over \(TokenVerifier.tokenBytesLimit)"
    case .tooManyNames: "the token names too many scopes, audiences or rooms"
    case .noAlgorithm: "the header has no alg"
    case .unsigned: "alg is none: the token is not signed"
    case .otherAlgorithm(let name, let expected, _):
      "alg is \(name?.rawValue ?? "unknown"), and the server's "
        + (expected.count == 1 ? "key is" : "keys are") + " for \(Self.list(expected))"
    case .criticalHeader: "the header has crit, which demands an unknown extension"
    case .keyIdentifierNotText: "kid is not a string"
    case .unknownKeyIdentifier: "kid names no configured key"
    case .noKeyIdentifier: "the header has no kid, and every configured key has one"
    case .noKeysYet: "the server has not received any keys from JWT_JWKS_URL"
    case .wrongSecret: "the signature was made with another secret"
    case .wrongKey: "the signature was made with another key"
    case .signatureIsDER: "the signature is in DER; a token needs r and s, one after the other"
    case .otherFormOfSecret(let form): form.text
    case .notNumber(let claim): "\(claim.rawValue) is not a number"
    case .inMilliseconds(let claim): "\(claim.rawValue) is in milliseconds, not in seconds"
    case .outOfRange(let claim): "\(claim.rawValue) is not between the years 1970 and 9999"
    case .noExpiry: "there is no exp"
    case .expired(let seconds): "exp was \(seconds) s ago"
    case .notYetValid(let claim, let seconds):
      "\(claim.rawValue) is \(seconds) s in the future"
    case .noIssuer: "there is no iss"
    case .otherIssuer: "iss is not the configured issuer"
    case .noAudience: "there is no aud"
    case .otherAudience: "aud does not name the configured audience"
    case .noUser: "no claim names the user"
    case .unusableUser: "the claim of the user holds no usable id"
    }
  }

  /// The remedy, where one is known.
  package var remedy: String? {
    switch self {
    case .hasScheme: "leave the word out where only the token is expected"
    case .hasForeignCharacters: "copy the token without line breaks and quotes"
    case .tooLong, .tooManyNames: "leave out claims that the server does not need"
    case .noAlgorithm, .unsigned: "sign the token"
    case .otherAlgorithm(let name, let expected, let isSigned):
      if isSigned, let name {
        (name.hash != nil
          ? "set JWT_ALGORITHM to \(name.rawValue)"
          : "write \(name.rawValue): before the key in JWT_PUBLIC_KEY, or as alg in its JWK")
          + ": the signature matches; or sign with \(Self.list(expected))"
      } else {
        "sign with \(Self.list(expected))"
      }
    case .unknownKeyIdentifier(let isNeeded):
      isNeeded
        ? "name a key of JWT_PUBLIC_KEY or JWT_JWKS_URL; a new key is there after its next fetch"
        : "leave kid out: no key of the server has an identifier"
    case .noKeyIdentifier: "add the kid of the key that signs"
    case .noKeysYet: "compare JWT_JWKS_URL and the server's log"
    case .wrongSecret: "sign with the server's JWT_SECRET"
    case .wrongKey: "sign with the private key of the public key that the server has"
    case .signatureIsDER: "let the issuer use a library for JWT, or the format IEEE P1363"
    case .otherFormOfSecret(let form): form.remedy
    case .notNumber: "write it as a number of seconds since 1970, without quotes"
    case .inMilliseconds: "divide it by 1000; in JavaScript: Math.floor(Date.now() / 1000)"
    case .outOfRange: "write it as a number of seconds since 1970"
    case .noExpiry: "add an exp, or set JWT_REQUIRE_EXP=0"
    case .expired: "get a new token; if this one is new, compare the clocks"
    case .notYetValid: "compare the clocks of the issuer and the server"
    case .noIssuer, .otherIssuer: "make iss and JWT_ISSUER equal, byte for byte"
    case .noAudience, .otherAudience: "name JWT_AUDIENCE in aud, byte for byte"
    case .noUser: "add the claim sub, or set JWT_USER_CLAIM"
    case .unusableUser:
      "an id is text of 1 to \(UserIDs.byteCountLimit) bytes without control characters, or an"
        + " integer"
    case .partCount, .notBase64URL, .notObject, .repeatedMember, .malformed, .criticalHeader,
      .keyIdentifierNotText:
      nil
    }
  }

  /// At most three names, as "A, B and C", or the first two and a count.
  private static func list(_ algorithms: [SigningAlgorithm]) -> String {
    let names = algorithms.map(\.rawValue)
    guard names.count <= 3 else { return "\(names[0]), \(names[1]) and \(names.count - 2) more" }
    return names.count < 2
      ? names.joined()
      : names.dropLast().joined(separator: ", ") + " and " + names[names.count - 1]
  }

  /// The reason and its remedy.
  package var advice: String { remedy.map { "\(text); \($0)" } ?? text }
}

extension SecretForm {
  fileprivate var text: String {
    switch self {
    case .withoutNewline: "the secret ends with a newline: the signature matches without it"
    case .withNewline: "the issuer's secret ends with a newline: JWT_SECRET has none"
    case .withoutSpace: "the secret has white space around it: the signature matches without it"
    case .withoutQuotes: "the secret is in quotes: the signature matches without them"
    case .decoded: "the issuer decodes the secret from base64 before it signs"
    }
  }

  fileprivate var remedy: String {
    switch self {
    case .withoutNewline: "set JWT_SECRET without the newline: printf '%s' writes none"
    case .withNewline: "remove the newline from the issuer's secret"
    case .withoutSpace: "set JWT_SECRET without the white space"
    case .withoutQuotes: "set JWT_SECRET without the quotes: an env file needs none"
    case .decoded: "let the issuer sign with the text of the secret"
    }
  }
}
