"""API keys: their rights, their ends, their rotation, and that no secret is kept anywhere."""

import contextlib
import datetime
import json
import time
from contextlib import closing
from pathlib import Path

import pytest

from harness.clients import EVENT_PATH
from harness.raw import Closed, RawConnection, exchange, upgrade_request
from harness.server import API_KEY, run_carillon
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until

KEYS = "/api/v1/keys"
PUBLISH = "/api/v1/notifications"
HUB = "/api/v1/websocket"
STREAM = "/api/v1/metrics/stream"


def create(server, name="a key", key=API_KEY, **fields):
    """Creates a key and returns it, with its secret."""
    body = {"name": name, "verbs": ["publish"], **fields}
    answer = server.request("POST", KEYS, body=body, key=key)
    assert answer.status == 201, answer
    return answer.data


def listed(server):
    """All keys by their ids."""
    return {one["id"]: one for one in server.request("GET", KEYS, key=API_KEY).data["keys"]}


def publish(server, secret, type="info", **options):
    body = {"user_id": "u", "type": type, "title": "T"}
    return server.request("POST", PUBLISH, body=body, key=secret, **options)


def soon(seconds):
    """The time in so many seconds, as RFC 3339."""
    end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=seconds)
    return end.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def open_stream(server, secret):
    """Opens a metrics stream with a key, and returns its connection."""
    connection = RawConnection(server)
    head = f"GET {STREAM} HTTP/1.1\r\nHost: x\r\nX-API-Key: {secret}\r\n\r\n"
    connection.send(head.encode())
    assert b" 200 " in connection.read_until(b"\r\n\r\n")
    return connection


def read_to_end(connection):
    """Reads until the server ends the connection."""
    with contextlib.suppress(Closed):
        while True:
            connection.read_some()


def test_a_key_publishes_and_is_listed_without_its_secret(shared_server):
    key = create(shared_server, "billing", verbs=["read", "publish"], types=["bill_*"])
    assert key["name"] == "billing" and key["verbs"] == ["publish", "read"]
    assert key["id"].startswith("key_") and key["secret"].startswith(key["prefix"] + "_")
    answer = publish(shared_server, key["secret"], "bill_paid")
    assert answer.status == 201, answer
    assert shared_server.request("GET", "/api/v1/users/online", key=key["secret"]).status == 200
    shown = listed(shared_server)[key["id"]]
    assert "secret" not in shown and shown["types"] == ["bill_*"]
    assert key["secret"] not in json.dumps(listed(shared_server))
    used = wait_until("the use is shown", lambda: listed(shared_server)[key["id"]]["last_used_at"])
    assert used.endswith(":00.000Z")


def test_a_type_of_another_key_is_refused_by_name(shared_server):
    key = create(shared_server, types=["incident_*", "deploy"])
    for kind, status in [("deploy", 201), ("incident_1", 201), ("incident", 403), ("x", 403)]:
        answer = publish(shared_server, key["secret"], kind)
        assert answer.status == status, answer
        if status == 403:
            assert answer.error["code"] == "forbidden" and kind in answer.error["message"]
    lines = "".join(
        json.dumps({"user_id": "batch", "type": kind, "title": kind}) + "\n"
        for kind in ["deploy", "other"]
    )
    answer = shared_server.request(
        "POST",
        f"{PUBLISH}/batch",
        body=lines,
        headers={"Content-Type": "application/x-ndjson"},
        key=key["secret"],
    )
    first, second = [json.loads(line) for line in answer.bytes.splitlines()]
    assert first["success"] and second["error"]["code"] == "forbidden"
    assert [row["title"] for row in shared_server.inbox("batch")] == ["deploy"]


