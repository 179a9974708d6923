"""Socket.IO's own JavaScript client in Node and in Chromium, controlled from Python.

Both run `clients/driver.js`, which documents the commands.
"""

import base64
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from pathlib import Path

from playwright.async_api import async_playwright

from harness.event_loop import EventLoop
from harness.socketio_clients import (
    PATIENCE,
    POLLING,
    RECONNECTION,
    UPGRADE,
    WEBSOCKET,
    Client,
    PythonClient,
)

CLIENTS = Path(__file__).resolve().parents[1] / "clients"
SOCKET_IO = Path(sys.prefix) / "share" / "socket.io.min.js"
# The headless shell draws no browser around the page, which takes two thirds of the processor time
# of the whole browser. Debian's names, then those of other distributions.
CHROMIUMS = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"]
SWITCHES = [
    # Chromium's sandbox refuses to run as root, the usual user in a container.
    "--no-sandbox",
    # Chromium would ask for permission before a page connects to this machine.
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
]
# Debian's folder for Node packages.
NODE_PATH = "/usr/share/nodejs"


def chromium():
    """The path of the installed Chromium."""
    path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
    assert path, f"none of {CHROMIUMS} is on the PATH"
    return path


def packed(value):
    """Encodes bytes for JSON, which has no type for them."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, (list, tuple)):
        return [packed(each) for each in value]
    if isinstance(value, dict):
        return {name: packed(each) for name, each in value.items()}
    return value


def unpacked(value):
    if isinstance(value, list):
        return [unpacked(each) for each in value]
    if isinstance(value, dict):
        if list(value) == ["$bytes"]:
            return base64.b64decode(value["$bytes"])
        return {name: unpacked(each) for name, each in value.items()}
    return value


class ScriptClient(Client):
    """The JavaScript client in any runtime: `_start` starts the driver, `do` runs a command."""

    recovers = True

    def __init__(self, *arguments, runs_page=False, **options):
        self.runs_page = runs_page
        super().__init__(*arguments, **options)

    def _open(self):
        self.taken = 0
        self._start()
        try:
            self.request.settle()
            if self.runs_page:
                self.index = self.do("openPage", self.url, self.request.token)
            else:
                url = self.url + self.request.namespace + self.request.query
                self.index = self.do("open", url, self.options())
        except BaseException:
            self.close()
            raise

    def options(self):
        return {
            "transports": list(self.request.transports),
            "extraHeaders": self.request.headers,
            "auth": self.request.auth,
            "reconnectionDelay": RECONNECTION * 1_000,
            "reconnectionDelayMax": RECONNECTION * 1_000,
            "randomizationFactor": 0,
        }

    def beside(self, namespace):
        """A second socket of the same page, which shares the first one's connection."""
        return SecondSocket(self, namespace)

    def _take(self, within):
        wait = within + PATIENCE
        entries = self.do("take", self.taken, within * 1_000, within=wait)
        self.taken += len(entries)
        # Several sockets of a driver share one log.
        return [unpacked(entry) for index, *entry in entries if index == self.index]

    def _emit(self, event, values):
        self.do("emit", self.index, event, *packed(values))

    def _call(self, event, values, within):
        milliseconds = within * 1_000
        wait = within + PATIENCE
        answer = self.do("call", self.index, milliseconds, event, *packed(values), within=wait)
        return unpacked(answer)

    @property
    def state(self):
        return self.do("state", self.index)

    def present(self, **auth):
        """Sets the `auth` payload of the next connect."""
        self.do("present", self.index, {**self.request.resumption, **auth})

    def connect(self):
        self.do("connect", self.index)

    def disconnect(self):
        self.do("disconnect", self.index)

    def close_engine(self):
        """Closes the underlying Engine.IO connection; the client then opens a new one."""
        self.do("closeEngine", self.index)


