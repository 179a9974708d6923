"""Webhooks by Standard Webhooks: events, signatures, retries, bad receivers, and endpoints."""

import asyncio
import base64

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from harness.clients import EventClient
from harness.rooms import TypedClient
from harness.server import API_KEY
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until
from harness.webhooks import Receiver, add, answer_of, deliveries, manage

ALLOWED = ["--allow-private-destinations", "--webhook-retries", "1s,1s"]
CREATED = ["notification.created"]


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def hooked(make_server):
    return make_server(arguments=ALLOWED)


def state_of(server, endpoint):
    found = manage(server, "GET", f"/{endpoint['id']}").data
    return found["enabled"], found["disabled_reason"]


def test_each_event_arrives_with_a_signature_that_the_reference_library_accepts(hooked, receiver):
    endpoint = add(hooked, receiver.url())
    first = hooked.publish("ann", "Hello", data={"a": 1})
    token = user_token("ann")
    hooked.request("PUT", "/api/v1/notifications/seen", token)
    hooked.request("PUT", f"/api/v1/notifications/{first['id']}/read", token)
    hooked.request("DELETE", f"/api/v1/notifications/{first['id']}", token)
    messages = receiver.wait_for(4)
    names = ["created", "seen", "read", "deleted"]
    assert [one.type for one in messages] == [f"notification.{name}" for name in names]
    for message in messages:
        verified = Webhook(endpoint["secret"]).verify(message.body, message.headers)
        assert verified == message.json
        assert message.headers["content-type"] == "application/json"
    created = messages[0].data
    assert {name: created[name] for name in first} == first
    assert messages[2].data["ids"] == [first["id"]] and messages[2].data["user_id"] == "ann"
    assert [one.data["seq"] for one in messages] == sorted({one.data["seq"] for one in messages})
    assert len({one.id for one in messages}) == 4
    # A receiver that checks refuses a changed message and another secret.
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint["secret"]).verify(messages[0].body + b" ", messages[0].headers)
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    with pytest.raises(WebhookVerificationError):
        Webhook(other).verify(messages[0].body, messages[0].headers)


def test_users_and_rooms_come_and_go(hooked, receiver):
    types = ["user.online", "user.offline", "room.occupied", "room.vacated"]
    add(hooked, receiver.url(), types=types)
    with EventClient(hooked, "ann"):
        assert receiver.wait_for(1)[0].data["user_id"] == "ann"
        with TypedClient(hooked, "bob") as bob:
            bob.join("lobby")
            receiver.wait_for(3)
    # Each user is offline three seconds after its last connection.
    messages = receiver.wait_for(6)
    of_ann = [one.type for one in messages if one.data.get("user_id") == "ann"]
    assert of_ann == ["user.online", "user.offline"]
    of_room = [one.type for one in messages if one.data.get("room") == "lobby"]
    assert of_room == ["room.occupied", "room.vacated"]


def test_a_user_that_returns_within_the_grace_period_was_never_offline(hooked, receiver):
    add(hooked, receiver.url(), types=["user.online", "user.offline"])
    for _ in range(3):
        with EventClient(hooked, "ann"):
            pass
    messages = receiver.wait_for(2)
    assert [one.type for one in messages] == ["user.online", "user.offline"]


def test_a_rotated_secret_signs_beside_the_old_one(hooked, receiver):
    endpoint = add(hooked, receiver.url())
    rotated = manage(hooked, "POST", f"/{endpoint['id']}/rotate", {}).data
    assert rotated["secret"] != endpoint["secret"]
    hooked.publish("ann")
    (message,) = receiver.wait_for(1)
    assert len(message.headers["webhook-signature"].split(" ")) == 2
    for secret in (endpoint["secret"], rotated["secret"]):
        Webhook(secret).verify(message.body, message.headers)
    # Without an overlap only the new one signs, from the answer on.
    latest = manage(hooked, "POST", f"/{endpoint['id']}/rotate", {"overlap": 0}).data
    hooked.publish("ann")
    message = receiver.wait_for(2)[1]
    Webhook(latest["secret"]).verify(message.body, message.headers)
    for secret in (endpoint["secret"], rotated["secret"]):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(message.body, message.headers)


def test_a_failed_delivery_is_retried_dies_and_is_replayed(hooked, receiver):
    receiver.answers["/bad"] = answer_of(500)
    endpoint = add(hooked, receiver.url("/bad"), types=CREATED)
    hooked.publish("ann")
    attempts = receiver.wait_for(3, "/bad")
    assert len({one.id for one in attempts}) == 1
    (dead,) = wait_until("it is dead", lambda: deliveries(hooked, endpoint, "dead"))
    assert dead["attempts"] == 3 and dead["status"] == 500 and dead["id"] == attempts[0].id
    # Without any success the endpoint is disabled with its last attempt.
    wait_until("disabled", lambda: state_of(hooked, endpoint) == (False, "failing"))
    receiver.answers["/bad"] = answer_of(200)
    assert manage(hooked, "PATCH", f"/{endpoint['id']}", {"enabled": True}).data["enabled"]
    replayed = manage(hooked, "POST", f"/{endpoint['id']}/replay", {"ids": [dead["id"]]}).data
    assert replayed == {"replayed": 1, "more": False}
    assert receiver.wait_for(4, "/bad")[3].body == attempts[0].body
    wait_until("none is left", lambda: not deliveries(hooked, endpoint))
    (delivered,) = deliveries(hooked, endpoint, "delivered")
    assert delivered["id"] == dead["id"] and delivered["status"] == 200


