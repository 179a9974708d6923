"""Guards of tokens, secrets and origins: cases 44 to 53."""

from edits import always, before, never, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        44,
        "a token's algorithm must be that of the key",
        "algorithm-of-the-key",
        replace("{ @1(as: @2) }", "{ _ in @2.utf8.count < 100 }"),
        (unit("SignatureTests"), wire("test_tokens.py", "no_other_algorithm")),
    ),
    Guard(
        44,
        "a token without a signature is refused",
        "empty-signature",
        replace("guard", "guard signature.isEmpty ||"),
        (unit("SignatureTests/signatureLengths"),),
    ),
    Guard(
        44,
        'the algorithm "none" is refused',
        "algorithm-none",
        rewrite(
            "guard !@1.isEmpty else { @2 }\nreturn @1",
            'return algorithm.lowercased() == "none" ? named : @1',
            statements=2,
        ),
        (unit("SignatureTests/refusedAlgorithms"), wire("test_tokens.py", "no_other_algorithm")),
    ),
    Guard(
        47,
        "spare bits in Base64 must be zero",
        "base64-spare-bits",
        remove(),
        (unit("SpellingTests/lastCharacter"), wire("test_tokens.py", "spare_bits or no_mutant")),
    ),
    Guard(
        47,
        "a single remaining Base64 character is refused",
        "base64-single-character",
        remove(),
        (unit("Base64Tests"),),
    ),
    Guard(
        47,
        "characters outside of the Base64 alphabet are not skipped",
        "base64-foreign-characters",
        rewrite("guard @1 != @2 else { @3 }", "if @1 == @2 { continue }"),
        (
            unit("SpellingTests/mutants"),
            wire("test_tokens.py", "other_spellings"),
        ),
    ),
    Guard(
        47,
        "a repeated claim is refused",
        "claim-given-once",
        rewrite("guard !@1 else { @2 }", "_ = @1"),
        (unit("SpellingTests"), wire("test_tokens.py", "plain_json")),
    ),
    Guard(
        49,
        "exp + leeway is the first second at which a token is refused",
        "token-exp-second",
        replace("<", "<="),
        (unit("TimeTests/expiry"), wire("test_tokens.py", "exact_to_the_second")),
    ),
    Guard(
        49,
        "nbf - leeway is the first second at which a token is accepted",
        "token-nbf-second",
        replace("- @1 {", "- @1 - 1 {"),
        (unit("TimeTests/beginning"), wire("test_tokens.py", "exact_to_the_second")),
    ),
    Guard(
        49,
        "iat - leeway is the first second at which a token is accepted",
        "token-iat-second",
        replace("- @1 {", "- @1 - 1 {"),
        (unit("TimeTests/beginning"), wire("test_tokens.py", "exact_to_the_second")),
    ),
    Guard(
        49,
        "a token without exp is refused",
        "token-exp-required",
        never(),
        (unit("TimeTests/missingExpiry"), wire("test_tokens.py", "without_an_expiry")),
    ),
    Guard(
        51,
        "no log level writes a URL",
        "log-without-url",
        before(r'core.log.write(.debug, at: wall, "upgrade of \(head.path)?\(head.query ?? "")")'),
        (wire("test_secrets.py", "no_token and debug"),),
    ),
    Guard(
        51,
        "the log does not contain malformed input",
        "log-without-malformed-input",
        before(
            "core.log.write(\n"
            "  .error, at: wall,\n"
            "  String(decoding: scratch.array(from: 0, to: 400), as: UTF8.self))"
        ),
        (wire("test_secrets.py", "no_token and error"),),
    ),
    Guard(
        51,
        "a response does not repeat the request's path",
        "response-without-request-path",
        replace('"there is nothing at this path"', r'"there is nothing at \(head.path)"'),
        (wire("test_secrets.py", "no_token and info"),),
    ),
    Guard(
        51,
        "the answer to an upgrade does not repeat the token among the subprotocols",
        "token-not-answered",
        replace("$0 != @1 && $0 != @1 + 1", "$0 != @1"),
        (
            unit("WebSocketHandshakeTests/bearer"),
            wire("test_credentials.py", "never_the_token"),
        ),
    ),
    Guard(
        51,
        "the exact reason of a refusal is answered only in development",
        "refusal-explained-in-development",
        remove(),
        (unit("ConnectionLogTests/explanations"), wire("test_refusals.py", "stays_coarse")),
    ),
    Guard(
        50,
        "a fresh token names the user of the session, byte for byte",
        "fresh-token-same-user",
        replace("user.hasSameBytes(as: table[slot].user)", "true"),
        (unit("SameUserTests/webSocket"),),
    ),
    Guard(
        50,
        "a fresh token of Socket.IO names the user of the namespace, byte for byte",
        "fresh-namespace-token-same-user",
        always(2),
        (unit("SameUserTests/socketIO"),),
    ),
    Guard(
        53,
        "a page of a foreign origin is refused",
        "foreign-origin",
        replace("(@1, host:", "(Array(@1.prefix(0)), host:"),
        (wire("test_origins.py", "foreign_page"), wire("test_origins.py", "cookie")),
    ),
    Guard(
        53,
        "an origin must match a listed one entirely, not only its beginning",
        "origin-is-not-a-prefix",
        replace(".contains(@1)", ".contains(where: { @1.hasPrefix($0) })"),
        (unit("OriginPolicyTests"), wire("test_origins.py", "foreign_page")),
    ),
    Guard(
        53,
        "an origin must match a listed one entirely, not only its end",
        "origin-is-not-a-suffix",
        replace(
            ".contains(@1)",
            '.contains(where: { $0.hasSuffix(@1.split(separator: "/").last ?? "-") })',
        ),
        (unit("OriginPolicyTests"), wire("test_origins.py", "foreign_page")),
    ),
    Guard(
        53,
        "a request with several origins is refused",
        "single-origin",
        remove(),
        (unit("OriginPolicyTests"), wire("test_origins.py", "foreign_page")),
    ),
]
