"""Guards of credentials and origins beside those of others, and of answers that help."""

from edits import always, drop_condition, instead, never, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    # Credentials that are meant for another server.
    Guard(
        None,
        "a credential of another scheme does not hide a token in another place",
        "foreign-scheme-skipped",
        drop_condition(2),
        (wire("test_credentials.py", "foreign_scheme"),),
    ),
    Guard(
        None,
        "the scheme Bearer may have any case",
        "bearer-in-any-case",
        replace(".lowercased()", ""),
        (wire("test_credentials.py", "foreign_scheme or the_header_wins"),),
    ),
    Guard(
        None,
        "bearer may stand anywhere among the subprotocols",
        "bearer-anywhere",
        instead('protocols.dropLast().first?.lowercased() == "bearer" ? 0 : nil'),
        (unit("WebSocketHandshakeTests/bearer"),),
    ),
    # Refused tokens.
    Guard(
        None,
        "the debug log has the reason of a refused token",
        "refused-token-logged",
        remove(),
        (unit("ConnectionLogTests/credentials"), wire("test_refusals.py", "debug_log_names")),
    ),
    Guard(
        49,
        "a time in milliseconds is named as the reason",
        "time-in-milliseconds-named",
        rewrite("return @1 ? @2 : @3", "return @3"),
        (unit("DiagnosisTests/time"),),
    ),
    Guard(
        None,
        "a secret with something around it is recognised",
        "form-of-secret-named",
        replace("policy.keys", "policy.keys.prefix(0)"),
        (
            unit("DiagnosisTests/secretForms"),
            wire("test_refusals.py", "secret_with_something_around_it"),
        ),
    ),
    Guard(
        None,
        "a caller learns its id as the server reads it",
        "caller-names-its-user",
        replace("caller.user", "caller.scope"),
        (unit("CurrentCallerTests/.*a token's caller is its user"),),
    ),
    # Pages of other origins.
    Guard(
        53,
        "an origin that no page has is refused at the start",
        "origin-of-no-page",
        rewrite(
            "guard let fault = @1 else { continue }",
            "guard let fault = @1, fault.isEmpty else { continue }",
        ),
        (wire("test_origins.py", "origin_of_no_page"),),
    ),
    Guard(
        53,
        "a page can read an error that comes before routing",
        "early-error-is-readable",
        replace("?? OriginPolicy.fieldsWithoutHead", "?? []"),
        (unit("CrossOriginTests/early"),),
    ),
    Guard(
        53,
        "a page can read the rejection of its connection",
        "rejection-is-readable",
        remove(),
        (unit("CrossOriginTests/.*too many connections"),),
    ),
    Guard(
        53,
        "the answer to a preflight varies by the fields that it reflects",
        "preflight-varies-by-fields",
        replace('"Origin, Access-Control-Request-Headers"', '"Origin"'),
        (unit("CrossOriginTests/preflight"),),
    ),
    Guard(
        53,
        "the refusal of a page names its origin and the option that lists it",
        "refused-origin-named",
        instead('return "origin\\(name) is not allowed"'),
        (wire("test_origins.py", "learns_its_origin"),),
    ),
    # Proxies.
    Guard(
        None,
        "an untrusted forwarding header is logged",
        "untrusted-header-logged",
        remove(),
        (wire("test_proxies.py", "logged_once"),),
    ),
    Guard(
        None,
        "an untrusted forwarding header is logged once",
        "untrusted-header-logged-once",
        always(),
        (wire("test_proxies.py", "logged_once"),),
    ),
    Guard(
        None,
        "OPTIONS of a path is answered, as the check of HAProxy asks",
        "options-of-path",
        replace("options(head, allowing: allow)", "Answer?.none"),
        (unit("HealthCheckTests/.*default check of HAProxy"),),
    ),
    Guard(
        None,
        "OPTIONS of the server is answered",
        "options-of-server",
        instead('answerEarly(.failure(404, "not_found", "nothing"), head, slot)'),
        (unit("HealthCheckTests/.*OPTIONS of the server"),),
    ),
    Guard(
        None,
        "a query that an endpoint does not read is not parsed",
        "unread-query-ignored",
        replace("route.endpoint.readsQuery", "true"),
        (unit("HealthCheckTests/probes"),),
    ),
    Guard(
        27,
        "the refusal of a raw UTF-8 target says to percent-encode it",
        "raw-utf8-explained",
        never(),
        (unit("HTTPHeadViolationTests/encodingOfTargets"),),
    ),
    Guard(
        None,
        "a page works below a prefix of a proxy",
        "pages-below-a-prefix",
        replace('"client/\\(hash)/"', '"/client/\\(hash)/"'),
        (unit("ClientFilesTests/.*pages use their build"),),
    ),
    Guard(
        None,
        "a redirect to a file works below a prefix of a proxy",
        "redirect-below-a-prefix",
        replace('"../", count: depth', '"/client/", count: min(depth, 1)'),
        (unit("ClientFilesTests/moved"),),
    ),
    # Ids and names that look the same.
    Guard(
        66,
        "keys are compared by bytes",
        "text-key-bytes",
        instead("left.text == right.text"),
        (unit("UserIDTests/keys"), unit("SameUserTests/separate")),
    ),
    Guard(
        66,
        "spellings of one text have different hashes",
        "text-key-hashes-bytes",
        instead("text.hash(into: &hasher)"),
        (unit("UserIDTests/hashes"),),
    ),
    Guard(
        66,
        "the names of a query are compared by bytes",
        "query-name-bytes",
        replace("pair.name.hasSameBytes(as: name)", "pair.name == name"),
        (unit("SameUserTests/query"),),
    ),
    # Bodies.
    Guard(
        None,
        "an unknown field is refused",
        "unknown-field-refused",
        replace("else { return @1 }", "else { return }", block=True),
        (unit("DocumentParserTests/invalid"), wire("test_http.py", "unknown_field")),
    ),
    Guard(
        None,
        "an unknown field is refused with the nearest known one",
        "nearest-field-named",
        rewrite("let near = @1", "let near: String? = nil"),
        (unit("DocumentParserTests/invalid"),),
    ),
    Guard(
        None,
        "a text over its limit is refused with the bound",
        "limit-names-its-bound",
        replace('"over \\(byteCountLimit) bytes"', '"too long"', block=True),
        (unit("DocumentParserTests/invalid"), wire("test_http.py", "a_limit_is_named")),
    ),
    Guard(
        None,
        "an error of JSON has its line",
        "json-error-has-line",
        rewrite("let line = @1", "let line = 1"),
        (unit("DocumentParserTests/malformed"),),
    ),
    Guard(
        None,
        "no cache may store an answer that depends on its caller",
        "no-store-by-default",
        replace('"no-store"', '"public, max-age=60"'),
        (
            unit("CurrentCallerTests/caching"),
            unit("CurrentCallerTests/.*answer of any route"),
            unit("CurrentCallerTests/.*Engine.IO's polling"),
        ),
    ),
]
