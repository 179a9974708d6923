"""The HTTP side: publishing, statuses, and the rules of HTTP/1.1 that a client relies on."""

import json

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH
from harness.raw import RawConnection, exchange
from harness.server import API_KEY
from harness.tokens import publisher_token, user_token

INBOX = "/api/v1/notifications"
BATCH = f"{INBOX}/batch"


def publish(server, body, **options):
    options.setdefault("key", API_KEY)
    return server.request("POST", INBOX, body=body, **options)


def draft(user, title="t", **fields):
    return {"user_id": user, "type": "info", "title": title, **fields}


# Publishing.


def test_a_batch_is_answered_line_by_line(server, fresh_user):
    user = fresh_user()
    lines = [
        json.dumps(draft(user, "first")),
        "{not json",
        json.dumps({"user_id": user, "title": "no type"}),
        json.dumps(draft(user, "last")),
    ]
    answer = server.request(
        "POST",
        BATCH,
        key=API_KEY,
        body="\n".join(lines).encode(),
        headers={"Content-Type": "application/x-ndjson"},
    )
    results = [json.loads(line) for line in answer.bytes.splitlines()]
    assert len(results) == len(lines), answer
    first, malformed, invalid, last = results
    assert first["success"] is True and last["success"] is True
    assert malformed["success"] is False and malformed["error"]["code"]
    assert invalid["success"] is False and "type" in invalid["error"]["message"]
    inbox = server.inbox(user)
    assert [stored["title"] for stored in inbox] == ["first", "last"]
    assert [first["data"]["id"], last["data"]["id"]] == [stored["id"] for stored in inbox]


def test_an_idempotency_key_makes_a_retry_a_no_op(server, fresh_user):
    user, headers = fresh_user(), {"Idempotency-Key": fresh_user("key")}
    first = publish(server, draft(user), headers=headers)
    again = publish(server, draft(user), headers=headers)
    assert first.status == again.status == 201
    assert again.json == first.json
    assert len(server.inbox(user)) == 1
    other = publish(server, draft(user, "another body"), headers=headers)
    assert other.status == 409, other
    assert len(server.inbox(user)) == 1


def test_user_ids_are_stored_for_each(server, fresh_user):
    users = [fresh_user() for _ in range(100)]
    answer = publish(server, {"user_ids": users, "type": "info", "title": "to many"})
    assert answer.status == 201
    assert [server.inbox(user)[0]["id"] for user in users] == answer.data["ids"]


# Case 33 for the fields of a notification: the error names the wrong field and the reason.
@pytest.mark.parametrize(
    "change, status",
    [
        ({"user_id": ""}, 422),
        ({"user_id": "x" * 129}, 422),
        ({"user_id": "a\u0000b"}, 422),
        ({"user_id": None}, 422),
        ({"type": "no spaces"}, 422),
        ({"type": "x" * 65}, 422),
        ({"type": None}, 422),
        ({"title": "x" * 257}, 422),
        ({"title": None}, 422),
        ({"message": "x" * 4_097}, 422),
        ({"priority": "dire"}, 422),
        ({"data": []}, 422),
        ({"data": {"x": "y" * 16_400}}, 422),
        ({"entity_url": "javascript:alert(1)"}, 422),
        ({"entity_url": "//evil.example/x"}, 422),
        ({"actions": [{"label": "l", "url": "/u"}] * 5}, 422),
        ({"expires_at": "tomorrow"}, 422),
    ],
)
def test_valid_json_that_is_no_notification_is_422(server, fresh_user, change, status):
    user = fresh_user()
    answer = publish(server, {**draft(user), **change})
    assert answer.status == status, answer
    assert next(iter(change)) in answer.error["message"], answer.error
    assert server.inbox(user) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"title": "x" * 256},
        {"title": "é" * 128},
        {"message": "x" * 4_096},
        {"type": "x" * 64},
        {"type": "a.b_c:d-E9"},
        {"entity_url": "https://example.org/x"},
        {"actions": [{"label": "l", "url": "/u"}] * 4},
        {"expires_at": "2040-01-01T00:00:00.000Z"},
    ],
)
def test_fields_exactly_at_the_limits_are_accepted(server, fresh_user, fields):
    user = fresh_user()
    assert publish(server, {**draft(user), **fields}).status == 201
    stored = server.inbox(user)[0]
    for name in fields:
        assert stored[name] == fields[name]


