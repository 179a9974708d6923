"""Socket.IO 5, case by case, over each transport: the document, and the reference server."""

# Case 41.

import json
import re
import time

import pytest

from harness.engineio import SOCKET_PATH, TRANSPORTS, ask, expect_error
from harness.raw import PATIENCE
from harness.sizes import size
from harness.socketio import SocketIOClient, acknowledgement, compact, event, placeholder

ROUNDS = size(1, full=100)
ACK_TIMEOUT = 0.2


@pytest.fixture(params=TRANSPORTS)
def opened(request, engine):
    """A session without a namespace yet."""
    with SocketIOClient(engine, request.param) as client:
        yield client


@pytest.fixture
def connected(opened):
    """A session in the main namespace."""
    opened.connect()
    return opened


# Connecting.


def test_the_main_namespace_is_open(opened):
    sid = opened.connect()
    assert sid != opened.engine.sid, "the transport's session id is a secret"
    opened.echoes()


@pytest.mark.parametrize("payload", [{"token": "123"}, {}, {"a": [1, {"b": None}], "é": "\u2028"}])
def test_the_main_namespace_accepts_a_payload(opened, payload):
    opened.connect(payload=payload)
    opened.echoes()


@pytest.mark.parametrize("packet", ["40/custom,", "40/custom"])
def test_a_custom_namespace_is_open(opened, packet):
    opened.send(packet)
    opened.expect_connected("/custom")
    opened.echoes(namespace="/custom")


def test_a_custom_namespace_accepts_a_payload(opened):
    opened.connect("/custom", {"token": "abc"})
    opened.echoes(namespace="/custom")


def test_one_session_is_in_several_namespaces(opened):
    sids = [opened.connect(), opened.connect("/custom")]
    assert sids[0] != sids[1]
    opened.send(*event("message", "a", namespace="/custom"), *event("message", "b"))
    opened.expect(*event("message-back", "a", namespace="/custom"))
    opened.expect(*event("message-back", "b"))


def test_main_and_slash_are_one_namespace(opened):
    opened.send("40/,")
    opened.expect_connected()
    opened.send('42/,["message","a"]')
    opened.expect('42["message-back","a"]')


@pytest.mark.parametrize("packet", ["40/random", "40/random,", '40/random,{"token":"123"}'])
def test_an_unknown_namespace_is_refused(opened, packet):
    opened.send(packet)
    opened.expect('44/random,{"message":"Invalid namespace"}')
    opened.connect()
    opened.echoes()


@pytest.mark.parametrize("name", ["/Custom", "/custom/", "/custom/a", "/é", "/" + "n" * 40])
def test_a_namespace_is_known_by_its_whole_name(opened, name):
    opened.send(f"40{name},")
    opened.expect(f'44{name},{{"message":"Invalid namespace"}}')


UNCONNECTED = [
    "4abc",
    "4",
    "48",
    '42["message","too early"]',
    '43["too early"]',
    "41",
    '45["message"]',
    "40[]",
    '40"text"',
    "40{",
    "40{}{}",
    "40{'token':1}",
    "40/custom,[]",
    "40/custom,{",
    b"binary",
]


@pytest.mark.parametrize("packet", UNCONNECTED)
def test_a_first_packet_that_is_no_connect_closes(opened, packet):
    opened.send_if_taken(packet)
    opened.expect_closed()


@pytest.mark.parametrize("transport", ["polling", "websocket"])
@pytest.mark.parametrize("packet", [None, "40/random"], ids=["nothing", "unknown"])
def test_a_session_without_a_namespace_is_closed(make_engine, transport, packet):
    # Enough time for one packet and its answer on a busy machine.
    allowed = 0.4 if packet is None else 2
    engine = make_engine(connect_timeout=int(allowed * 1_000), ping_interval=60_000)
    start = time.monotonic()
    with SocketIOClient(engine, transport) as silent:
        if packet is not None:
            silent.send(packet)
            silent.expect('44/random,{"message":"Invalid namespace"}')
        silent.expect_closed()
        assert time.monotonic() - start >= allowed - 0.01


@pytest.mark.parametrize("transport", TRANSPORTS)
def test_a_session_that_connects_in_time_stays(make_engine, transport):
    engine = make_engine(connect_timeout=2_500, ping_interval=60_000)
    with SocketIOClient(engine, transport) as client, SocketIOClient(engine) as silent:
        client.connect("/custom")
        # The silent client connects later: once it is closed, the other's timeout has passed, too.
        silent.expect_closed()
        client.echoes(namespace="/custom")


