"""Tokens that are signed with private keys, over HTTP: cases 45, 46 and 48."""

import json
import random
import subprocess
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from harness.issuer import Issuer, certificate
from harness.keys import ALGORITHMS, CURVES, HASHES, Key, key_set
from harness.server import Server, run_carillon
from harness.tokens import SECRET, base64url, sign, user_token
from harness.waiting import wait_until

INBOX = "/api/v1/notifications"


def status(server, token, over=None):
    return server.request("GET", INBOX, token, over=over).status


@pytest.fixture(scope="module")
def keys():
    """One key of each algorithm; the three RS and the three PS have keys of their own."""
    return {name: Key(name, kid=name.lower()) for name in ALGORITHMS}


@pytest.fixture(scope="module")
def keyed(tmp_path_factory, keys):
    """A server with all keys and no secret."""
    server = Server(
        tmp_path_factory.mktemp("keyed"),
        environment={"JWT_SECRET": "", "JWT_PUBLIC_KEY": key_set(*keys.values())},
    ).start()
    yield server
    try:
        server.stop()
    finally:
        server.end()


# The configured texts.


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_each_text_of_a_key_verifies_its_tokens(make_server, tmp_path, algorithm):
    key = Key(algorithm)
    file = tmp_path / "key.pem"
    file.write_text(f"{algorithm}:{key.pem}")
    # A file is named on the command line, a text in the environment.
    server = make_server(arguments=["--jwt-public-key", f"@{file}"], environment={"JWT_SECRET": ""})
    assert status(server, key.token()) == 200
    assert status(server, key.token(header={"kid": "anything"})) == 200
    assert status(server, Key(algorithm).token()) == 401
    assert status(server, user_token("u")) == 401
    checked = run_carillon(
        "token", "--check", key.token(), environment={"JWT_PUBLIC_KEY": json.dumps(key.jwk)}
    )
    assert checked.returncode == 0 and checked.stdout.startswith("accepted"), checked


def test_a_secret_and_several_keys_stand_side_by_side(make_server):
    old, new, rsa = Key("ES256"), Key("ES256"), Key("PS384")
    text = old.pem + new.pem + "PS384:" + rsa.pem
    server = make_server(environment={"JWT_PUBLIC_KEY": text})
    for token in (old.token(), new.token(), rsa.token(), user_token("u")):
        assert status(server, token) == 200
    # With several keys, a kid that names none is refused.
    assert status(server, new.token(header={"kid": "1"})) == 401
    assert status(server, sign(Key.claims("u"), header={"alg": "HS256", "kid": "1"})) == 401


def test_a_check_shows_kinds_and_ids_and_no_material():
    keys = [Key("RS256", kid="2026-01"), Key("ES384", kid="b"), Key("EdDSA")]
    environment = {"JWT_PUBLIC_KEY": key_set(*keys)}
    shown = run_carillon("check", environment=environment).stdout
    assert "RS256 2026-01, ES384 b, EdDSA" in shown
    for key in keys:
        assert key.jwk.get("n", key.jwk.get("x")) not in shown
    entry = json.loads(run_carillon("check", "--json", environment=environment).stdout)
    value = {"value": "RS256 2026-01, ES384 b, EdDSA", "source": "JWT_PUBLIC_KEY"}
    assert entry["settings"]["jwt-public-key"] == value
    assert "JWT_SECRET" not in entry["limits"]


def refused_texts(tmp_path):
    key = Key("ES256")
    long = tmp_path / "long.pem"
    long.write_text(" " * 65_537)
    return {
        "nonsense": "neither PEM",
        key.private_pem: "PRIVATE key",
        json.dumps({**key.jwk, "d": "AQAB"}): "PRIVATE key",
        json.dumps({"kty": "oct", "k": base64url(SECRET.encode())}): "belongs in JWT_SECRET",
        json.dumps({"keys": []}): "no key",
        "RS256:" + key.pem: "cannot be used with RS256",
        "HS256:" + key.pem: "cannot be used with HS256",
        "@/nowhere/key.pem": "cannot read /nowhere/key.pem",
        f"@{long}": "more than 65536 bytes",
        "@/dev/zero": "more than 65536 bytes",
    }


