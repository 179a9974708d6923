"""The cases of the protocols' own conformance suites, each with the test here that covers it.

Socket.IO's repository has a suite for Engine.IO 4 and one for Socket.IO 5. The latter begins with
the Engine.IO cases that also apply below Socket.IO. This file lists each case in the suites' order
with the test and the parameters that cover it. `-m official` runs exactly these tests; with
CARILLON_FULL=1 it runs each a hundred times.
"""

# Case 41.

import math
from dataclasses import dataclass

from harness.engineio import ENGINE_PATH, SOCKET_PATH

ABSENT = None


@dataclass(frozen=True)
class Case:
    """One case of an official suite, and the test that covers it.

    `parameters` are those of the test. A tuple stands for several values, because the official case
    sends several requests.
    """

    name: str
    test: str
    parameters: dict

    @property
    def item_count(self):
        """How many parametrized tests cover this case."""
        return math.prod(len(alternatives(each)) for each in self.parameters.values())

    def is_covered_by(self, test, parameters):
        return test == self.test and all(
            name in parameters and parameters[name] in alternatives(expected)
            for name, expected in self.parameters.items()
        )


def alternatives(value):
    return value if isinstance(value, tuple) else (value,)


def cases_of(item):
    """Returns the cases that a collected test covers."""
    callspec = getattr(item, "callspec", None)
    parameters = callspec.params if callspec is not None else {}
    test = f"{item.path.name}::{getattr(item, 'originalname', item.name)}"
    return [case for case in OFFICIAL if case.is_covered_by(test, parameters)]


def cases(suite, section, file, rows, **everywhere):
    """Returns the cases of one section from rows of (claim, test, parameters)."""
    return [
        Case(f"{suite}, {section}: {claim}", f"{file}::test_{test}", {**everywhere, **parameters})
        for claim, test, parameters in rows
    ]


def transport_cases(suite, path):
    """Returns the transport cases that both suites share, for the path of one suite."""
    polling, websocket = {"transport": "polling"}, {"transport": "websocket"}
    begins = [
        ("polling opens a session", "the_open_packet_reports_the_settings_in_force", polling),
        (
            "polling with another version fails",
            "another_version_of_the_protocol_is_refused",
            {**polling, "version": (ABSENT, "abc")},
        ),
        (
            "polling with another transport fails",
            "another_transport_is_refused",
            {"is_upgrade": False, "name": (ABSENT, "abc")},
        ),
        (
            "polling with another method fails",
            "another_method_opens_no_session",
            {"method": ("POST", "PUT")},
        ),
        ("a WebSocket opens a session", "the_open_packet_reports_the_settings_in_force", websocket),
        (
            "a WebSocket with another version fails",
            "another_version_of_the_protocol_is_refused",
            {**websocket, "version": (ABSENT, "abc")},
        ),
        (
            "a WebSocket with another transport fails",
            "another_transport_is_refused",
            {"is_upgrade": True, "name": (ABSENT, "abc")},
        ),
    ]
    beats = [
        ("pings over polling", "a_ping_comes_every_interval_and_one_at_a_time", polling),
        ("silence ends polling", "a_session_without_a_poll_is_closed_too", {}),
        ("pings over a WebSocket", "a_ping_comes_every_interval_and_one_at_a_time", websocket),
        ("silence ends a WebSocket", "a_session_that_does_not_answer_is_closed", websocket),
    ]
    ends = [
        ("a client that polls closes", "a_close_packet_by_polling_ends_the_session", {}),
        ("a client on a WebSocket closes", "a_close_packet_by_websocket_ends_the_session", {}),
    ]
    upgrades = [
        ("from polling to a WebSocket", "a_session_upgrades_to_websocket", {"first": "probe"}),
        ("requests afterwards are refused", "requests_of_an_upgraded_session_are_refused", {}),
        (
            "WebSockets afterwards are refused",
            "a_second_websocket_for_a_session_is_closed",
            {"transport": "upgraded"},
        ),
    ]
    sessions = "test_engineio_sessions.py"
    return (
        cases(suite, "handshake", "test_engineio.py", begins, path=path)
        + cases(suite, "heartbeat", sessions, beats, path=path)
        + cases(suite, "close", sessions, ends, path=path)
        + cases(suite, "upgrade", sessions, upgrades, path=path)
    )