@pytest.mark.parametrize("namespace", ["/", "/custom"])
def test_a_second_connect_closes(opened, namespace):
    opened.connect(namespace)
    opened.send_if_taken("40" if namespace == "/" else "40/custom,")
    opened.expect_closed()


# Disconnecting.


def test_leaving_main_leaves_the_others_open(opened):
    opened.connect()
    opened.connect("/custom")
    opened.send("41")
    opened.echoes(namespace="/custom")


@pytest.mark.parametrize("packet", ["41/custom,", "41/custom"])
def test_leaving_a_custom_namespace_leaves_main_open(opened, packet):
    opened.connect()
    opened.connect("/custom")
    opened.send(packet)
    opened.echoes()


def test_leaving_all_namespaces_leaves_the_transport_open(make_engine):
    engine = make_engine(ping_interval=200, ping_timeout=60_000, connect_timeout=60_000)
    with SocketIOClient(engine) as client:
        client.connect()
        client.send("41")
        for _ in range(3):
            assert client.engine.read() == "2"
            client.send("3")


@pytest.mark.parametrize("namespace", ["/", "/custom"])
def test_a_namespace_can_be_entered_again(opened, namespace):
    first = opened.connect(namespace)
    opened.send("41" if namespace == "/" else "41/custom,")
    second = opened.connect(namespace)
    assert first != second
    opened.echoes(namespace=namespace)


def test_a_packet_for_a_namespace_that_was_left_closes(opened):
    opened.connect()
    opened.connect("/custom")
    opened.send_if_taken("41/custom,", '42/custom,["message","late"]')
    opened.expect_closed()


def test_the_end_of_a_session_ends_its_namespaces(engine, opened):
    opened.connect()
    sid = opened.engine.sid
    opened.send_if_taken("1")
    opened.expect_closed()
    expect_error(ask(engine, path=SOCKET_PATH, sid=sid), 1)


# Messages.


ARGUMENTS = [
    [],
    [1, "2", {"3": [True]}],
    [None, False, -1, 0, 1.5, "", [], {}],
    ['"quoted" \\ \n\t', "é€\U0001f514\u2028", {"é": "\0"}],
    [{"_placeholder": False, "num": 0}],
    [list(range(100)), {str(number): [number] for number in range(100)}],
    ["x" * 50_000],
]


@pytest.mark.parametrize("arguments", ARGUMENTS, ids=range(len(ARGUMENTS)))
@pytest.mark.parametrize("namespace", ["/", "/custom"])
def test_an_event_comes_back_with_its_arguments(opened, namespace, arguments):
    opened.connect(namespace)
    opened.send(*event("message", *arguments, namespace=namespace))
    received = opened.next()
    beginning = "42" if namespace == "/" else "42/custom,"
    assert received.startswith(f"{beginning}["), received
    assert json.loads(received[len(beginning) :]) == ["message-back", *arguments]


def test_an_event_is_written_as_the_reference_writes_it(connected):
    connected.send('42["message",1,"2",{"3":[true]}]')
    connected.expect('42["message-back",1,"2",{"3":[true]}]')


@pytest.mark.parametrize("ack", [0, 1, 456, 2**31, 2**32 + 1, 2**53 - 1])
@pytest.mark.parametrize("namespace", ["/", "/custom"])
def test_an_event_is_acknowledged(opened, namespace, ack):
    opened.connect(namespace)
    arguments = [1, "2", {"3": [False]}]
    opened.send(*event("message-with-ack", *arguments, namespace=namespace, ack=ack))
    opened.expect(*acknowledgement(ack, *arguments, namespace=namespace))


def test_an_acknowledgement_may_be_empty(connected):
    connected.send('4212["message-with-ack"]')
    connected.expect("4312[]")


def test_only_a_requested_acknowledgement_is_sent(connected):
    connected.send('42["message-with-ack",1]', '427["nobody-listens",1]', '42["nobody-listens"]')
    connected.echoes()


def test_binary_arguments_come_back(connected):
    connected.send(
        f'452-["message",{compact(placeholder(0))},{compact(placeholder(1))}]', b"\1\2\3", b"\4\5\6"
    )
    connected.expect(
        '452-["message-back",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]',
        b"\1\2\3",
        b"\4\5\6",
    )