def test_a_text_that_is_no_public_key_is_refused_without_printing_it(tmp_path):
    for text, reason in refused_texts(tmp_path).items():
        done = run_carillon("check", environment={"JWT_PUBLIC_KEY": text})
        assert done.returncode == 2 and reason in done.stderr, (text[:40], done)
        assert "JWT_PUBLIC_KEY" in done.stderr and not done.stdout
        assert "MIGH" not in done.stderr and "AQAB" not in done.stderr


def test_a_server_without_any_key_names_every_variable():
    done = run_carillon("serve", "--data", ":memory:")
    assert done.returncode == 2
    for name in ("JWT_SECRET", "JWT_PUBLIC_KEY", "JWT_JWKS_URL"):
        assert name in done.stderr


def test_the_algorithm_of_the_secret_is_one_of_hmac():
    for name in ("RS256", "ES256", "EdDSA", "none"):
        done = run_carillon("check", environment={"JWT_SECRET": SECRET, "JWT_ALGORITHM": name})
        assert done.returncode == 2 and "JWT_ALGORITHM must be" in done.stderr


# Case 45: confusion.


def test_only_the_diagonal_of_algorithms_and_keys_is_accepted(keyed, keys):
    connection = keyed.connection()
    for signer in ALGORITHMS:
        key = keys[signer]
        for algorithm in [*ALGORITHMS, "HS256", "HS384", "HS512", "none"]:
            for kid in ALGORITHMS:
                token = key.token(header={"alg": algorithm, "kid": kid.lower()})
                right = signer == algorithm == kid
                assert status(keyed, token, over=connection) == (200 if right else 401)
    connection.close()


def test_a_public_key_is_no_secret_of_an_hmac(keyed, keys):
    for name, key in keys.items():
        texts = [key.pem, key.pem.rstrip("\n"), json.dumps(key.jwk), key_set(key)]
        texts += [text.replace("\n", "\r\n") for text in texts] + [text + "\n" for text in texts]
        for secret in texts:
            for algorithm in ("HS256", "HS384", "HS512"):
                for header in ({"alg": algorithm}, {"alg": algorithm, "kid": key.kid}):
                    token = sign(Key.claims("u"), secret, algorithm, header)
                    assert status(keyed, token) == 401, (name, algorithm)
        # Latin-1 keeps the bytes of the DER.
        token = sign(Key.claims("u"), key.der.decode("latin-1"), header={"alg": "HS256"})
        assert status(keyed, token) == 401


# Case 46: edges of signatures.