@pytest.mark.parametrize(
    "verb, method, path, body",
    [
        ("broadcast", "POST", f"{HUB}/live/broadcast", {"update_type": "t", "payload": {}}),
        ("read", "GET", "/api/v1/users/u/notifications", None),
        ("disconnect", "POST", "/api/v1/disconnect", {"user_id": "u"}),
        ("admin", "GET", KEYS, None),
    ],
)
def test_an_endpoint_needs_its_verb(shared_server, verb, method, path, body):
    others = [one for one in ("publish", "broadcast", "read", "disconnect", "admin") if one != verb]
    with_it, without = create(shared_server, verbs=[verb]), create(shared_server, verbs=others)
    refused = shared_server.request(method, path, body=body, key=without["secret"])
    assert refused.status == 403 and verb in refused.error["message"], refused
    answer = shared_server.request(method, path, body=body, key=with_it["secret"])
    assert answer.status in (200, 202), answer
    assert publish(shared_server, with_it["secret"]).status == 403


def test_only_an_administrator_manages_keys(shared_server):
    body = {"name": "n", "verbs": ["read"]}
    for token, status in [
        (user_token("u"), 403),
        (publisher_token(), 403),
        (user_token("s", scope="service"), 403),
        (user_token("a", roles=["admin"]), 201),
    ]:
        assert shared_server.request("POST", KEYS, token, body=body).status == status
    assert shared_server.request("POST", KEYS, body=body).status == 401
    admin = create(shared_server, verbs=["admin"])["secret"]
    assert create(shared_server, verbs=["admin"], key=admin)["verbs"] == ["admin"]
    # It has no other right, so it can give none.
    assert shared_server.request("POST", KEYS, body=body, key=admin).status == 403
    publisher = create(shared_server)
    path = f"{KEYS}/{publisher['id']}/rotate"
    assert shared_server.request("POST", path, key=admin).status == 403


def test_a_key_ends_with_its_time(shared_server):
    key = create(shared_server, verbs=["publish", "read"], expires_at=soon(2))
    with open_stream(shared_server, key["secret"]) as stream:
        assert publish(shared_server, key["secret"]).status == 201
        read_to_end(stream)
    refused = wait_until("it is refused", lambda: expired(shared_server, key["secret"]))
    assert refused.error["message"] == "the key has expired"
    past = shared_server.request(
        "POST", KEYS, body={"name": "n", "verbs": ["read"], "expires_at": soon(-1)}, key=API_KEY
    )
    assert past.status == 422, past


def expired(server, secret):
    answer = publish(server, secret)
    return answer if answer.status == 401 else None


def test_two_secrets_are_valid_while_a_key_rotates(shared_server):
    key = create(shared_server)
    path = f"{KEYS}/{key['id']}/rotate"
    retry = {"Idempotency-Key": "one"}
    first = publish(shared_server, key["secret"], headers=retry)
    rotated = shared_server.request("POST", path, body={"overlap": 60}, key=API_KEY).data
    assert rotated["id"] == key["id"] and rotated["secret"] != key["secret"]
    for secret in (key["secret"], rotated["secret"]):
        # The idempotency keys belong to the key, so a retry with the new secret is the same.
        repeated = publish(shared_server, secret, headers=retry)
        assert repeated.data == first.data and repeated.headers["idempotent-replay"] == "true"
    latest = shared_server.request("POST", path, body={"overlap": 60}, key=API_KEY).data
    statuses = [publish(shared_server, one["secret"]).status for one in (key, rotated, latest)]
    assert statuses == [401, 201, 201]
    last = shared_server.request("POST", path, body={"overlap": 0}, key=API_KEY).data
    statuses = [publish(shared_server, one["secret"]).status for one in (latest, last)]
    assert statuses == [401, 201]
    ending = shared_server.request("POST", path, body={"overlap": 1}, key=API_KEY).data
    wait_until("the overlap ends", lambda: expired(shared_server, last["secret"]))
    assert publish(shared_server, ending["secret"]).status == 201
    assert shared_server.request("POST", path, body={"overlap": 604_801}, key=API_KEY).status == 422


