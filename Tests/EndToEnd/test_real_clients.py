"""Clients as they come from PyPI and Debian, each used as its own documentation shows.

Readers of event streams in Python are in test_sse_readers.py, python-socketio in
test_python_socketio.py; Socket.IO's JavaScript client is in test_ghostpay.py and
test_socketio_recovery.py.
"""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from harness.clients import EVENT_PATH, FLAT_PATH, INBOX_PATH
from harness.raw import PATIENCE
from harness.script import Script
from harness.server import API_KEY
from harness.socketio_js import CLIENTS
from harness.streams import STREAM_PATH
from harness.tokens import user_token

TYPED_PATH = "/ws/connect"
PATHS = pytest.mark.parametrize("path", [EVENT_PATH, FLAT_PATH, TYPED_PATH, INBOX_PATH])
K6 = Path(sys.executable).parent / "k6"
TITLES = ["one", "two", "three"]


def bearer(user):
    return {"Authorization": f"Bearer {user_token(user)}"}


def title_of(frame):
    """The title in a notification of any WebSocket dialect; None for another message."""
    places = (frame, frame.get("data"), frame.get("notification"))
    return next((each["title"] for each in places if each and "title" in each), None)


# aiohttp.


@PATHS
@pytest.mark.parametrize("compress", [0, 15])
def test_an_aiohttp_websocket_gets_each_notification(server, fresh_user, path, compress):
    user = fresh_user()

    async def visit():
        titles = []
        async with (
            aiohttp.ClientSession(server.url) as session,
            session.ws_connect(path, headers=bearer(user), compress=compress) as socket,
        ):
            await asyncio.to_thread(server.publish_many, user, TITLES)
            async for message in socket:
                assert message.type is aiohttp.WSMsgType.TEXT
                titles += filter(None, [title_of(message.json())])
                if len(titles) == len(TITLES):
                    await socket.close()
            assert socket.close_code == 1000
        return titles

    assert asyncio.run(asyncio.wait_for(visit(), PATIENCE)) == TITLES


def test_an_aiohttp_websocket_with_the_bearer_subprotocol(server, fresh_user):
    async def visit():
        protocols = ("bearer", user_token(fresh_user()))
        async with (
            aiohttp.ClientSession(server.url) as session,
            session.ws_connect(EVENT_PATH, protocols=protocols, autoping=False) as socket,
        ):
            assert socket.protocol == "bearer"
            assert (await socket.receive_json())["event"] == "connection:established"
            await socket.ping(b"are you there?")
            message = await socket.receive()
            assert (message.type, message.data) == (aiohttp.WSMsgType.PONG, b"are you there?")

    asyncio.run(asyncio.wait_for(visit(), PATIENCE))


def test_aiohttp_reads_an_event_stream_line_by_line(server, fresh_user):
    user = fresh_user()

    async def visit():
        async with (
            aiohttp.ClientSession(server.url, headers=bearer(user)) as session,
            session.get(STREAM_PATH, headers={"Accept": "text/event-stream"}) as answer,
        ):
            assert answer.content_type == "text/event-stream"
            number = 0
            async for line in answer.content:
                if not line.startswith(b"data: "):
                    continue
                message = json.loads(line.removeprefix(b"data: "))
                if message["type"] == "notification":
                    assert message["data"]["title"] == f"n {number}"
                elif number == 3:
                    return message["data"]
                else:
                    number += 1
                    await asyncio.to_thread(server.publish, user, f"n {number}")
        raise AssertionError("the stream ended")

    assert asyncio.run(asyncio.wait_for(visit(), PATIENCE)) == {"count": 3}


# Node: `ws` and `eventsource`.