def variants(key, message, rng):
    """Wrong signatures over a message: at least a hundred."""
    right = key.sign(message)
    for _ in range(80):
        bit = rng.randrange(len(right) * 8)
        yield bytes(b ^ (1 << bit % 8 if i == bit // 8 else 0) for i, b in enumerate(right))
    for cut in (0, 1, 31, 32, 63, 64, len(right) - 1):
        if cut < len(right):
            yield right[:cut]
    for tail in (b"\0", b"\xff", right):
        yield right + tail
        yield tail + right
    yield right[::-1]
    for byte in (0, 1, 255):
        yield bytes([byte]) * len(right)
    yield key.sign(message + b".")
    yield Key(key.algorithm).sign(message)
    yield from variants_of_kind(key, message, right)


def variants_of_kind(key, message, right):
    """Wrong signatures that only this kind of key has."""
    if key.algorithm in CURVES:
        count = CURVES[key.algorithm][2]
        n = key.private.curve.group_order
        r, s = right[:count], right[count:]
        for value in (0, n, min(n + 1, 256**count - 1), 256**count - 1):
            other = value.to_bytes(count, "big")
            yield other + s
            yield r + other
            yield other + other
        yield key.private.sign(message, ec.ECDSA(HASHES[key.algorithm[2:]]))
        yield s + r
    elif key.algorithm == "EdDSA":
        order = 2**252 + 27742317777372353535851937790883648493
        s = int.from_bytes(right[32:], "little")
        for more in range(1, 8):
            if s + more * order < 2**256:
                yield right[:32] + (s + more * order).to_bytes(32, "little")
    else:
        other = {"RS": "PS", "PS": "RS"}[key.algorithm[:2]] + key.algorithm[2:]
        yield key.sign(message, other)
        for size in ("256", "384", "512"):
            if size != key.algorithm[2:]:
                yield key.sign(message, key.algorithm[:2] + size)


def test_a_thousand_wrong_signatures_are_refused(keyed, keys):
    rng = random.Random(46)
    count = 0
    connection = keyed.connection()
    for key in keys.values():
        token = key.token()
        start, _, _ = token.rpartition(".")
        assert status(keyed, token, over=connection) == 200
        seen = {key.sign(start.encode())}
        for signature in variants(key, start.encode(), rng):
            if signature in seen:
                continue
            seen.add(signature)
            wrong = f"{start}.{base64url(signature)}"
            assert status(keyed, wrong, over=connection) == 401, (key.algorithm, signature.hex())
            count += 1
        assert status(keyed, f"{start}.", over=connection) == 401
    connection.close()
    assert count >= 1_000, count


def test_a_high_s_is_accepted_which_is_the_policy(keyed, keys):
    for name, (curve, _, count) in CURVES.items():
        start, _, _ = keys[name].token().rpartition(".")
        right = keys[name].sign(start.encode())
        s = curve.group_order - int.from_bytes(right[count:], "big")
        other = right[:count] + s.to_bytes(count, "big")
        assert status(keyed, f"{start}.{base64url(other)}") == 200


# Case 48: key ids.


KIDS = [
    "../../dev/null",
    "/etc/passwd",
    "file:///etc/passwd",
    "https://127.0.0.1:9/keys.json",
    "' OR '1'='1",
    "x'; DROP TABLE keys;--",
    "rs256\0",
    "\0",
    "",
    "%00",
    "K" * 5_000,
    "K" * 65_536,
    "${jndi:ldap://127.0.0.1/a}",
]
POINTERS = [
    {"jku": "https://127.0.0.1:9/keys.json"},
    {"x5u": "http://127.0.0.1:9/certificate.pem"},
    {"jwk": Key("ES256").jwk},
    {"x5c": ["MIIB"]},
    {"jku": "file:///etc/passwd", "x5u": "file:///etc/passwd"},
]


def test_no_key_id_makes_a_system_call_for_files_or_connections(keyed, keys, tmp_path):
    connection = keyed.connection()
    key = keys["ES256"]
    # What a first request does once is not what a key id does.
    assert status(keyed, key.token(), over=connection) == 200
    assert status(keyed, key.token(header={"kid": "other"}), over=connection) == 401
    trace = tmp_path / "trace"
    calls = "open,openat,openat2,creat,stat,lstat,newfstatat,statx,access,faccessat,readlink"
    calls += ",socket,connect,sendto,execve,unlink,rename"
    # Of another process, strace needs the right to trace.
    tracer = subprocess.Popen(
        ["strace", "-f", "-e", f"trace={calls}", "-o", str(trace), "-p", str(keyed.pid)],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = tracer.stderr.readline()
        if "attached" not in line:
            pytest.skip(f"strace cannot attach: {line.strip()}")
        for kid in KIDS:
            token = key.token(header={"kid": kid})
            answer = keyed.request("GET", INBOX, token) if len(kid) > 60_000 else None
            got = answer.status if answer else status(keyed, token, over=connection)
            # A head of more than 64 KiB is refused before any token is read.
            assert got in (401, 431), kid[:40]
        for pointer in POINTERS:
            right = key.token(header=pointer)
            assert status(keyed, right, over=connection) == 200
            forged = Key("ES256", kid=key.kid).token(header=pointer)
            assert status(keyed, forged, over=connection) == 401
        # A control: the trace has the calls of the server.
        assert keyed.publish("u")
    finally:
        tracer.terminate()
        tracer.wait(10)
        connection.close()
    found = [line for line in trace.read_text().splitlines() if "(" in line]
    # The answers themselves; the journal has its files open.
    sent = [line for line in found if " sendto(" in line]
    assert sent, "strace saw no answer"
    assert [line for line in found if " sendto(" not in line] == []


# Sets of keys from a URL.


@pytest.fixture
def issuer():
    with Issuer() as issuer:
        yield issuer


def test_a_set_is_fetched_at_start_and_again_for_an_unknown_key(make_server, issuer):
    old, new = Key("RS256", kid="old"), Key("ES256", kid="new")
    issuer.answer(key_set(old))
    server = make_server(environment={"JWT_SECRET": "", "JWT_JWKS_URL": issuer.url})
    assert status(server, old.token()) == 200
    assert issuer.count == 1
    # One key in a set: the kid may be left out.
    assert status(server, Key.assemble(old, {"alg": "RS256"}, Key.claims("u"))) == 200
    issuer.answer(key_set(old, new))
    begun = time.monotonic()
    wait_until("the new key is there", lambda: status(server, new.token()) == 200, within=30)
    assert status(server, old.token()) == 200
    # At most one fetch in ten seconds, whatever the number of unknown ids.
    for index in range(200):
        assert status(server, new.token(header={"kid": f"unknown {index}"})) == 401
    assert issuer.count <= 2 + (time.monotonic() - begun) / 10
    assert server.total("key_sets_fetched_total") == issuer.count


def test_the_last_set_stays_while_the_source_is_down_or_wrong(make_server, issuer):
    key, other = Key("EdDSA", kid="1"), Key("EdDSA", kid="2")
    issuer.answer(key_set(key))
    server = make_server(environment={"JWT_SECRET": "", "JWT_JWKS_URL": issuer.url})
    private = json.dumps({"keys": [{**other.jwk, "d": "AQ"}]})
    secret = json.dumps({"keys": [other.jwk, {"kty": "oct", "kid": "2", "k": "AQAB"}]})
    # Further documents are in the unit tests: after each failure the wait doubles.
    wrong = [
        (private, 200),
        (secret, 200),
        (key_set(other) + " " * 65_536, 200),
        (key_set(other), 302),
    ]
    for text, code in wrong:
        failures = server.total("key_set_failures_total")
        issuer.answer(text, code)
        # An unknown key makes the server ask at the latest after ten seconds.
        wait_until(
            "the set is refused",
            lambda: (
                status(server, other.token()) == 401
                and server.total("key_set_failures_total") > failures
            ),
            within=60,
        )
        assert status(server, key.token()) == 200
        assert status(server, other.token()) == 401
    assert "keys stay in use" in server.log()
    assert "AQAB" not in server.log()


def test_a_server_starts_without_its_set_and_gets_it_later(make_server, issuer):
    key = Key("ES256", kid="1")
    issuer.answer("", 503)
    server = make_server(environment={"JWT_JWKS_URL": issuer.url})
    assert "no set of keys so far" in server.log()
    assert status(server, user_token("u")) == 200
    assert status(server, key.token()) == 401
    issuer.answer(key_set(key))
    wait_until("the set is there", lambda: status(server, key.token()) == 200, within=60)
    server.stop()


@pytest.mark.parametrize(
    "url",
    [
        "http://login.example/keys",
        "http://10.0.0.1/keys",
        "ftp://127.0.0.1/keys",
        "https://user:secret@login.example/",
        "keys.json",
    ],
)
def test_a_url_that_is_not_safe_is_refused(url):
    done = run_carillon("check", environment={"JWT_JWKS_URL": url})
    assert done.returncode == 2 and "JWT_JWKS_URL must be an https URL" in done.stderr
    assert "secret" not in done.stderr


def test_a_set_over_https_needs_a_trusted_certificate(make_server, tmp_path):
    key = Key("ES256", kid="1")
    authority, chain = certificate(tmp_path)
    with Issuer(chain) as issuer:
        issuer.answer(key_set(key))
        environment = {"JWT_JWKS_URL": issuer.url, "JWT_JWKS_CA": str(authority)}
        assert status(make_server(environment=environment), key.token()) == 200
        del environment["JWT_JWKS_CA"]
        server = make_server(environment=environment)
        assert status(server, key.token()) == 401
        assert "keys stay in use" in server.log()
