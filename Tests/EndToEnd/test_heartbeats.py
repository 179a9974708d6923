"""Heartbeats with real clients and a real clock: minutes long, so only at full size.

The tests in process check the exact seconds, with a clock of their own.
"""

import json
import time

import pytest

from harness.bell import Bell
from harness.clients import EVENT_PATH, FLAT_PATH
from harness.dialects import TYPED_PATH
from harness.raw import CLOSE, PING, PONG, TEXT, RawWebSocket
from harness.times import is_timestamp
from harness.tokens import user_token
from harness.waiting import wait_until

pytestmark = pytest.mark.timeout(300)


def test_a_bell_that_answers_stays_and_one_that_does_not_is_closed(server, fresh_user):
    token, start = user_token(fresh_user()), time.monotonic()
    with (
        Bell(server.websocket_url, token) as alive,
        Bell(server.websocket_url, token, answers_pings=False) as dead,
    ):
        wait_until("both are connected", lambda: alive.is_connected and dead.is_connected)
        wait_until("the first ping", lambda: alive.pings == dead.pings == 1, within=40)
        assert 28 < time.monotonic() - start < 34
        wait_until("the dead one is closed", lambda: dead.close_codes, within=40)
        assert 58 < time.monotonic() - start < 66
        wait_until("the third ping", lambda: alive.pings == 3, within=40)
        assert dead.close_codes == [1001] and alive.close_codes == []
        assert (alive.greetings, dead.greetings) == (1, 2), "the closed bell connects again"


@pytest.mark.parametrize("path, interval", [(FLAT_PATH, 54), (EVENT_PATH, 30), (TYPED_PATH, 30)])
def test_a_client_is_pinged_at_its_documents_interval(server, fresh_user, path, interval):
    url = f"{path}?token={user_token(fresh_user())}"
    with RawWebSocket(server, url) as alive, RawWebSocket(server, url) as silent:
        start = time.monotonic()
        opcode, payload = next_control(alive, within=interval + 5)
        assert opcode == PING and interval - 2 < time.monotonic() - start < interval + 4
        alive.send_frame(PONG, payload)
        while (control := next_control(silent, within=70))[0] == PING:
            pass
        assert control == (CLOSE, (1001).to_bytes(2, "big") + control[1][2:])
        assert 58 < time.monotonic() - start < 68
        alive.answers()


@pytest.mark.parametrize(
    "path, heartbeat",
    [
        (FLAT_PATH, {"type": "heartbeat"}),
        (EVENT_PATH, {"event": "heartbeat", "data": {}}),
        (TYPED_PATH, {"type": "heartbeat", "data": {}}),
    ],
)
def test_a_client_that_resumes_sees_a_heartbeat(server, fresh_user, path, heartbeat):
    with RawWebSocket(server, f"{path}?token={user_token(fresh_user())}&since=") as tab:
        tab.read_frame()
        start = time.monotonic()
        seen = []
        while len(seen) < 2:
            opcode, payload = tab.read_frame(within=30)
            if opcode == TEXT and b"heartbeat" in payload:
                shown = json.loads(payload)
                if "timestamp" in shown:
                    assert path != FLAT_PATH and is_timestamp(shown.pop("timestamp"))
                assert shown == heartbeat
                seen.append(time.monotonic() - start)
        assert 24 < seen[0] < 26 and 24 < seen[1] - seen[0] < 26


def next_control(tab, within):
    """The next ping or close; skips the messages that the dialect sends at the start."""
    while True:
        opcode, payload = tab.read_frame(within)
        if opcode in (PING, CLOSE):
            return opcode, payload
        json.loads(payload)