async def stall(writer, reader):
    await asyncio.sleep(3_600)


async def send_a_gigabyte(writer, reader):
    writer.write(b"HTTP/1.1 200 X\r\nContent-Length: 1073741824\r\n\r\n")
    block = bytes(1 << 16)
    for _ in range(1 << 14):
        writer.write(block)
        await writer.drain()


async def close_at_once(writer, reader):
    writer.close()


# What a bad receiver answers.
BAD = {
    "/500": answer_of(500),
    "/redirect": answer_of(302, [("Location", "/target")]),
    "/short": b"HTTP/1.1 200 X\r\nContent-Length: 999\r\n\r\nshort",
    "/negative": b"HTTP/1.1 200 X\r\nContent-Length: -5\r\n\r\n",
    "/huge": b"HTTP/1.1 200 X\r\nContent-Length: " + b"9" * 300 + b"\r\n\r\n",
    "/garbage": b"\x00\xff\r\n\r\n",
    "/chunks": b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\nzzzz\r\n",
    "/closed": close_at_once,
    "/stall": stall,
}


def test_bad_receivers_delay_no_other_endpoint_and_cost_no_memory(hooked, receiver):
    receiver.answers.update(BAD)
    receiver.answers["/gigabyte"] = send_a_gigabyte
    endpoints = {path: add(hooked, receiver.url(path), types=CREATED) for path in BAD}
    endpoints["/gigabyte"] = add(hooked, receiver.url("/gigabyte"), types=CREATED)
    add(hooked, receiver.url("/good"), types=CREATED)
    before = hooked.anonymous_bytes()
    for number in range(200):
        hooked.publish(f"user-{number}")
    # All of these arrive while other endpoints stall.
    receiver.wait_for(200, "/good")
    assert hooked.anonymous_bytes() - before < 64 << 20
    assert not receiver.to("/target"), "a redirect was followed"
    for path in ("/500", "/redirect", "/negative", "/garbage", "/closed"):
        found = wait_until(f"a failure of {path}", lambda p=path: failures(hooked, endpoints[p]))
        assert all(one["reason"] for one in found), found


def failures(server, endpoint):
    return [one for one in deliveries(server, endpoint) if one["attempts"] > 0]


def test_410_ends_an_endpoint(hooked, receiver):
    receiver.answers["/gone"] = answer_of(410)
    endpoint = add(hooked, receiver.url("/gone"), types=CREATED)
    hooked.publish("ann")
    receiver.wait_for(1, "/gone")
    wait_until("disabled", lambda: state_of(hooked, endpoint) == (False, "gone"))
    hooked.publish("ann")
    add(hooked, receiver.url("/later"), types=CREATED)
    hooked.publish("ann")
    receiver.wait_for(1, "/later")
    assert len(receiver.to("/gone")) == 1


def test_nothing_is_sent_after_the_answer_to_a_deletion(hooked, receiver):
    async def answer_slowly(writer, reader):
        await asyncio.sleep(0.01)
        writer.write(answer_of(200))

    receiver.answers["/"] = answer_slowly
    endpoint = add(hooked, receiver.url(), types=CREATED)
    hooked.publish_many("ann", [f"n {number}" for number in range(500)])
    receiver.wait_for(3)
    assert manage(hooked, "DELETE", f"/{endpoint['id']}").status == 200
    # One attempt at a time for one user: what arrived by now is all.
    count = len(receiver.to("/"))
    add(hooked, receiver.url("/later"), types=CREATED)
    hooked.publish("ann")
    receiver.wait_for(1, "/later")
    assert len(receiver.to("/")) <= count + 1
    assert manage(hooked, "DELETE", f"/{endpoint['id']}").status == 404
    wait_until("the rest is swept", lambda: hooked.total("outbox_deliveries") == 0)


def test_a_deletion_closes_the_connections_of_attempts(hooked, receiver):
    ended = []

    async def wait_for_the_end(writer, reader):
        ended.append(await reader.read())

    receiver.answers["/"] = wait_for_the_end
    endpoint = add(hooked, receiver.url(), types=CREATED)
    for number in range(3):
        hooked.publish(f"user-{number}")
    receiver.wait_for(3)
    assert manage(hooked, "DELETE", f"/{endpoint['id']}").status == 200
    wait_until("all connections ended", lambda: len(ended) == 3)