def test_a_revoked_key_is_refused_on_every_shard_when_that_is_answered(make_server):
    shards = 3
    server = make_server(arguments=["--shards", str(shards)])
    for _ in range(5):
        key = create(server, verbs=["publish", "read"])
        other = create(server, verbs=["publish"])
        with contextlib.ExitStack() as stack:
            # The kernel chooses their shards, so nearly always each shard has some.
            streams = [stack.enter_context(open_stream(server, key["secret"])) for _ in range(12)]
            kept = [stack.enter_context(closing(server.connection())) for _ in range(30)]
            for connection in kept:
                assert publish(server, key["secret"], over=connection).status == 201
            revoked = server.request("DELETE", f"{KEYS}/{key['id']}", key=API_KEY)
            assert revoked.data["revoked_at"]
            for connection in kept:
                answer = publish(server, key["secret"], over=connection)
                assert answer.status == 401, answer
                assert answer.error["message"] == "the key has been revoked"
            for stream in streams:
                read_to_end(stream)
        assert publish(server, other["secret"]).status == 201
    assert server.total("keys_refused_revoked_total") == 150
    assert server.total("api_keys") == 5


def test_a_restart_keeps_keys(make_server):
    server = make_server()
    alive = create(server, types=["a_*"], expires_at=soon(600))
    revoked, rotated = create(server), create(server)
    server.request("DELETE", f"{KEYS}/{revoked['id']}", key=API_KEY)
    path = f"{KEYS}/{rotated['id']}/rotate"
    newer = server.request("POST", path, key=API_KEY).data
    before = listed(server)
    server.kill()
    server.start()
    assert listed(server) == before
    assert publish(server, alive["secret"], "a_1").status == 201
    assert publish(server, alive["secret"], "b").status == 403
    for secret, status in [(revoked, 401), (rotated, 201), (newer, 201)]:
        assert publish(server, secret["secret"]).status == status


@pytest.mark.parametrize("level", ["info", "debug"])
def test_no_secret_is_kept_or_written(make_server, level):
    server = make_server(environment={"LOG_LEVEL": level})
    created = [create(server, f"key {number}", verbs=["publish", "admin"]) for number in range(5)]
    secrets = [key["secret"] for key in created]
    path = f"{KEYS}/{created[0]['id']}"
    secrets.append(server.request("POST", f"{path}/rotate", key=API_KEY).data["secret"])
    server.request("DELETE", f"{KEYS}/{created[1]['id']}", key=API_KEY)
    output = []
    for secret in secrets:
        for used in (secret, secret + "x", secret[:-1] + "~", secret.upper()):
            answer = publish(server, used)
            output.append(answer.bytes)
            for request in (
                upgrade_request(EVENT_PATH, headers=[("X-API-Key", used)]),
                f"GET {KEYS}/{used} HTTP/1.1\r\nHost: x\r\nX-API-Key: {used}\r\n\r\n".encode(),
                f"DELETE {KEYS}/{used} HTTP/1.1\r\nHost: x\r\nX-API-Key: {used}\r\n\r\n".encode(),
                f"GET {PUBLISH}?token={used} HTTP/1.1\r\nHost: x\r\n\r\n".encode(),
                f"GET /metrics HTTP/1.1\r\nHost: x\r\nX-API-Key: {used}\r\n\r\n".encode(),
            ):
                answer = exchange(server, request)
                output.append(answer if isinstance(answer, bytes) else repr(answer).encode())
    output.append(json.dumps(listed(server)).encode())
    output.append(server.metrics().encode())
    done = run_carillon("check", environment={"JWT_SECRET": "s", "CARILLON_API_KEY": secrets[0]})
    output.append((done.stdout + done.stderr).encode())
    server.stop()
    output.append(server.log().encode())
    files = [path for path in Path(server.data).rglob("*") if path.is_file()]
    assert files, "the store has no files"
    output += [path.read_bytes() for path in files]
    everything = b"\0".join(output)
    for secret in secrets:
        # The part after the id.
        assert secret[20:62].encode() not in everything