@pytest.mark.parametrize(
    "name, message",
    [
        ("mesage", "mesage: unknown field (did you mean message?)"),
        ("groupKey", "groupKey: unknown field (did you mean group_key?)"),
        ("deliver_by", "deliver_by: unknown field"),
    ],
)
def test_an_unknown_field_is_refused_by_name(server, fresh_user, name, message):
    user = fresh_user()
    body = {**draft(user), name: "x"}
    answer = publish(server, body)
    assert answer.status == 422 and answer.error["message"] == message
    lines = "\n".join(json.dumps(line) for line in [draft(user), body])
    batch = server.request(
        "POST",
        "/api/v1/notifications/batch",
        body=lines,
        headers={"Content-Type": "application/x-ndjson"},
        key=API_KEY,
    )
    answers = [json.loads(line) for line in batch.bytes.splitlines()]
    assert [one["success"] for one in answers] == [True, False]
    assert answers[1]["error"]["message"] == message
    assert len(server.inbox(user)) == 1


def test_the_answer_names_no_long_field(server, fresh_user):
    answer = publish(server, {**draft(fresh_user()), "x" * 65: 1})
    assert answer.status == 422 and answer.error["message"] == "body: has an unknown field"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"title": "x" * 257}, "title: over 256 bytes"),
        ({"message": "x" * 4_097}, "message: over 4096 bytes"),
        ({"data": {"a": "x" * 16_384}}, "data: over 16384 bytes"),
        ({"user_id": "x" * 129}, "user_id: must be 1 to 128 bytes without control characters"),
        ({"entity_url": "/" + "x" * 2_048}, "entity_url: over 2048 bytes"),
        (
            {"actions": [{"label": "x" * 129, "url": "/"}]},
            "actions.label: over 128 bytes",
        ),
        ({"actions": [{"label": "l", "url": "/"}] * 5}, "actions: must hold at most 4 actions"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_limit_is_named_with_its_bound(server, fresh_user, change, message):
    answer = publish(server, {**draft(fresh_user()), **change})
    assert answer.status == 422 and answer.error["message"] == message


def test_broken_json_is_located(server):
    answer = publish(server, b'{\n  "title": "\xc3\xa9" "type"\n}')
    assert answer.status == 400
    assert answer.error["message"] == "',' or '}' expected at line 2, column 16"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"user_id":"u",}',
        b'{"a":1}x',
        b"\xff\xfe",
        b"\xef\xbb\xbf{}",
        b'{"title":"\xc3"}',
        b"{'title':'t'}",
        b'{"title":"\\ud800"}',
        b'{"title":"\x01"}',
    ],
)
def test_invalid_json_is_400(server, body):
    answer = publish(server, body)
    assert answer.status == 400, answer
    assert answer.error["code"] and answer.error["message"]


@pytest.mark.parametrize("body", [b"null", b"[]", b"1", b'"text"'])
def test_json_that_is_no_object_is_422(server, body):
    assert publish(server, body).status == 422


def test_a_field_given_twice_is_422(server):
    body = b'{"user_id":"u","user_id":"v","type":"info","title":"t"}'
    answer = publish(server, body)
    assert answer.status == 422 and "user_id" in answer.error["message"]


def test_another_kind_of_body_is_415(server, fresh_user):
    body = json.dumps(draft(fresh_user())).encode()
    answer = publish(server, body, headers={"Content-Type": "application/xml"})
    assert answer.status == 415, answer


def test_a_body_over_the_limit_is_413_before_it_is_sent(server):
    head = (
        f"POST {INBOX} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
        "Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n"
    )
    assert exchange(server, head.encode()).status == 413


# The right to publish.


def test_publishing_requires_a_publishers_credentials(server, fresh_user):
    body = draft(fresh_user())
    assert publish(server, body, key=None).status == 401
    assert publish(server, body, key="wrong").status == 401
    assert publish(server, body, key=API_KEY + "x").status == 401
    assert publish(server, body, key=API_KEY[:-1]).status == 401
    assert publish(server, body, key=None, token=user_token("a-user")).status == 403
    assert publish(server, body, key=None, token=publisher_token()).status == 201


