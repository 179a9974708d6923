"""Fixtures: a server shared by a file's tests, and a factory of servers for other tests."""

import contextlib
import itertools
import os
import random
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parent))

from harness.browser import launched, new_context
from harness.clients import FLAT_PATH, FlatClient
from harness.console import sign_in
from harness.demo import BOTH, is_connected
from harness.engineio import (
    ENGINE_PATH,
    SOCKET_PATH,
    EngineServer,
    WebSocketClient,
)
from harness.official import cases_of
from harness.pages import assert_quiet, open_own_page
from harness.raw import RawWebSocket
from harness.server import BINARY, Server
from harness.sizes import size
from harness.socketio_js import CHROMIUM
from harness.tokens import publisher_token, user_token

# These tests wait for real minutes. Unit tests check the exact seconds with a simulated clock.
collect_ignore = size(["test_heartbeats.py"], [])
SEED = int(os.environ.get("CARILLON_SEED") or random.SystemRandom().randrange(2**32))
# All pytest workers of a run use the same seed.
os.environ["CARILLON_SEED"] = str(SEED)


def pytest_report_header():
    return f"carillon: {BINARY}, CARILLON_SEED={SEED}"


def pytest_configure():
    assert BINARY.exists(), f"build the server first: {BINARY} is missing"


def pytest_unconfigure():
    CHROMIUM.close()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """One server per file, so that a test's data does not depend on the files before it."""
    server = Server(tmp_path_factory.mktemp("shared")).start()
    yield server
    try:
        server.stop()
    finally:
        server.end()


@pytest.fixture
def server(shared_server):
    """The shared server, which must have survived the test as the same process."""
    pid = shared_server.pid
    yield shared_server
    assert shared_server.is_alive, f"the server ended:\n{shared_server.log()}"
    assert shared_server.pid == pid
    assert shared_server.request("GET", "/healthz").status == 200


@pytest.fixture
def make_server(tmp_path):
    """Starts servers for one test; each that still runs at the end must exit cleanly."""
    made = []

    def make(start=True, **options):
        directory = tmp_path / f"server-{len(made)}"
        directory.mkdir()
        server = Server(directory, **options)
        made.append(server)
        return server.start() if start else server

    yield make
    try:
        for server in made:
            if server.process is not None and server.is_alive:
                server.stop()
    finally:
        for server in made:
            server.end()


@pytest.fixture
def upgraded(server):
    """Opens raw connections to `flat`; proves at the end that a bystander is still served."""
    path = f"{FLAT_PATH}?token={user_token('hostile')}"
    with FlatClient(server, "bystander") as bystander:
        opened = []

        def open_one():
            connection = RawWebSocket(server, path)
            opened.append(connection)
            return connection

        yield open_one
        server.publish("bystander", "meanwhile")
        assert bystander.next()["title"] == "meanwhile"
        for connection in opened:
            connection.close()


@pytest.fixture(scope="module")
def browser():
    """One Chromium for a module's tests of pages.

    It is not shared between modules: its event loop occupies the tests' own thread, so that tests
    with another event loop could not run there.
    """
    with launched() as one:
        yield one


@pytest.fixture
def context(browser, server):
    """A separate browser profile for pages of the shared server."""
    one = new_context(browser)
    yield one
    one.close()


@pytest.fixture
def make_context(browser):
    """Makes browser profiles for pages of a test's own servers."""
    made = []

    def make(server, **options):
        made.append(new_context(browser, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def open_console(browser, server):
    """Opens consoles, signed in by default, and asserts at the end that none logged an error."""
    with contextlib.ExitStack() as stack:
        pages = []

        def open_one(
            token=None,
            url=None,
            at=None,
            unreachable=False,
            signs_in=True,
            fragment="",
            **options,
        ):
            context = new_context(browser, **options)
            stack.callback(context.close)
            page = open_own_page(context, f"/console{fragment}", server=at or server, url=url)
            pages.append((page, unreachable))
            if signs_in:
                sign_in(page, token or publisher_token())
                expect(page.locator("#board")).to_be_visible()
            return page

        yield open_one
        for page, unreachable in pages:
            assert_quiet(page, unreachable)


@pytest.fixture
def demo_server(make_server):
    # A secret of its own, as `--dev` makes one: a new one at each start.
    return make_server(arguments=["--dev", "--shards", "2"], environment={"JWT_SECRET": ""})


@pytest.fixture
def open_demo(browser, demo_server):
    """Opens the demo, each time in a new profile; no page may have logged an error at the end."""
    with contextlib.ExitStack() as stack:
        pages = []

        def open_one(url=None, unreachable=False, connects=True, **options):
            context = new_context(browser, **options)
            stack.callback(context.close)
            page = open_own_page(context, "/", server=demo_server, url=url)
            pages.append((page, unreachable))
            if connects:
                for each in BOTH:
                    is_connected(page, each)
            return page

        yield open_one
        for page, unreachable in pages:
            assert_quiet(page, unreachable)


@pytest.fixture(scope="module")
def engine_process(tmp_path_factory):
    """The test-only Socket.IO server without interference: no heartbeat and no time-out.

    It has one shard, so that it processes packets in the order of reading across connections.
    """
    times = {"ping_interval": 60_000, "ping_timeout": 60_000, "connect_timeout": 60_000}
    engine = EngineServer(tmp_path_factory.mktemp("engine"), shards=1, **times).start()
    yield engine
    try:
        engine.stop()
    finally:
        engine.end()


@pytest.fixture
def engine(engine_process):
    """The module's Socket.IO server, which must have survived the test as the same process."""
    yield engine_process
    assert engine_process.is_alive, f"the server ended:\n{engine_process.log()}"
    with WebSocketClient(engine_process) as bystander:
        bystander.send("4still here")
        assert bystander.next() == "4still here"


@pytest.fixture
def make_engine(tmp_path):
    """Starts Socket.IO servers for one test; each must exit cleanly."""
    made = []

    def make(environment=None, **options):
        directory = tmp_path / f"engine-{len(made)}"
        directory.mkdir()
        made.append(EngineServer(directory, environment, **options))
        return made[-1].start()

    yield make
    try:
        for engine in made:
            assert engine.is_alive, f"the server ended:\n{engine.log()}"
            engine.stop()
    finally:
        for engine in made:
            engine.end()


@pytest.fixture(params=[ENGINE_PATH, SOCKET_PATH], ids=["engine.io", "socket.io"])
def path(request):
    """The two paths of Engine.IO: by itself, and below Socket.IO."""
    return request.param


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Marks the tests that cover a case of the official suites, for `-m official`."""
    for item in items:
        for case in cases_of(item):
            item.add_marker(pytest.mark.official(case.name))


def pytest_generate_tests(metafunc):
    """Runs each test of a module that sets `ROUNDS` so many times."""
    rounds = getattr(metafunc.module, "ROUNDS", 1)
    if rounds > 1:
        metafunc.fixturenames.append("round_number")
        metafunc.parametrize("round_number", range(rounds))


counter = itertools.count(1)


@pytest.fixture
def fresh_user():
    """Makes user ids that no other test uses, so that the inbox starts empty."""

    def make(name="user"):
        return f"{name}-{next(counter)}"

    return make


@pytest.fixture
def chance(request):
    """A seeded generator; the seed is in the report's header and in each failing test's output."""
    print(f"CARILLON_SEED={SEED}")
    return random.Random(f"{SEED}/{request.node.nodeid}")
