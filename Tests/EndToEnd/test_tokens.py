"""Tokens that are almost valid."""

import json
import time

import pytest

from harness.clients import EventClient
from harness.tokens import SECRET, assemble, sign, user_token

INBOX = "/api/v1/notifications"
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def status_of(server, token, over=None):
    return server.request("GET", INBOX, token, over=over).status


def claims(**more):
    return json.dumps({"sub": "u", "exp": int(time.time()) + 600, **more}).encode()


# Case 44: the algorithm is the key's, never the token's.


UNSIGNED = [
    '"none"',
    '"None"',
    '"nOnE"',
    '"NONE"',
    '""',
    "null",
    '["HS256"]',
    '["none"]',
    "0",
    "true",
    '{"a":1}',
    '"HS256 "',
    '"hs256"',
    '"HS1"',
    '"HS384"',
    '"HS512"',
    '"RS256"',
    '"ES256"',
    '"EdDSA"',
    '"none","alg":"HS256"',
    '"HS256","alg":"none"',
]


@pytest.mark.parametrize("algorithm", UNSIGNED)
def test_no_other_algorithm_is_accepted_signed_or_not(server, algorithm):
    header = f'{{"alg":{algorithm},"typ":"JWT"}}'.encode()
    signed = assemble(header, claims())
    start = signed.rpartition(".")[0]
    for token in (signed, f"{start}.", start, f"{start}.AAAA"):
        assert status_of(server, token) == 401, token
        with EventClient(server, token=token, greeted=False) as tab:
            assert tab.close_code() == 4002


def test_a_header_without_an_algorithm_is_refused(server):
    for header in (b"{}", b'{"typ":"JWT"}', b"[]", b"null", b""):
        assert status_of(server, assemble(header, claims())) == 401


def test_the_right_hash_of_the_right_secret_is_needed(server):
    for algorithm in ("HS384", "HS512"):
        assert status_of(server, sign(json.loads(claims()), algorithm=algorithm)) == 401
    for secret in (SECRET + " ", SECRET[:-1], SECRET.upper(), "", "x"):
        assert status_of(server, sign(json.loads(claims()), secret=secret)) == 401
    assert status_of(server, sign(json.loads(claims()))) == 200


def test_an_unknown_critical_header_is_refused(server):
    for critical in (["exp"], ["b64"], [], "exp", None):
        header = json.dumps({"alg": "HS256", "crit": critical, "b64": True}).encode()
        assert status_of(server, assemble(header, claims())) == 401, critical


@pytest.mark.parametrize(
    "kid", ["../../dev/null", "' OR 1=1", "http://127.0.0.1:1/k", "x" * 4_000, "\0"]
)
def test_a_key_id_is_ignored_beside_the_only_key(server, kid):
    # Case 48: the only key has no id, and the id changes nothing about the signature.
    header = json.dumps({"alg": "HS256", "kid": kid}).encode()
    assert status_of(server, assemble(header, claims())) == 200
    assert status_of(server, assemble(header, claims(), secret="x" * 40)) == 401


# Case 47: each valid token has one spelling.


def test_no_mutant_of_a_token_is_accepted(server, chance):
    token, over = user_token("spelled"), server.connection()
    assert status_of(server, token, over) == 200
    for _ in range(10_000):
        at = chance.randrange(len(token))
        if token[at] == ".":
            continue
        other = chance.choice(ALPHABET.replace(token[at], ""))
        mutant = chance.choice(
            [
                token[:at] + other + token[at + 1 :],
                token[:at] + token[at + 1 :],
                token[:at] + other + token[at:],
            ]
        )
        assert status_of(server, mutant, over) == 401, mutant
    over.close()


def test_the_last_characters_spare_bits_are_zero(server):
    token = user_token("spare")
    last = ALPHABET.index(token[-1])
    assert last % 4 == 0, "32 bytes fill 43 characters and leave two bits"
    for spare in (1, 2, 3):
        assert status_of(server, token[:-1] + ALPHABET[last + spare]) == 401


def test_other_spellings_of_a_valid_token_are_refused(server):
    token = user_token("spelling")
    header, payload, mac = token.split(".")
    other_alphabet = mac.replace("-", "+").replace("_", "/")
    spellings = [
        token + "=",
        f"{header}=.{payload}.{mac}",
        token + ".",
        "." + token,
        f"{header}.{payload}",
        f"{token}.{mac}",
        f"{header}..{payload}.{mac}",
        f"{header}.{payload}.{mac}%20",
        f"{header}. {payload}.{mac}",
        f"{header} .{payload}.{mac}",
        f"{header}.{payload}.{mac}AA",
    ]
    if other_alphabet != mac:
        spellings.append(f"{header}.{payload}.{other_alphabet}")
    for spelling in spellings:
        assert status_of(server, spelling) == 401, spelling