@PATHS
@pytest.mark.parametrize("place", ["header", "query", "subprotocol"])
def test_node_ws_gets_each_notification(server, fresh_user, path, place):
    user = fresh_user()
    token = user_token(user)
    url = server.websocket_url(path, token=token if place == "query" else None)
    protocols = ["bearer", token] if place == "subprotocol" else []
    options = {"headers": bearer(user) if place == "header" else {}}
    with Script("ws.js", url, protocols, options) as socket:
        # The package offers permessage-deflate, which the server may decline.
        kind, protocol, _ = socket.next()
        assert (kind, protocol) == ("open", protocols[0] if protocols else "")
        server.publish_many(user, TITLES)
        titles, pongs = [], []
        while len(titles) < len(TITLES) or not pongs:
            kind, value, *is_binary = socket.next()
            if kind == "pong":
                pongs.append(value)
            else:
                assert (kind, is_binary) == ("message", [False])
                titles += filter(None, [title_of(value)])
        assert (titles, pongs) == (TITLES, ["are you there?"])
        assert socket.finish()[-1] == ["close", 1000, ""]


def test_node_ws_reports_why_it_was_refused(server):
    stale = user_token("late", ttl=-3_600)
    with Script("ws.js", server.websocket_url(FLAT_PATH), ["bearer", stale], {}) as socket:
        socket.expect("error", "Unexpected server response: 401")
    with Script("ws.js", server.websocket_url(EVENT_PATH), ["bearer", stale], {}) as socket:
        socket.expect("open", "bearer", "")
        socket.expect("close", 4002, "invalid or expired token")


def test_node_eventsource_gets_each_event_and_resumes(server, fresh_user):
    user = fresh_user()
    with Script("eventsource.js", server.url + STREAM_PATH, bearer(user)) as source:
        source.expect("open")
        kind, message, _ = source.next()
        assert (kind, message) == ("message", {"type": "unread_count", "data": {"count": 0}})
        for number, title in enumerate(TITLES, 1):
            server.publish(user, title)
            kind, message, cursor = source.next()
            assert message["data"]["title"] == title
            assert source.next()[1] == {"type": "unread_count", "data": {"count": number}}
        assert source.finish() == []
    server.publish(user, "while away")
    headers = {**bearer(user), "Last-Event-ID": cursor}
    with Script("eventsource.js", server.url + STREAM_PATH, headers) as source:
        source.expect("open")
        assert source.next()[1]["data"]["title"] == "while away"


def test_node_eventsource_gives_up_when_its_token_is_refused(server):
    url = f"{server.url}{STREAM_PATH}?token={user_token('late', ttl=-3_600)}"
    with Script("eventsource.js", url, {}) as source:
        source.expect("error", 401)


# k6.


def run_k6(server, tokens, summary):
    """Runs clients/k6.js with these users' tokens; returns the exit status and the output."""
    settings = {
        "URL": server.url,
        "KEY": API_KEY,
        "USERS": ",".join(tokens),
        "TOKENS": ",".join(tokens.values()),
    }
    values = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    flags = ["--no-usage-report", "--no-color", "--quiet", "--address", ""]
    done = subprocess.run(
        [K6, "run", *flags, "--summary-export", summary, *values, CLIENTS / "k6.js"],
        env={"PATH": os.environ["PATH"], "HOME": str(summary.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_k6_meets_its_thresholds(server, fresh_user, tmp_path):
    users = [fresh_user() for _ in range(10)]
    tokens = {user: user_token(user) for user in users}
    status, output = run_k6(server, tokens, tmp_path / "summary.json")
    assert status == 0, output
    metrics = json.loads((tmp_path / "summary.json").read_text())["metrics"]
    # The value of a threshold is whether it was crossed.
    crossed = {name: each["thresholds"] for name, each in metrics.items() if "thresholds" in each}
    assert len(crossed) == 5 and not any(any(each.values()) for each in crossed.values()), crossed
    assert metrics["notifications_delivered"]["count"] == 20
    assert (metrics["checks"]["passes"], metrics["checks"]["fails"]) == (70, 0)
    assert [len(server.inbox(user)) for user in users] == [2] * 10


def test_k6_crosses_its_thresholds_where_tokens_are_refused(server, fresh_user, tmp_path):
    stale = {user: user_token(user, ttl=-3_600) for user in (fresh_user(), fresh_user())}
    status, output = run_k6(server, stale, tmp_path / "summary.json")
    assert status == 99, output