class NodeClient(ScriptClient):
    """The client in its own Node process."""

    name = "node"

    def _start(self):
        command = ["node", str(CLIENTS / "node.js"), str(SOCKET_IO)]
        environment = {"PATH": os.environ["PATH"], "NODE_PATH": NODE_PATH}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True
        )
        self.answers_read = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.answers_read.put(line)
        self.answers_read.put(None)

    def do(self, command, *values, within=PATIENCE):
        self.process.stdin.write(json.dumps([command, *values]) + "\n")
        self.process.stdin.flush()
        try:
            line = self.answers_read.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"Node did not answer {command} within {within} s") from None
        assert line is not None, f"Node ended at {command}"
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
        self.thread.join(PATIENCE)
        self.process.stdout.close()


class Chromium:
    """One headless Chromium for all tests; it starts with the first page.

    A new page takes a second, so pages of finished tests are kept for reuse.
    """

    SPARE_PAGES = 3

    def __init__(self):
        self.events = self.browser = None
        self.spare = []

    def take(self, url):
        """Returns a page from `url` with the client and a new driver in it."""
        if self.browser is None:
            self.events = EventLoop()
            self.browser = self.events.run(self._launch())
        page = next((page for page in self.spare if page.url == url), None)
        if page is not None:
            self.spare.remove(page)
        else:
            page = self.events.run(self._new_page(url))
        self.evaluate(page, "() => { globalThis.driver = makeDriver(io) }")
        return page

    def give_back(self, page):
        self.spare.append(page)
        while len(self.spare) > self.SPARE_PAGES:
            self.events.run(self.spare.pop(0).context.close())

    def evaluate(self, page, code, value=None, within=PATIENCE):
        return self.events.run(page.evaluate(code, value), within)

    async def _launch(self):
        path = chromium()
        self.playwright = await async_playwright().start()
        return await self.playwright.chromium.launch(executable_path=path, args=SWITCHES)

    async def _new_page(self, url):
        # A separate profile, so that no page waits for the connections of another.
        context = await self.browser.new_context()
        page = await context.new_page()
        # The response is made here, so that the page can have any origin.
        page_text = "<!doctype html><title>A page with a bell</title>"
        await page.route(url, lambda route: route.fulfill(body=page_text, content_type="text/html"))
        await page.goto(url)
        for script in (SOCKET_IO, CLIENTS / "ghostpay.js", CLIENTS / "driver.js"):
            await page.add_script_tag(path=script)
        return page

    def close(self):
        if self.browser is not None:
            self.events.run(self.browser.close())
            self.events.run(self.playwright.stop())
            self.events.close()


CHROMIUM = Chromium()


class ChromiumClient(ScriptClient):
    """The client in a Chromium page of the server's own origin, unless another is given."""

    name = "chromium"
    sends_headers = False

    def __init__(self, *arguments, origin=None, **options):
        self.origin = origin
        super().__init__(*arguments, **options)

    def _start(self):
        self.page = CHROMIUM.take(f"{self.origin or self.url}/a-page")

    def do(self, command, *values, within=PATIENCE):
        call = "([name, ...values]) => driver[name](...values)"
        return CHROMIUM.evaluate(self.page, call, [command, *values], within)

    def close(self):
        self.do("close")
        CHROMIUM.give_back(self.page)


class SecondSocket(ScriptClient):
    """Another namespace over an existing client's connection; it ends with that client."""

    def __init__(self, first, namespace):
        self.first, self.name = first, first.name
        super().__init__(first.server, first.user, by="auth", namespace=namespace)

    def _open(self):
        self.taken, self.do = 0, self.first.do
        options = {"auth": self.request.auth}
        self.index = self.do("openBeside", self.first.index, self.request.namespace, options)


class Way:
    """A kind of client and the transports that it may use."""

    def __init__(self, kind, transports):
        self.kind, self.transports = kind, transports
        self.recovers = kind.recovers

    def __repr__(self):
        return f"{self.kind.name}-{'-then-'.join(self.transports)}"

    def open(self, server, user=None, **request):
        return self.kind(server, user, transports=self.transports, **request)

    def can_send(self, by):
        """Whether the client can send a token there; a page cannot set a WebSocket's headers."""
        return by != "header" or self.kind.sends_headers or self.transports[0] == "polling"


WAYS = [
    Way(kind, transports)
    for kind in (PythonClient, NodeClient, ChromiumClient)
    for transports in (POLLING, WEBSOCKET, UPGRADE)
]