@pytest.mark.parametrize(
    "payload",
    [
        b'{"sub":"a","sub":"b","exp":%d}',
        b'{"exp":1,"sub":"a","exp":%d}',
        b'\xef\xbb\xbf{"sub":"a","exp":%d}',
        b'{"sub":"\xff","exp":%d}',
        b'{"sub":"\xed\xa0\x80","exp":%d}',
        b'{"sub":"\\ud800","exp":%d}',
        b'{"sub":"a","exp":%d}x',
        b'{"sub":"a","exp":%d,}',
        b"{'sub':'a','exp':%d}",
        b'[{"sub":"a","exp":%d}]',
        b'{"sub":"a","exp":%d,"x":' + b"[" * 40 + b"]" * 40 + b"}",
    ],
)
def test_claims_that_are_not_plain_json_are_refused(server, payload):
    token = assemble(b'{"alg":"HS256"}', payload % (int(time.time()) + 600))
    assert status_of(server, token) == 401


def test_an_invalid_user_id_is_no_user(server):
    for wrong in ("", "a\0b", "a\nb", "x" * 129, None, True, 1.5, [], {}):
        token = sign({"sub": wrong, "exp": int(time.time()) + 60})
        assert status_of(server, token) == 403, wrong
        with EventClient(server, token=token, greeted=False) as tab:
            assert tab.close_code() == 4003, wrong


# Case 49: times.


@pytest.mark.parametrize(
    "exp, nbf, accepted",
    [
        (+600, None, True),
        (-25, None, True),
        (-33, None, False),
        (-3_600, None, False),
        (+600, -600, True),
        (+600, +25, True),
        (+600, +60, False),
        (+600, 2**62, False),
    ],
)
def test_the_leeway_is_thirty_seconds_either_way(server, exp, nbf, accepted):
    now = int(time.time())
    times = {"exp": now + exp}
    if nbf is not None:
        times["nbf"] = now + nbf
    assert (status_of(server, sign({"sub": "u", **times})) == 200) == accepted


def test_each_time_is_exact_to_the_second(server):
    seen, over, names = set(), server.connection(), ("exp", "nbf", "iat")
    # For each time, answers of its first second and of the second before it are to be checked. A
    # busy machine may let such a second pass without an answer; then another time takes its turn.
    deadline = time.monotonic() + 30
    while not {(name, off) for name in names for off in (-1, 0)} <= seen:
        assert time.monotonic() < deadline, seen
        seen |= answered_around_a_turn(server, over)
    over.close()


def answered_around_a_turn(server, over):
    """Checks answers up to a time and after it; returns the pairs of claim and second checked.

    Server and test share this machine's clock. An answer counts only if the clock shows the same
    second before and after it; if the second changes meanwhile, both answers are right.
    """
    turn = int(time.time()) + 2
    tokens = {
        "exp": (sign({"sub": "u", "exp": turn - 30}), lambda second: second < turn),
        "nbf": (sign({"sub": "u", "exp": turn + 60, "nbf": turn + 30}), lambda now: now >= turn),
        "iat": (sign({"sub": "u", "exp": turn + 60, "iat": turn + 30}), lambda now: now >= turn),
    }
    seen = set()
    while time.time() < turn + 1:
        for name, (token, is_valid) in tokens.items():
            before = int(time.time())
            status = status_of(server, token, over)
            if before == int(time.time()):
                assert (status == 200) == is_valid(before), (name, before - turn, status)
                seen.add((name, before - turn))
    return seen


@pytest.mark.parametrize("exp", [None, "", "4102444800", True, [4102444800], {"a": 1}, -1, 0, "x"])
def test_an_invalid_expiry_is_refused(server, exp):
    assert status_of(server, sign({"sub": "u", "exp": exp})) == 401


def test_a_token_without_an_expiry_is_refused_unless_allowed(server, make_server):
    forever = sign({"sub": "u"})
    assert status_of(server, forever) == 401
    lenient = make_server(environment={"JWT_REQUIRE_EXP": "off"})
    assert status_of(lenient, forever) == 200
    assert status_of(lenient, sign({"sub": "u", "exp": 1})) == 401


def test_issuer_and_audience_are_checked_when_configured(make_server):
    server = make_server(environment={"JWT_ISSUER": "us", "JWT_AUDIENCE": "bells"})

    def status(**more):
        return status_of(server, assemble(b'{"alg":"HS256"}', claims(**more)))

    assert status(iss="us", aud="bells") == 200
    assert status(iss="us", aud=["other", "bells"]) == 200
    for wrong in (
        {"iss": "us"},
        {"aud": "bells"},
        {"iss": "us2", "aud": "bells"},
        {"iss": "us", "aud": "bell"},
        {"iss": ["us"], "aud": "bells"},
        {"iss": "us", "aud": []},
    ):
        assert status(**wrong) == 401, wrong


def test_an_overlong_token_is_refused_early(server):
    # Case 54.
    long = user_token("u", padding="x" * 6_300)
    assert status_of(server, long) in (401, 431)
    assert status_of(server, user_token("u", padding="x" * 200)) == 200