ENGINE_MESSAGES = [
    ("one packet", "a_payload_of_one_packet_is_echoed", {}),
    ("several packets", "a_payload_of_several_packets_is_echoed_in_order", {}),
    ("text and binary", "binary_travels_in_base64_by_polling", {}),
    ("bad packet by polling", "an_ill_formed_payload_closes_the_session", {"body": b"abc"}),
    ("two polls at once", "two_polls_at_once_close_the_session", {}),
    ("a poll that is cancelled", "a_poll_that_is_cancelled_closes_the_session", {}),
    (
        "text over a WebSocket",
        "any_text_comes_back_as_it_went",
        {"transport": "websocket", "text": "hello"},
    ),
    ("binary over a WebSocket", "any_bytes_come_back_as_they_went", {"transport": "websocket"}),
    ("bad packet over a WebSocket", "an_ill_formed_packet_closes_the_websocket", {"text": b"abc"}),
]
CONNECTS = [
    ("to main", "the_main_namespace_is_open", {}),
    (
        "to main with a payload",
        "the_main_namespace_accepts_a_payload",
        {"payload": {"token": "123"}},
    ),
    ("to a custom namespace", "a_custom_namespace_is_open", {"packet": "40/custom,"}),
    ("to a custom namespace with a payload", "a_custom_namespace_accepts_a_payload", {}),
    ("to an unknown namespace", "an_unknown_namespace_is_refused", {"packet": "40/random"}),
    ("with a bad packet", "a_first_packet_that_is_no_connect_closes", {"packet": "4abc"}),
]
CONNECTS_IN_TIME = [
    (
        "to nothing, in time",
        "a_session_without_a_namespace_is_closed",
        {"transport": "websocket", "packet": ABSENT},
    ),
]
DISCONNECTS = [("from main", "leaving_all_namespaces_leaves_the_transport_open", {})]
DISCONNECTS_OF_ONE = [
    (
        "from a custom namespace",
        "leaving_a_custom_namespace_leaves_main_open",
        {"packet": "41/custom"},
    ),
]
SOCKET_MESSAGES = [
    ("text", "an_event_is_written_as_the_reference_writes_it", {}),
    ("binary", "binary_arguments_come_back", {}),
    ("text, acknowledged", "an_event_is_acknowledged", {"namespace": "/", "ack": 456}),
    ("binary, acknowledged", "binary_arguments_are_acknowledged", {}),
    ("an unknown type", "an_invalid_packet_closes_the_session", {"packet": "4abc"}),
    ("a payload of another form", "an_invalid_packet_closes_the_session", {"packet": "42{}"}),
    (
        "an invalid acknowledgement id",
        "an_invalid_packet_closes_the_session",
        {"packet": '42abc["message-with-ack",1]'},
    ),
]
ENGINE, SOCKET = "Engine.IO 4", "Socket.IO 5"
OVER_WEBSOCKET = {"opened": "websocket"}
OFFICIAL = [
    *transport_cases(ENGINE, ENGINE_PATH),
    *cases(ENGINE, "message", "test_engineio.py", ENGINE_MESSAGES),
    *transport_cases(SOCKET, SOCKET_PATH),
    *cases(SOCKET, "connect", "test_socketio.py", CONNECTS, **OVER_WEBSOCKET),
    *cases(SOCKET, "connect", "test_socketio.py", CONNECTS_IN_TIME),
    *cases(SOCKET, "disconnect", "test_socketio.py", DISCONNECTS),
    *cases(SOCKET, "disconnect", "test_socketio.py", DISCONNECTS_OF_ONE, **OVER_WEBSOCKET),
    *cases(SOCKET, "message", "test_socketio.py", SOCKET_MESSAGES, **OVER_WEBSOCKET),
]
