// Finds the exact reason why a token is refused.
//
// `verify` alone decides, and it stops at the first fault with a coarse error. The diagnosis runs
// after that decision and repeats the steps up to the fault, which costs more and takes a time that
// depends on the token. So the server runs it only in development and for the lines of a debug log,
// which are limited per second; `carillon token --check` runs it for its caller.
//
// Like `verify`, it reads no payload whose signature does not match.

internal import Wire

extension TokenVerifier {
  /// The reason why `verify` refuses the token; nil if it accepts it.
  package func reason(forRefusing token: String, nowSeconds: Int64) -> TokenReason? {
    do throws(TokenError) {
      _ = try verify(token, nowSeconds: nowSeconds)
      return nil
    } catch {
      return reason(for: error, of: token, nowSeconds: nowSeconds)
    }
  }

  /// The reason why a token that `verify` accepts names no user.
  package func reason(forNoUserIn token: String) -> TokenReason {
    guard let claims = claims(of: token) else { return .malformed }
    let names = policy.userClaim.map { [$0] } ?? TokenVerifier.userClaims
    return names.contains(where: claims.contains) ? .unusableUser : .noUser
  }

  private func reason(
    for error: TokenError, of token: String, nowSeconds: Int64
  ) -> TokenReason {
    switch error {
    case .malformed: return malformation(of: token)
    case .tooLarge:
      let count = token.utf8.count
      return count > TokenVerifier.tokenBytesLimit ? .tooLong(byteCount: count) : .tooManyNames
    case .wrongAlgorithm: return algorithmReason(of: token)
    case .unknownKey:
      guard !policy.keys.isEmpty else { return .noKeysYet }
      let isNeeded = policy.keys.contains { $0.identifier != nil }
      return header(of: token)?.contains("kid") == true
        ? .unknownKeyIdentifier(isNeeded: isNeeded) : .noKeyIdentifier
    case .unsupportedCritical: return .criticalHeader
    case .badSignature: return signatureReason(of: token)
    case .expired:
      let expiry = claims(of: token).flatMap { seconds(.exp, of: $0) } ?? nowSeconds
      return .expired(secondsAgo: nowSeconds.subtractingReportingOverflow(expiry).partialValue)
    case .notYetValid: return beginning(of: token, nowSeconds: nowSeconds)
    case .missingExpiry: return .noExpiry
    case .wrongIssuer: return claims(of: token)?.contains("iss") == true ? .otherIssuer : .noIssuer
    case .wrongAudience:
      return claims(of: token)?.contains("aud") == true ? .otherAudience : .noAudience
    }
  }

  // MARK: Parts

  private func parts(of token: String) -> CompactToken? {
    try? CompactToken(token, bytesLimit: TokenVerifier.tokenBytesLimit)
  }

  private func header(of token: String) -> MemberTable? {
    parts(of: token).flatMap { try? MemberTable($0.header()) }
  }

  /// The claims of a token whose signature was verified.
  private func claims(of token: String) -> MemberTable? {
    parts(of: token).flatMap { try? MemberTable($0.payload()) }
  }

  private func seconds(_ claim: TimeClaim, of claims: MemberTable) -> Int64? {
    guard case .number(let number)? = try? claims.value(of: claim.rawValue) else { return nil }
    return NumericDate.seconds(number)
  }

  // MARK: Reasons

  /// The step at which a malformed token fails, in the order of `verify`.
  private func malformation(of token: String) -> TokenReason {
    if token.lowercased().hasPrefix("bearer ") { return .hasScheme }
    guard !token.utf8.contains(where: { $0 <= 0x20 || $0 == 0x22 || $0 == 0x27 }) else {
      return .hasForeignCharacters
    }
    guard let parts = parts(of: token) else {
      return .partCount(token.utf8.count { $0 == UInt8(ascii: ".") } + 1)
    }
    guard let header = try? parts.header() else { return .notBase64URL(.header) }
    if let fault = fault(of: header, .header) { return fault }
    if let kid = try? MemberTable(header).value(of: "kid"), !kid.isText {
      return .keyIdentifierNotText
    }
    guard (try? parts.signature()) != nil else { return .notBase64URL(.signature) }
    guard let payload = try? parts.payload() else { return .notBase64URL(.payload) }
    if let fault = fault(of: payload, .payload) { return fault }
    return timeFault(of: payload) ?? .malformed
  }

  private func fault(of bytes: [UInt8], _ part: TokenPart) -> TokenReason? {
    guard (try? MemberTable(bytes)) == nil else { return nil }
    return MemberTable.isObject(bytes) ? .repeatedMember(part) : .notObject(part)
  }

  private func timeFault(of payload: [UInt8]) -> TokenReason? {
    guard let claims = try? MemberTable(payload) else { return nil }
    for claim in TimeClaim.allCases {
      switch try? claims.value(of: claim.rawValue) {
      case nil: continue
      case .number(let number)?:
        if NumericDate.seconds(number) != nil { continue }
        // guard: time-in-milliseconds-named
        return NumericDate.isMilliseconds(number) ? .inMilliseconds(claim) : .outOfRange(claim)
      case .string?, .array?, .other?: return .notNumber(claim)
      }
    }
    return nil
  }

  private func algorithmReason(of token: String) -> TokenReason {
    guard let header = header(of: token), case .string(let text)? = try? header.value(of: "alg")
    else { return .noAlgorithm }
    if text.lowercased() == "none" { return .unsigned }
    let algorithm = SigningAlgorithm.allCases.first { $0.rawValue.hasSameBytes(as: text) }
    var isSigned = false
    if let algorithm, let parts = parts(of: token), let signature = try? parts.signature() {
      isSigned = policy.keys.contains {
        $0.accepts(signature, over: parts.signedBytes, as: algorithm)
      }
    }
    var expected: [SigningAlgorithm] = []
    for key in policy.keys where !expected.contains(key.algorithm) {
      expected.append(key.algorithm)
    }
    return .otherAlgorithm(algorithm, expected: expected, isSignedByKey: isSigned)
  }

  private func signatureReason(of token: String) -> TokenReason {
    guard let parts = parts(of: token), let signature = try? parts.signature(),
      case .string(let text)? = header(of: token).flatMap({ try? $0.value(of: "alg") })
    else { return .malformed }
    let keys = policy.keys.filter { $0.algorithm.rawValue.hasSameBytes(as: text) }
    // guard: form-of-secret-named
    for key in keys {
      if let form = key.form(accepting: signature, over: parts.signedBytes) {
        return .otherFormOfSecret(form)
      }
    }
    if keys.contains(where: \.isSecret) { return .wrongSecret }
    return keys.contains { $0.isDER(signature) } ? .signatureIsDER : .wrongKey
  }

  private func beginning(of token: String, nowSeconds: Int64) -> TokenReason {
    let claims = claims(of: token)
    for claim in [TimeClaim.nbf, .iat] {
      if let start = claims.flatMap({ seconds(claim, of: $0) }),
        nowSeconds < start - policy.leewaySeconds
      {
        let difference = start.subtractingReportingOverflow(nowSeconds).partialValue
        return .notYetValid(claim, inSeconds: difference)
      }
    }
    return .malformed
  }
}

extension MemberValue {
  fileprivate var isText: Bool {
    if case .string = self { true } else { false }
  }
}
