"""Guards of tokens, secrets and origins: cases 44 to 53."""

from edits import before, never, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        44,
        "the algorithm is the key's",
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
        "no algorithm is no algorithm",
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
        "spare bits are zero",
        "base64-spare-bits",
        remove(),
        (unit("SpellingTests/lastCharacter"), wire("test_tokens.py", "spare_bits or no_mutant")),
    ),
    Guard(
        47,
        "a character over is no padding",
        "base64-single-character",
        remove(),
        (unit("Base64Tests"),),
    ),
    Guard(
        47,
        "foreign characters are not skipped",
        "base64-foreign-characters",
        rewrite("guard @1 != @2 else { @3 }", "if @1 == @2 { continue }"),
        (
            unit("SpellingTests/mutants"),
            wire("test_tokens.py", "other_spellings"),
        ),
    ),
    Guard(
        47,
        "a claim is given once",
        "claim-given-once",
        rewrite("guard !@1 else { @2 }", "_ = @1"),
        (unit("SpellingTests"), wire("test_tokens.py", "plain_json")),
    ),
    Guard(
        49,
        "exp + leeway is the first second that is too late",
        "token-exp-second",
        replace("<", "<="),
        (unit("TimeTests/expiry"), wire("test_tokens.py", "held_to_the_second")),
    ),
    Guard(
        49,
        "nbf - leeway is the first second that counts",
        "token-nbf-second",
        replace("- @1 {", "- @1 - 1 {"),
        (unit("TimeTests/beginning"), wire("test_tokens.py", "held_to_the_second")),
    ),
    Guard(
        49,
        "iat - leeway is the first second that counts",
        "token-iat-second",
        replace("- @1 {", "- @1 - 1 {"),
        (unit("TimeTests/beginning"), wire("test_tokens.py", "held_to_the_second")),
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
        "the log is not told a URL, at any level",
        "log-without-url",
        before(r'core.log.write(.debug, at: wall, "upgrade of \(head.path)?\(head.query ?? "")")'),
        (wire("test_secrets.py", "no_token and debug"),),
    ),
    Guard(
        51,
        "the log is not told what was malformed",
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
        "an answer does not repeat its request",
        "response-without-request-path",
        replace('"there is nothing at this path"', r'"there is nothing at \(head.path)"'),
        (wire("test_secrets.py", "no_token and info"),),
    ),
    Guard(
        53,
        "a foreign page is refused",
        "foreign-origin",
        replace("(@1, host:", "(Array(@1.prefix(0)), host:"),
        (wire("test_origins.py", "from_elsewhere"), wire("test_origins.py", "cookie")),
    ),
    Guard(
        53,
        "an origin is the whole of one in the list: not its beginning",
        "origin-is-not-a-prefix",
        replace(".contains(@1)", ".contains(where: { @1.hasPrefix($0) })"),
        (unit("OriginPolicyTests"), wire("test_origins.py", "from_elsewhere")),
    ),
    Guard(
        53,
        "an origin is the whole of one in the list: not its end",
        "origin-is-not-a-suffix",
        replace(
            ".contains(@1)",
            '.contains(where: { $0.hasSuffix(@1.split(separator: "/").last ?? "-") })',
        ),
        (unit("OriginPolicyTests"), wire("test_origins.py", "from_elsewhere")),
    ),
    Guard(
        53,
        "there is one origin",
        "single-origin",
        remove(),
        (unit("OriginPolicyTests"), wire("test_origins.py", "from_elsewhere")),
    ),
]
