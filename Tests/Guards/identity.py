"""Guards of tokens, secrets and origins: cases 44 to 53."""

from guard import Guard, unit, wire

BASE64 = "Sources/Wire/Text/Base64.swift"
VERIFIER = "Sources/Tokens/TokenVerifier.swift"
MEMBERS = "Sources/Tokens/MemberTable.swift"
HTTP_IN = "Sources/Server/Core/HTTPInput.swift"
UPGRADE = "Sources/Server/Core/Upgrade.swift"
ORIGINS = "Sources/Server/Core/OriginPolicy.swift"
UTF8 = "Sources/CReactor/utf8.c"

GUARDS = [
    Guard(
        44,
        "the algorithm is the key's",
        VERIFIER,
        "named.filter { $0.algorithm.rawValue.hasSameBytes(as: algorithm) }",
        "named.filter { _ in algorithm.utf8.count < 100 }",
        (unit("SignatureTests"), wire("test_tokens.py", "no_other_algorithm")),
    ),
    Guard(
        44,
        "a token without a signature is refused",
        VERIFIER,
        "guard keys.contains(where:",
        "guard signature.isEmpty || keys.contains(where:",
        (unit("SignatureTests/signatureLengths"),),
    ),
    Guard(
        44,
        "no algorithm is no algorithm",
        VERIFIER,
        "guard !candidates.isEmpty else { throw .wrongAlgorithm }\n    return candidates",
        'return algorithm.lowercased() == "none" ? named : candidates',
        (unit("SignatureTests/refusedAlgorithms"), wire("test_tokens.py", "no_other_algorithm")),
    ),
    Guard(
        47,
        "spare bits are zero",
        BASE64,
        "    guard pending == 0 else { return nil }\n",
        "",
        (unit("SpellingTests/lastCharacter"), wire("test_tokens.py", "spare_bits or no_mutant")),
    ),
    Guard(
        47,
        "a character over is no padding",
        BASE64,
        "    guard text.count % 4 != 1 else { return nil }\n",
        "",
        (unit("Base64Tests"),),
    ),
    Guard(
        47,
        "foreign characters are not skipped",
        BASE64,
        "guard value != foreign else { return nil }",
        "if value == foreign { continue }",
        (
            unit("SpellingTests/mutants"),
            wire("test_tokens.py", "other_spellings"),
        ),
    ),
    Guard(
        47,
        "a claim is given once",
        MEMBERS,
        "    guard !hasDuplicate else { throw .malformed }\n",
        "    _ = hasDuplicate\n",
        (unit("SpellingTests"), wire("test_tokens.py", "plain_json")),
    ),
    Guard(
        49,
        "exp + leeway is the first second that is too late",
        VERIFIER,
        "guard nowSeconds < expiry + policy.leewaySeconds else",
        "guard nowSeconds <= expiry + policy.leewaySeconds else",
        (unit("TimeTests/expiry"), wire("test_tokens.py", "held_to_the_second")),
    ),
    Guard(
        49,
        "nbf - leeway is the first second that counts",
        VERIFIER,
        "if let notBefore, nowSeconds < notBefore - policy.leewaySeconds {",
        "if let notBefore, nowSeconds < notBefore - policy.leewaySeconds - 1 {",
        (unit("TimeTests/beginning"), wire("test_tokens.py", "held_to_the_second")),
    ),
    Guard(
        49,
        "iat - leeway is the first second that counts",
        VERIFIER,
        "if let issuedAt, nowSeconds < issuedAt - policy.leewaySeconds {",
        "if let issuedAt, nowSeconds < issuedAt - policy.leewaySeconds - 1 {",
        (unit("TimeTests/beginning"), wire("test_tokens.py", "held_to_the_second")),
    ),
    Guard(
        49,
        "a token without exp is refused",
        VERIFIER,
        "} else if policy.requiresExpiry {",
        "} else if policy.requiresExpiry, nowSeconds < 0 {",
        (unit("TimeTests/missingExpiry"), wire("test_tokens.py", "without_an_expiry")),
    ),
    Guard(
        51,
        "the log is not told a URL, at any level",
        UPGRADE,
        "    guard drain == nil else {\n",
        '    core.log.write(.debug, at: wall, "upgrade of \\(head.path)?\\(head.query ?? "")")\n'
        "    guard drain == nil else {\n",
        (wire("test_secrets.py", "no_token and debug"),),
    ),
    Guard(
        51,
        "the log is not told what was malformed",
        HTTP_IN,
        "    exchange(at: place).isLast = true\n"
        "    respond(.failure(status, code, message), at: place)\n  }\n\n  /// The time",
        "    core.log.write(\n"
        "      .error, at: wall,\n"
        "      String(decoding: scratch.array(from: 0, to: 400), as: UTF8.self))\n"
        "    exchange(at: place).isLast = true\n"
        "    respond(.failure(status, code, message), at: place)\n  }\n\n  /// The time",
        (wire("test_secrets.py", "no_token and error"),),
    ),
    Guard(
        51,
        "an answer does not repeat its request",
        HTTP_IN,
        '"there is nothing at this path"',
        '"there is nothing at \\(head.path)"',
        (wire("test_secrets.py", "no_token and info"),),
    ),
    Guard(
        53,
        "a foreign page is refused",
        UPGRADE,
        'guard core.origins.allows(origins, host: head.value(of: "host")) else',
        'guard core.origins.allows(Array(origins.prefix(0)), host: head.value(of: "host")) else',
        (wire("test_origins.py", "from_elsewhere"), wire("test_origins.py", "cookie")),
    ),
    Guard(
        53,
        "an origin is the whole of one in the list: not its beginning",
        ORIGINS,
        "allowed.contains(origin) { return true }",
        "allowed.contains(where: { origin.hasPrefix($0) }) { return true }",
        (unit("OriginPolicyTests"), wire("test_origins.py", "from_elsewhere")),
    ),
    Guard(
        53,
        "an origin is the whole of one in the list: not its end",
        ORIGINS,
        "allowed.contains(origin) { return true }",
        'allowed.contains(where: { $0.hasSuffix(origin.split(separator: "/").last ?? "-") })'
        " { return true }",
        (unit("OriginPolicyTests"), wire("test_origins.py", "from_elsewhere")),
    ),
    Guard(
        53,
        "there is one origin",
        ORIGINS,
        "    guard origins.count == 1 else { return false }\n",
        "",
        (unit("OriginPolicyTests"), wire("test_origins.py", "from_elsewhere")),
    ),
]