@pytest.mark.parametrize(
    "claim",
    [{"scope": "read publish"}, {"scopes": ["publish"]}, {"role": "admin"}, {"roles": ["service"]}],
)
def test_each_claim_that_names_a_publisher_counts(server, fresh_user, claim):
    token = user_token("a-service", **claim)
    assert publish(server, draft(fresh_user()), key=None, token=token).status == 201


@pytest.mark.parametrize(
    "claim",
    [
        {"scope": "publisher"},
        {"scope": "unpublish"},
        {"scopes": "read"},
        {"role": "user"},
        {"roles": [["admin"]]},
    ],
)
def test_a_claim_that_only_looks_similar_does_not_count(server, fresh_user, claim):
    token = user_token("a-user", **claim)
    assert publish(server, draft(fresh_user()), key=None, token=token).status in (401, 403)


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", INBOX),
        ("GET", f"{INBOX}/stats"),
        ("GET", f"{INBOX}/unread-count"),
        ("PUT", f"{INBOX}/read-all"),
        ("DELETE", INBOX),
        ("GET", "/api/notifications/stats"),
    ],
)
def test_an_inbox_needs_a_token(server, method, path):
    answer = server.request(method, path)
    assert answer.status == 401 and answer.error["code"], answer
    assert "www-authenticate" in answer.headers


# Paths and methods.


def test_health_readiness_and_metrics_need_nothing(server):
    assert server.request("GET", "/healthz").status == 200
    assert server.request("GET", "/readyz").status == 200
    metrics = server.request("GET", "/metrics")
    assert metrics.status == 200
    lines = metrics.bytes.decode().splitlines()
    assert any(line.startswith("carillon_") for line in lines)
    assert len([line for line in lines if not line.startswith("#")]) <= 500


def test_no_path_adds_a_series_to_the_metrics(server, chance):
    # Case 35.
    def series():
        return {line.split(" ")[0] for line in server.metrics().splitlines() if line[:1] != "#"}

    over = server.connection()
    server.request("GET", "/warm-up", over=over)
    before = series()
    for _ in range(300):
        answer = server.request(
            "GET", f"/{chance.getrandbits(64):x}?{chance.getrandbits(64)}", over=over
        )
        assert answer.status == 404
    over.close()
    assert series() == before


def test_an_unknown_path_is_404_and_a_wrong_method_405(server):
    assert server.request("GET", "/nowhere").status == 404
    answer = server.request("PATCH", INBOX, key=API_KEY)
    assert answer.status == 405, answer
    allowed = {method.strip() for method in answer.headers["allow"].split(",")}
    assert {"GET", "POST", "DELETE"} <= allowed and "PATCH" not in allowed
    assert server.request("POST", "/healthz", body={}).status == 405


@pytest.mark.parametrize("path", [EVENT_PATH, FLAT_PATH])
def test_a_websocket_path_without_an_upgrade_explains_itself(server, path):
    answer = server.request("GET", f"{path}?token={user_token('u')}")
    assert answer.status in (400, 426), answer
    assert "websocket" in answer.error["message"].lower()


@pytest.mark.parametrize("path", ["/healthz", "/metrics", INBOX])
def test_head_is_get_without_the_body(server, fresh_user, path):
    token = user_token(fresh_user())
    request = f"{{}} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n"
    with RawConnection(server) as connection:
        connection.send(request.format("HEAD").encode())
        head = connection.read_answer(is_head=True)
        assert int(head.headers["content-length"]) > 0
        # A body here would be parsed as the head of the next answer.
        connection.send(request.format("GET").encode())
        got = connection.read_answer()
        assert (head.status, got.status) == (200, 200)
        assert head.headers.keys() == got.headers.keys()


# HTTP/1.1.


def test_one_connection_serves_many_requests(server, fresh_user):
    over, user = server.connection(), fresh_user()
    server.request("GET", "/healthz", over=over)
    local = over.sock.getsockname()
    for number in range(50):
        server.publish(user, str(number), over=over)
        assert over.sock.getsockname() == local, "the server closed the connection in between"
    over.close()
    assert len(server.inbox(user)) == 50