# The command.


def key_command(server, *words, **options):
    environment = {"CARILLON_URL": server.url, "CARILLON_API_KEY": API_KEY}
    return run_carillon("key", *words, environment={**environment, **options})


def test_the_command_manages_keys(shared_server):
    made = key_command(
        shared_server, "create", "--name", "ci", "--verbs", "publish,read", "--types", "b_*,c",
        "--ttl", "90d",
    )  # fmt: skip
    secret = made.stdout.strip()
    assert made.returncode == 0 and len(secret) == 63 and secret not in made.stderr, made
    key = next(one for one in listed(shared_server).values() if one["name"] == "ci")
    assert key["types"] == ["b_*", "c"] and key["id"] in made.stderr
    end = datetime.datetime.fromisoformat(key["expires_at"]).timestamp()
    assert abs(end - time.time() - 90 * 86_400) < 60
    shown = key_command(shared_server, "list").stdout
    line = next(line for line in shown.splitlines() if line.startswith(key["id"]))
    assert "ci" in line and "publish,read" in line and "b_*,c" in line
    rotated = key_command(shared_server, "rotate", key["id"], "--overlap", "0")
    newer = rotated.stdout.strip()
    assert len(newer) == 63 and "valid no more" in rotated.stderr
    assert publish(shared_server, secret, "c").status == 401
    assert publish(shared_server, newer, "c").status == 201
    # The key itself is a publisher's for the other commands.
    published = run_carillon(
        "publish", "--url", shared_server.url, "--user", "u", "--type", "c", "--title", "T",
        environment={"CARILLON_API_KEY": newer},
    )  # fmt: skip
    assert published.returncode == 0, published
    revoked = key_command(shared_server, "revoke", key["id"])
    assert revoked.returncode == 0 and key["id"] in revoked.stdout
    assert publish(shared_server, newer, "c").status == 401


def test_the_command_prints_json(shared_server):
    made = json.loads(key_command(shared_server, "create", "--name", "j", "--json").stdout)["data"]
    assert made["verbs"] == ["publish"] and len(made["secret"]) == 63
    rotated = key_command(shared_server, "rotate", made["id"], "--json")
    assert json.loads(rotated.stdout)["data"]["id"] == made["id"]
    keys = json.loads(key_command(shared_server, "list", "--json").stdout)
    assert made["id"] in [key["id"] for key in keys]
    gone = key_command(shared_server, "revoke", made["id"], "--json")
    assert json.loads(gone.stdout)["data"]["revoked_at"]


def test_the_command_lists_every_page(make_server):
    server = make_server()
    names = [create(server, f"n{number}")["name"] for number in range(205)]
    keys = json.loads(key_command(server, "list", "--json").stdout)
    assert [key["name"] for key in keys] == names
    assert len(key_command(server, "list").stdout.splitlines()) == len(names)


@pytest.mark.parametrize(
    "words, status, text",
    [
        (["create"], 2, "--name is required"),
        (["create", "--name", "n", "--ttl", "0"], 2, "--ttl must be"),
        (["create", "--name", "n", "--verbs", "root"], 1, "rejected with 422"),
        (["revoke"], 2, "ID is missing"),
        (["revoke", "../../metrics"], 2, "is not the id of a key"),
        (["revoke", "key_0000000000000000"], 1, "rejected with 404"),
        (["revoke", "a", "b"], 2, "'b' is not a flag"),
        (["rotate", "key_0000000000000000", "--overlap", "8d"], 1, "rejected with 422"),
        (["list", "--url", "http://127.0.0.1:1"], 1, "carillon key list"),
        (["lst"], 2, "did you mean list?"),
        ([], 2, "key create"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_wrong_command_says_why(shared_server, words, status, text):
    done = key_command(shared_server, *words)
    assert done.returncode == status and text in done.stderr and not done.stdout, done
    assert API_KEY not in done.stderr