def test_binary_arguments_are_acknowledged(connected):
    placeholders = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}'
    connected.send(f'452-789["message-with-ack",{placeholders}]', b"\1\2\3", b"\4\5\6")
    connected.expect(f"462-789[{placeholders}]", b"\1\2\3", b"\4\5\6")


@pytest.mark.parametrize("count", [1, 2, 10])
@pytest.mark.parametrize("namespace", ["/", "/custom"])
def test_attachments_may_stand_among_other_arguments(opened, namespace, count, chance):
    opened.connect(namespace)
    attached = [chance.randbytes(chance.choice([0, 1, 200, 70_000 // count])) for _ in range(count)]
    arguments = [each for pair in zip(attached, range(count), strict=True) for each in pair]
    opened.send(*event("message", *arguments, namespace=namespace))
    opened.expect(*event("message-back", *arguments, namespace=namespace))
    opened.send(*event("message-with-ack", *arguments, namespace=namespace, ack=3))
    opened.expect(*acknowledgement(3, *arguments, namespace=namespace))


def test_attachments_stand_where_they_were_put(connected):
    """Attachments deep within an argument, and in another order than they are sent."""
    arguments = [{"a": [placeholder(1), {"b": placeholder(0)}]}, placeholder(2)]
    connected.send(f'453-["message",{compact(arguments)[1:]}', b"zero", b"one", b"two")
    received = connected.next()
    found = re.fullmatch(r"453-(\[.*\])", received)
    assert found, received
    attachments = [connected.next() for _ in range(3)]

    def restored(value):
        if isinstance(value, dict) and value.get("_placeholder") is True:
            return attachments[value["num"]].decode()
        if isinstance(value, dict):
            return {name: restored(each) for name, each in value.items()}
        return [restored(each) for each in value] if isinstance(value, list) else value

    said = restored(json.loads(found[1]))
    assert said == ["message-back", {"a": ["one", {"b": "zero"}]}, "two"]


def test_messages_of_all_kinds_keep_their_order(opened, chance):
    opened.connect()
    opened.connect("/custom")
    expected = []
    for number in range(200):
        namespace = chance.choice(["/", "/custom"])
        arguments = chance.choice([[number], [number, b"binary"], [b"", number, b"\xff" * 300]])
        if chance.random() < 0.5:
            sent = event("message", *arguments, namespace=namespace)
            expected += event("message-back", *arguments, namespace=namespace)
        else:
            sent = event("message-with-ack", *arguments, namespace=namespace, ack=number)
            expected += acknowledgement(number, *arguments, namespace=namespace)
        opened.send(*sent)
    opened.expect(*expected)


# Invalid packets.


INVALID = [
    "4abc",
    "4",
    "47",
    '48["message"]',
    '4-1["message"]',
    "42",
    "42{}",
    "42[]",
    '42"message"',
    "42null",
    "42[null]",
    "42[true]",
    "42[{}]",
    '42[["message"]]',
    '42["message"',
    '42["message"]x',
    '42["message"]["message"]',
    '42["message",]',
    "42['message']",
    '42["message",NaN]',
    '42["message",01]',
    '42["message","\\ud800x',
    '42["message",' + "[" * 40 + "]" * 40 + "]",
    "42/admin,xxx",
    '42/admin,["message","not connected"]',
    '42/admin["message"]',
    '42abc["message-with-ack",1]',
    '42-1["message-with-ack",1]',
    '421.5["message-with-ack",1]',
    '421e3["message-with-ack",1]',
    '42+1["message-with-ack",1]',
    '42 1["message-with-ack",1]',
    '420x1["message-with-ack",1]',
    "42" + "9" * 20 + '["message-with-ack",1]',
    "42" + "9" * 400 + '["message-with-ack",1]',
    "431",
    "431{}",
    '431"text"',
    "43abc[]",
    "43" + "9" * 400 + "[]",
    "41{}",
    "41[]",
    '41"bye"',
    '44{"message":"to the server"}',
    '44/custom,"never entered"',
    b"nobody announced this",
]


@pytest.mark.parametrize("packet", INVALID, ids=range(len(INVALID)))
def test_an_invalid_packet_closes_the_session(connected, packet):
    connected.send_if_taken(packet)
    connected.expect_closed()


RESERVED = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
]


@pytest.mark.parametrize("name", RESERVED)
def test_a_reserved_name_is_no_event(connected, name):
    connected.send_if_taken(*event(name, "x"))
    connected.expect_closed()


@pytest.mark.parametrize("name", ["Connect", "connection", "error", "ping", "message-", "é", ""])
def test_another_name_is_an_event_that_may_have_no_listener(connected, name):
    connected.send(*event(name, "x"))
    connected.echoes()


def test_packets_after_an_invalid_one_are_ignored(connected):
    connected.send_if_taken("42{}", *event("message", "too late"))
    connected.expect_closed()


# Acknowledgements that the server asks for.


def asked(client, arguments, namespace="/"):
    """Makes the server ask; returns the id of the acknowledgement it asks for."""
    client.send(*event("ask", *arguments, namespace=namespace))
    question = client.next()
    beginning = "42" if namespace == "/" else "42/custom,"
    found = re.fullmatch(rf"{re.escape(beginning)}(\d+)(\[.*\])", question)
    assert found, question
    assert json.loads(found[2]) == ["question", *arguments]
    return int(found[1])


def answered(client, answer, namespace="/"):
    """Answers the server's questions until an answer is in time; a busy machine may need several.

    The server may call an answer late only after its whole timeout.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        start = time.monotonic()
        identifier = asked(client, ["really", 1], namespace)
        client.send(*acknowledgement(identifier, *answer, namespace=namespace))
        received = client.next()
        if received != event("unanswered", namespace=namespace)[0]:
            return [received, *(client.next() for each in answer if isinstance(each, bytes))]
        assert time.monotonic() - start >= ACK_TIMEOUT - 0.01
    raise AssertionError("no answer was in time")


@pytest.mark.parametrize("namespace", ["/", "/custom"])
@pytest.mark.parametrize("answer", [[], [1, "2", {"3": [None]}], [b"\1\2", "x", b""]])
def test_the_server_receives_an_acknowledgement(opened, namespace, answer):
    opened.connect(namespace)
    said = answered(opened, answer, namespace)
    assert said == event("answered", *answer, namespace=namespace)


def test_the_server_waits_for_its_timeout(connected):
    start = time.monotonic()
    identifier = asked(connected, [])
    connected.expect(*event("unanswered"))
    assert time.monotonic() - start >= ACK_TIMEOUT - 0.01
    # Too late: the acknowledgement has no effect.
    connected.send(*acknowledgement(identifier, "late"))
    connected.echoes()


def test_an_acknowledgement_counts_once(connected):
    said = answered(connected, ["once"])
    assert said == event("answered", "once")
    identifier = asked(connected, [])
    connected.send(*acknowledgement(identifier, 1), *acknowledgement(identifier, 2))
    outcome = connected.next()
    assert outcome in (event("answered", 1)[0], event("unanswered")[0])
    connected.echoes()


def test_an_unsolicited_acknowledgement_is_ignored(connected):
    for identifier in (0, 1, 456, 2**53 - 1):
        connected.send(*acknowledgement(identifier, "x"))
        connected.send(*acknowledgement(identifier, b"x"))
    connected.echoes()


def test_an_acknowledgement_of_another_namespace_does_not_count(opened):
    opened.connect()
    opened.connect("/custom")
    identifier = asked(opened, [])
    opened.send(*acknowledgement(identifier, "foreign", namespace="/custom"))
    opened.expect(*event("unanswered"))


def test_several_questions_are_answered_each_by_its_own(connected):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        start, identifiers, outcomes = time.monotonic(), [], []
        for number in range(5):
            connected.send(*event("ask", number))
        while len(outcomes) < 5:
            received = connected.next()
            question = re.fullmatch(r'42(\d+)\["question",(\d)\]', received)
            if question is None:
                outcomes.append(received)
                continue
            assert int(question[2]) == len(identifiers)
            identifiers.append(int(question[1]))
            if len(identifiers) == 5:
                for number in reversed(range(5)):
                    connected.send(*acknowledgement(identifiers[number], number))
        assert len(set(identifiers)) == 5
        if event("unanswered")[0] not in outcomes:
            assert outcomes == [event("answered", number)[0] for number in reversed(range(5))]
            return
        # On a busy machine one answer may be late; the server then reports it as unanswered.
        assert time.monotonic() - start >= ACK_TIMEOUT - 0.01
    raise AssertionError("no round had all answers in time")
