"""Engine.IO 4, case by case: handshake, messages, and the addresses requests come from.

The tests follow the protocol document, and the reference server where the document is silent.
"""

# Case 41.

import collections
import json
import math
import string

import pytest

from harness.engineio import (
    ENGINE_PATH,
    ERRORS,
    PLAIN,
    SOCKET_PATH,
    TRANSPORTS,
    Attempt,
    PollingClient,
    Requests,
    WebSocketClient,
    ask,
    decode,
    expect_error,
    expect_refused,
    open_client,
    read_open,
    request,
    target,
)
from harness.raw import (
    BINARY,
    CONTINUATION,
    TEXT,
    RawConnection,
    exchange,
    frame_header,
    upgrade_request,
)
from harness.sizes import size
from harness.waiting import wait_until

ROUNDS = size(1, full=100)
UNKNOWN_SID = "AAAAAAAAAAAAAAAAAAAAAA"
MEGABYTE = 1_000_000


# The handshake.


def test_polling_opens_a_session(engine):
    answer = ask(engine)
    assert (answer.status, answer.headers["content-type"]) == (200, PLAIN)
    sid = read_open(answer.bytes.decode())["sid"]
    expected = (
        f'0{{"sid":"{sid}","upgrades":["websocket"],'
        '"pingInterval":60000,"pingTimeout":60000,"maxPayload":1000000}'
    )
    assert answer.bytes.decode() == expected


def test_a_websocket_opens_a_session(engine):
    with WebSocketClient(engine) as client:
        expected = {"pingInterval": 60_000, "pingTimeout": 60_000, "maxPayload": MEGABYTE}
        assert client.opening == {"sid": client.sid, "upgrades": [], **expected}


@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_the_open_packet_reports_the_settings_in_force(make_engine, path, transport):
    with open_client(transport, make_engine(), path) as client:
        said = [client.opening[name] for name in ("pingInterval", "pingTimeout", "maxPayload")]
        assert said == [300, 200, MEGABYTE]
        assert client.opening["upgrades"] == (["websocket"] if transport == "polling" else [])


def test_an_unknown_parameter_is_ignored(engine):
    answer = ask(engine, t="PkV3fZ1", b64="1", EIO="4", name="é & =")
    assert answer.status == 200, answer


VERSIONS = [None, "", "3", "5", "44", "4.0", "04", "+4", "abc", "9" * 40]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("transport", ["polling", "websocket"])
def test_another_version_of_the_protocol_is_refused(engine, path, transport, version):
    if transport == "polling":
        expect_error(ask(engine, path=path, EIO=version), 5)
    else:
        refused = target(path, "websocket", EIO=version)
        expect_error(exchange(engine, upgrade_request(refused)), 5)