def test_an_endpoint_is_an_object(hooked, receiver):
    endpoint = add(hooked, receiver.url(), description="Ops", types=["user.online"])
    secret = endpoint.pop("secret")
    assert len(base64.b64decode(secret.removeprefix("whsec_"))) == 32
    assert manage(hooked, "GET").data == {"webhooks": [endpoint]}
    path = f"/{endpoint['id']}"
    assert manage(hooked, "GET", path).data == endpoint
    assert manage(hooked, "GET", "/wh_none").status == 404
    changed = manage(hooked, "PATCH", path, {"description": "New", "enabled": False}).data
    assert changed["description"] == "New" and changed["disabled_reason"] == "by_request"
    assert changed["types"] == ["user.online"]
    test = manage(hooked, "POST", path + "/test", {})
    assert test.status == 202
    assert not receiver.messages
    manage(hooked, "PATCH", path, {"enabled": True})
    (message,) = receiver.wait_for(1)
    assert message.id == test.data["id"] and message.type == "webhook.test"
    own = "whsec_" + base64.b64encode(bytes(range(24))).decode()
    assert add(hooked, receiver.url(), secret=own)["secret"] == own


BAD_BODIES = [
    ({}, "url: is required"),
    ({"url": "ftp://example.com/"}, "url: must begin"),
    ({"url": "https://user@example.com/"}, "url: must have no user"),
    ({"url": "https://example.com/#x"}, "url: must have no fragment"),
    ({"url": "https://example.com/", "types": []}, "types: must name a type"),
    ({"url": "https://example.com/", "types": ["nope"]}, "types: must be of"),
    ({"url": "https://example.com/", "secret": "whsec_AAAA"}, "secret: must be whsec_"),
    ({"url": "https://example.com/", "description": "x" * 257}, "description: over 256"),
    ({"url": "https://example.com/", "what": 1}, "what: unknown field"),
]


@pytest.mark.parametrize("body, reason", BAD_BODIES)
def test_a_wrong_field_is_named(server, body, reason):
    answer = manage(server, "POST", body=body)
    assert answer.status == 422 and answer.error["message"].startswith(reason), answer


NUMBERS = [
    "-1", "604801", "2147483648", "9223372036854775807", "9223372036854775808", "1e308", "0.5",
    "1" * 400, '"5"', "true",
]  # fmt: skip


@pytest.mark.parametrize("number", NUMBERS)
def test_no_number_in_an_overlap_is_a_trap(server, number):
    endpoint = add(server, "https://example.com/")
    body = f'{{"overlap": {number}}}'.encode()
    answer = manage(server, "POST", f"/{endpoint['id']}/rotate", body)
    assert answer.status == 422 and answer.error["message"].startswith("overlap: "), answer
    assert manage(server, "DELETE", f"/{endpoint['id']}").status == 200


def test_webhooks_are_for_publishers(server):
    for method, path in [("GET", ""), ("POST", ""), ("DELETE", "/x"), ("PATCH", "/x")]:
        assert manage(server, method, path).status != 403
        answer = server.request(method, f"/api/v1/webhooks{path}", publisher_token(), body={})
        assert answer.status in (200, 404, 422), answer
        answer = server.request(method, f"/api/v1/webhooks{path}", user_token("ann"), body={})
        assert answer.status == 403, answer


PRIVATE = [
    "127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254",
    "0.0.0.0", "100.64.0.1", "255.255.255.255", "224.0.0.1", "[::1]", "[::]", "[fe80::1]",
    "[fc00::1]", "[::ffff:127.0.0.1]", "[::ffff:169.254.169.254]", "[64:ff9b::7f00:1]",
    "[fd00:ec2::254]",
]  # fmt: skip
SPELLINGS = ["2130706433", "0x7f.1", "017700000001", "127.1", "0177.0.0.1"]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_refused_at_once(server, host):
    answer = manage(server, "POST", body={"url": f"http://{host}/"})
    assert answer.status == 422 and "private or reserved" in answer.error["message"], answer


@pytest.mark.parametrize("host", SPELLINGS)
def test_another_spelling_of_an_address_is_no_host(server, host):
    answer = manage(server, "POST", body={"url": f"http://{host}/"})
    assert answer.status == 422 and answer.error["message"].startswith("url: must have a host")


def test_a_name_with_a_private_address_gets_nothing(make_server, receiver):
    server = make_server(arguments=["--webhook-retries", "1h"])
    endpoint = add(server, f"http://localhost:{receiver.port}/", types=CREATED)
    server.publish("ann")
    (failed,) = wait_until("it failed", lambda: failures(server, endpoint))
    assert failed["reason"] == "the address is private or reserved"
    assert not receiver.messages


def test_preferences_decide_for_their_user(hooked, receiver):
    add(hooked, receiver.url(), types=CREATED)
    channels = {"types": {"news": {"channels": {"webhook": False}}}}
    token = user_token("ann")
    assert hooked.request("PUT", "/api/v1/preferences", token, body=channels).status == 200
    hooked.publish("ann", type="news")
    hooked.publish("bob", type="news")
    hooked.publish("ann", type="other")
    messages = receiver.wait_for(2)
    assert {(one.data["user_id"], one.data["type"]) for one in messages} == {
        ("bob", "news"),
        ("ann", "other"),
    }


def test_a_key_in_the_header_is_enough(server):
    assert server.request("GET", "/api/v1/webhooks", key=API_KEY).data == {"webhooks": []}