def test_pipelined_requests_are_answered_in_order(server, fresh_user):
    user = fresh_user()
    requests, expected = [], []
    for number in range(20):
        body = json.dumps(draft(user, f"n {number}")).encode()
        # A publish waits for the disk and the health check after it for nothing, so only a server
        # that keeps the order answers the publish first.
        requests.append(
            f"POST {INBOX} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        requests.append(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        expected += [201, 200]
    with RawConnection(server) as connection:
        connection.send(b"".join(requests))
        answers = [connection.read_answer() for _ in expected]
    assert [answer.status for answer in answers] == expected
    assert [answer.data["title"] for answer in answers[::2]] == [f"n {n}" for n in range(20)]


def chunked(body, sizes):
    pieces, at = [], 0
    for size in sizes:
        piece = body[at : at + size]
        at += len(piece)
        if piece:
            pieces.append(f"{len(piece):x};a=b\r\n".encode() + piece + b"\r\n")
    if at < len(body):
        pieces.append(f"{len(body) - at:X}\r\n".encode() + body[at:] + b"\r\n")
    return b"".join(pieces) + b"0\r\nA-Trailer: x\r\n\r\n"


def test_a_chunked_body_is_read_however_it_is_cut(server, fresh_user, chance):
    user = fresh_user()
    with RawConnection(server) as connection:
        for number in range(20):
            body = json.dumps(draft(user, f"n {number}", message="x" * 200)).encode()
            sizes = [chance.randrange(1, 90) for _ in range(chance.randrange(1, 6))]
            connection.send(
                f"POST {INBOX} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n"
                "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
            )
            wire = chunked(body, sizes)
            cut = chance.randrange(len(wire))
            connection.send(wire[:cut])
            connection.send(wire[cut:])
            assert connection.read_answer().status == 201
    assert len(server.inbox(user)) == 20


def test_expect_100_continue_gets_a_100(server, fresh_user):
    body = json.dumps(draft(fresh_user())).encode()
    with RawConnection(server) as connection:
        connection.send(
            f"POST {INBOX} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\nExpect: 100-continue\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        )
        assert connection.read_answer().status == 100
        connection.send(body)
        assert connection.read_answer().status == 201


def test_a_request_may_come_a_byte_at_a_time(server):
    with RawConnection(server) as connection:
        for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n":
            connection.send(bytes([byte]))
        assert connection.read_answer().status == 200


@pytest.mark.parametrize(
    "version, field, closes",
    [
        ("1.1", "", False),
        ("1.1", "Connection: close\r\n", True),
        ("1.0", "", True),
        ("1.0", "Connection: keep-alive\r\n", False),
    ],
)
def test_the_connection_stays_open_only_as_agreed(server, version, field, closes):
    with RawConnection(server) as connection:
        connection.send(f"GET /healthz HTTP/{version}\r\nHost: x\r\n{field}\r\n".encode())
        answer = connection.read_answer()
        said = answer.headers.get("connection", "").lower()
        assert (said == "close") == closes or version == "1.0"
        if closes:
            connection.expect_end()
        else:
            connection.send(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            assert connection.read_answer().status == 200


def test_user_ids_outside_ascii_are_kept_unchanged(server):
    for user in ("Zoë", "用户", "a b", "a/b", "a+b", "%41", "🔔"):
        stored = server.publish(user, "hello")
        assert stored["user_id"] == user
        assert server.inbox(user)[-1] == stored


def test_cross_origin_answers_name_only_allowed_origins(make_server):
    server = make_server(environment={"WEBSOCKET_CORS_ORIGINS": "https://ours.example"})
    ours = server.request("GET", "/healthz", headers={"Origin": "https://ours.example"})
    assert ours.headers["access-control-allow-origin"] == "https://ours.example"
    assert "origin" in ours.headers.get("vary", "").lower()
    evil = server.request("GET", "/healthz", headers={"Origin": "https://evil.example"})
    assert "access-control-allow-origin" not in evil.headers
    asked = {
        "Origin": "https://ours.example",
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    preflight = server.request("OPTIONS", f"{INBOX}/read-all", headers=asked)
    assert preflight.status in (200, 204), preflight
    assert "PUT" in preflight.headers["access-control-allow-methods"]
    assert "authorization" in preflight.headers["access-control-allow-headers"].lower()