NAMES = [None, "", "abc", "Polling", "webtransport", "flashsocket", "polling,websocket"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("is_upgrade", [False, True], ids=["request", "upgrade"])
def test_another_transport_is_refused(engine, path, is_upgrade, name):
    if is_upgrade:
        expect_error(exchange(engine, upgrade_request(target(path, name))), 0)
    else:
        expect_error(ask(engine, path=path, transport=name), 0)
        expect_error(ask(engine, path=path, transport=name, sid=UNKNOWN_SID), 0)


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_method_opens_no_session(engine, path, method):
    expect_error(ask(engine, method, path=path, body=b"4hello"), 2)


def test_a_websocket_session_is_not_opened_by_a_plain_request(engine):
    expect_error(ask(engine, transport="websocket"), 3)


@pytest.mark.parametrize("sid", [UNKNOWN_SID, "x", "é", "A" * 4_000, "../../etc/passwd"])
def test_a_session_that_was_never_opened_is_unknown(engine, sid):
    expect_error(ask(engine, sid=sid), 1)
    expect_error(ask(engine, "POST", body=b"4hello", sid=sid), 1)
    if sid.isascii():
        refused = target(ENGINE_PATH, "websocket", sid)
        assert exchange(engine, upgrade_request(refused)).status == 400


def test_the_errors_are_the_reference_servers(engine):
    for code, query in {
        0: {"transport": "abc"},
        1: {"sid": UNKNOWN_SID},
        3: {"transport": "websocket"},
        5: {"EIO": "3"},
    }.items():
        answer = ask(engine, **query)
        assert (
            answer.bytes
            == json.dumps({"code": code, "message": ERRORS[code]}, separators=(",", ":")).encode()
        )


def test_a_session_is_known_at_its_own_path_alone(engine):
    with PollingClient(engine) as client:
        expect_error(ask(engine, path=SOCKET_PATH, sid=client.sid), 1)
        client.send("4mine")
        assert client.next() == "4mine"


def test_a_sid_holds_a_hundred_and_twenty_eight_random_bits(make_engine):
    # Case 42.
    engine, sids, count = make_engine(), [], 10_000
    requests = Requests(engine)
    for _ in range(count // 100):
        # Pipeline a hundred requests at a time; the answers come in request order.
        for _ in range(100):
            requests.ask("GET", target(ENGINE_PATH, "polling"))
        sids += [read_open(requests.answer().bytes.decode())["sid"] for _ in range(100)]
    requests.close()
    assert len(set(sids)) == count
    assert set("".join(sids)) <= set(string.ascii_letters + string.digits + "-_")
    length, bits, varied = len(sids[0]), 0.0, 0
    assert {len(sid) for sid in sids} == {length}
    for position in range(length):
        found = collections.Counter(sid[position] for sid in sids)
        bits -= sum(n / count * math.log2(n / count) for n in found.values())
        varied += len(found) > 1
    # One or two characters may encode the shard: these are the same for a whole connection.
    assert varied >= 22, varied
    # The estimate from this many samples is a fifth of a bit below the true entropy.
    assert bits >= 127.5, bits


# Messages.


def test_a_payload_of_one_packet_is_echoed(engine):
    with PollingClient(engine) as client:
        client.send("4hello")
        client.begin_poll()
        answer = client.end_poll()
        assert answer.bytes == b"4hello" and answer.headers["content-type"] == PLAIN


def test_a_payload_of_several_packets_is_echoed_in_order(engine):
    with PollingClient(engine) as client:
        client.send("4one", "4two", "4three")
        client.begin_poll()
        assert client.end_poll().bytes == b"4one\x1e4two\x1e4three"


def test_binary_travels_in_base64_by_polling(engine):
    with PollingClient(engine) as client:
        client.send("4text", b"\x01\x02\x03\x04", b"", b"\xff\xfe\xfd", "4")
        client.begin_poll()
        assert client.end_poll().bytes == b"4text\x1ebAQIDBA==\x1eb\x1eb//79\x1e4"


def test_the_next_packets_answer_a_waiting_poll(engine):
    with PollingClient(engine) as client:
        client.begin_poll()
        client.send("4one", "4two")
        assert [client.next(), client.next()] == ["4one", "4two"]


def test_packets_posted_one_by_one_wait_for_a_poll(engine):
    with PollingClient(engine) as client:
        sent = [f"4{number}" for number in range(50)]
        for packet in sent:
            client.send(packet)
        polls = []
        while sum(map(len, polls)) < len(sent):
            # A payload holds no more packets than python-engineio's client accepts.
            polls.append(client.poll())
            assert len(polls[-1]) <= 16
        assert [packet for each in polls for packet in each] == sent


def test_a_payload_needs_no_content_type(engine):
    with PollingClient(engine) as client:
        assert client.post(b"4hello", headers=()).bytes == b"ok"
        assert client.next() == "4hello"


def test_a_payload_in_chunks_is_a_payload(engine):
    with PollingClient(engine) as client:
        body = b"3\r\n4he\r\n6\r\nllo\x1e4a\r\n1\r\nb\r\n0\r\n\r\n"
        assert client.post(body, [("Transfer-Encoding", "chunked")]).bytes == b"ok"
        assert [client.next(), client.next()] == ["4hello", "4ab"]


TEXTS = ["hello", "", "€", "\U0001f514 é\u2028\ufeff\0\r\n\t", '{"a":[1,"2"]}', "b64", "4"]
TEXTS += ["x" * 100_000]


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
@pytest.mark.parametrize("transport", TRANSPORTS)
def test_any_text_comes_back_as_it_went(engine, transport, text):
    with open_client(transport, engine) as client:
        client.send(f"4{text}")
        assert client.next() == f"4{text}"


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_any_bytes_come_back_as_they_went(engine, transport, chance):
    sent = [bytes(range(256)), b"", *(chance.randbytes(n) for n in (1, 2, 3, 125, 126, 70_000))]
    with open_client(transport, engine) as client:
        client.send(*sent)
        assert [client.next() for _ in sent] == sent


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_text_and_binary_keep_their_order(engine, transport, chance):
    sent = [chance.choice([f"4{n}", str(n).encode()]) for n in range(200)]
    with open_client(transport, engine) as client:
        for start in range(0, len(sent), 20):
            client.send(*sent[start : start + 20])
        assert [client.next() for _ in sent] == sent


def test_a_message_in_fragments_is_a_message(engine):
    with WebSocketClient(engine) as client:
        client.socket.send_frame(TEXT, b"4he", final=False)
        client.socket.send_frame(CONTINUATION, b"llo")
        client.socket.send_frame(BINARY, b"\x01", final=False)
        client.socket.send_frame(CONTINUATION, b"\x02")
        assert [client.next(), client.next()] == ["4hello", b"\x01\x02"]


ILL_FORMED = [
    b"",
    b"abc",
    b"7",
    b"9hello",
    b"-1",
    b" 4hello",
    b"\x004hello",
    b"\x1e",
    b"4a\x1e",
    b"\x1e4a",
    b"4a\x1e\x1e4b",
    b"4a\x1eabc",
    b"b!!!!",
    b"bA",
    b"bAQIDB",
    b"bAQ=DBA==",
    b"bAQID\x1eb?",
    b"4\xff",
    b"4\xed\xa0\x80",
    b"4\xe2\x82",
    "４hello".encode(),
]


@pytest.mark.parametrize("body", ILL_FORMED)
def test_an_ill_formed_payload_closes_the_session(engine, body):
    with PollingClient(engine) as client:
        assert client.post(body).status == 400
        client.expect_closed()
        expect_error(client.post(b"4hello"), 1)


def test_an_ill_formed_payload_ends_the_waiting_poll(engine):
    with PollingClient(engine) as client:
        client.begin_poll()
        assert client.post(b"abc").status == 400
        client.expect_closed()


def test_two_polls_at_once_close_the_session(engine):
    # Case 40.
    with PollingClient(engine) as client, PollingClient(engine) as bystander:
        client.begin_poll()
        second = Requests(engine).exchange("GET", client.target)
        assert second.status == 400
        assert client.poll() == ["1"]
        client.expect_closed()
        bystander.send("4untouched")
        assert bystander.next() == "4untouched"


def test_a_poll_that_is_cancelled_closes_the_session(engine):
    with PollingClient(engine) as client, PollingClient(engine) as bystander:
        client.begin_poll()
        client.polling.close()
        # The packets of the cancelled poll are lost, and the server cannot know which they were.
        wait_until("the session is closed", lambda: client.post(b"4hello").status == 400)
        expect_error(client.post(b"4hello"), 1)
        bystander.send("4untouched")
        assert bystander.next() == "4untouched"


def test_two_posts_at_once_are_never_mixed(engine):
    """The document closes the session; a server that handles only whole posts may accept both."""
    with PollingClient(engine) as client:
        whole = request("POST", client.target, b"4first, and long in coming")
        first = RawConnection(engine)
        first.send(whole[:-10])
        wait_until("half of it is read", first.is_read)
        answer = client.post(b"4second")
        first.send_if_open(whole[-10:])
        if answer.status == 200:
            assert first.read_answer().bytes == b"ok"
            assert client.poll() == ["4second", "4first, and long in coming"]
        else:
            assert answer.status == 400
            client.expect_closed()
        first.close()


@pytest.mark.parametrize("text", [b"", b"abc", b"7", b"9hello", b" 4", b"\x1e", b"b AQIDBA=="])
def test_an_ill_formed_packet_closes_the_websocket(engine, text):
    with WebSocketClient(engine) as client:
        client.socket.send_frame(TEXT, text)
        assert client.expect_closed() == []
        expect_error(ask(engine, sid=client.sid), 1)


def test_text_that_is_not_utf8_closes_with_1007(engine):
    with WebSocketClient(engine) as client:
        client.socket.send_frame(TEXT, b"4\xff")
        client.expect_closed()
        assert client.code == 1007


# Size limits.


@pytest.mark.parametrize("chunked", [False, True])
def test_a_payload_over_the_advertised_limit_is_refused(engine, chunked):
    # Case 40.
    def body_of(count):
        body = b"4" + b"x" * (count - 1)
        if not chunked:
            return body, ()
        return b"%x\r\n%b\r\n0\r\n\r\n" % (count, body), [("Transfer-Encoding", "chunked")]

    with PollingClient(engine) as client:
        assert client.post(*body_of(MEGABYTE)).bytes == b"ok"
        assert len(client.next()) == MEGABYTE
        assert client.post(*body_of(MEGABYTE + 1)).status == 413


def test_a_message_over_the_advertised_limit_is_refused(engine):
    with WebSocketClient(engine) as client:
        for largest in ("4" + "x" * (MEGABYTE - 1), b"y" * MEGABYTE):
            client.send(largest)
            assert client.next() == largest
        # The limit may exclude the type digit of a text.
        client.socket.send_if_open(frame_header(TEXT, MEGABYTE + 2) + b"4xxx")
        client.expect_closed()
        assert client.code == 1009
    with WebSocketClient(engine) as client:
        client.send(b"y" * (MEGABYTE + 1))
        client.expect_closed()
        assert client.code == 1009


# The addresses requests come from.


def test_the_session_is_the_same_at_both_addresses(engine):
    with PollingClient(engine.over_ipv6) as client:
        client.send("4over six")
        assert client.next() == "4over six"
        assert ask(engine, "POST", body=b"4over four", sid=client.sid).bytes == b"ok"
        assert client.next() == "4over four"
        answer = ask(engine, sid=client.sid, method="POST", body=b"4and back")
        assert answer.status == 200
        assert decode(ask(engine, sid=client.sid).bytes) == ["4and back"]
        with WebSocketClient(engine, sid=client.sid) as four:
            four.send("2probe", "5", "4upgraded")
            assert [four.read(), four.read()] == ["3probe", "4upgraded"]
    with WebSocketClient(engine.over_ipv6) as client:
        client.send("4over six")
        assert client.next() == "4over six"


@pytest.mark.parametrize("shards", [2, 5])
def test_each_request_may_reach_another_shard(make_engine, shards):
    calm = {"ping_interval": 60_000, "ping_timeout": 60_000}
    engine = make_engine(shards=shards, **calm)
    with PollingClient(engine, fresh=True) as client:
        for number in range(40):
            client.begin_poll()
            client.send(f"4{number}")
            assert client.next() == f"4{number}"
        sent = [f"4{number}" for number in range(40)]
        for packet in sent:
            client.send(packet)
        assert [client.next() for _ in sent] == sent
    for _ in range(10):
        with open_client("upgraded", engine) as client:
            expect_error(ask(engine, sid=client.sid), 3)
            expect_refused(engine, target(ENGINE_PATH, "websocket", client.sid))
            client.send("4mine")
            assert client.read() == "4mine"
    # Of two simultaneous polls the server accepts one and refuses the other.
    for _ in range(10):
        with PollingClient(engine, fresh=True) as client:
            polls = [Requests(engine) for _ in range(2)]
            for each in polls:
                each.ask("GET", client.target)
            answers = sorted((each.answer() for each in polls), key=lambda answer: answer.status)
            assert [answer.status for answer in answers] == [200, 400]
            assert answers[0].bytes == b"1"
            client.expect_closed()


def test_pages_of_an_allowed_origin_connect_and_others_do_not(make_server):
    ours, theirs = "https://ours.example", "https://theirs.example"
    # The product itself, because the test-only server allows every origin.
    server = make_server(environment={"WEBSOCKET_CORS_ORIGINS": ours})
    asked = [("Access-Control-Request-Method", "POST")]
    asked.append(("Access-Control-Request-Headers", "content-type"))
    preflight = ask(server, "OPTIONS", headers=[("Origin", ours), *asked], path=SOCKET_PATH)
    assert preflight.status == 204, preflight
    assert preflight.headers["access-control-allow-origin"] == ours
    assert "POST" in preflight.headers["access-control-allow-methods"]
    assert "content-type" in preflight.headers["access-control-allow-headers"].lower()
    answer = ask(server, headers=[("Origin", ours)], path=SOCKET_PATH)
    assert answer.status == 200 and answer.headers["access-control-allow-origin"] == ours
    assert "origin" in answer.headers["vary"].lower()
    refused = ask(server, headers=[("Origin", ours)], path=SOCKET_PATH, sid=UNKNOWN_SID)
    assert refused.headers["access-control-allow-origin"] == ours
    foreign = ask(server, "OPTIONS", headers=[("Origin", theirs), *asked], path=SOCKET_PATH)
    assert "access-control-allow-origin" not in foreign.headers
    answer = ask(server, headers=[("Origin", theirs)], path=SOCKET_PATH)
    assert "access-control-allow-origin" not in answer.headers
    path = target(SOCKET_PATH, "websocket")
    for origin, status in ((ours, 101), (theirs, 403)):
        with Attempt(server, path, [("Origin", origin)]) as attempt:
            assert attempt.answer.startswith(f"HTTP/1.1 {status} "), attempt.answer
