"""Socket.IO's own JavaScript client, in Node and in Chromium, commanded from here.

Both run `clients/driver.js`; see there for its commands.
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
# Debian's name, and those that other distributions have for it.
CHROMIUMS = ["chromium", "chromium-browser", "google-chrome"]
SWITCHES = [
    # Its sandbox refuses to run as root, which is who runs in a container.
    "--no-sandbox",
    # It would ask a person whether a page may connect to this machine.
    "--disable-features=LocalNetworkAccessChecks,LocalNetworkAccessChecksWebSockets",
]
# Where Debian has the packages of Node.
NODE_PATH = "/usr/share/nodejs"


def packed(value):
    """For JSON, which has no bytes."""
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
    """The JavaScript client, wherever it runs: `_start` brings the driver up, `do` asks it."""

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
                self.place = self.do("openPage", self.url, self.request.token)
            else:
                url = self.url + self.request.namespace + self.request.query
                self.place = self.do("open", url, self.options())
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
        # Several sockets have one log.
        return [unpacked(entry) for place, *entry in entries if place == self.place]

    def _emit(self, event, values):
        self.do("emit", self.place, event, *packed(values))

    def _call(self, event, values, within):
        milliseconds = within * 1_000
        wait = within + PATIENCE
        answer = self.do("call", self.place, milliseconds, event, *packed(values), within=wait)
        return unpacked(answer)

    @property
    def state(self):
        return self.do("state", self.place)

    def present(self, **auth):
        """What it hands over when it connects again."""
        self.do("present", self.place, auth)

    def connect(self):
        self.do("connect", self.place)

    def disconnect(self):
        self.do("disconnect", self.place)

    def close_engine(self):
        """Ends the connection beneath, which the client then makes anew."""
        self.do("closeEngine", self.place)


class NodeClient(ScriptClient):
    """The client in a Node of its own."""

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

    A page takes a second to make, so those whose test is over are kept for the next.
    """

    SPARE_PAGES = 3

    def __init__(self):
        self.events = self.browser = None
        self.spare = []

    def take(self, url):
        """A page that comes from `url`, with the client and a new driver in it."""
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
        path = next(filter(None, map(shutil.which, CHROMIUMS)), None)
        assert path, f"none of {CHROMIUMS} is on the PATH"
        self.playwright = await async_playwright().start()
        return await self.playwright.chromium.launch(executable_path=path, args=SWITCHES)

    async def _new_page(self, url):
        # In a profile of its own, so that no page waits for the connections of another.
        context = await self.browser.new_context()
        page = await context.new_page()
        # Written here, so that it can be of any origin.
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
    """The client in a page of Chromium, which is of the server's own origin unless one is given."""

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
    """Another namespace over the connection of a client, which ends with that."""

    def __init__(self, first, namespace):
        self.first, self.name = first, first.name
        super().__init__(first.server, first.user, by="auth", namespace=namespace)

    def _open(self):
        self.taken, self.do = 0, self.first.do
        options = {"auth": self.request.auth}
        self.place = self.do("openBeside", self.first.place, self.request.namespace, options)


class Way:
    """A client and the transports that it may use."""

    def __init__(self, kind, transports):
        self.kind, self.transports = kind, transports
        self.recovers = kind.recovers

    def __repr__(self):
        return f"{self.kind.name}-{'-then-'.join(self.transports)}"

    def open(self, server, user=None, **request):
        return self.kind(server, user, transports=self.transports, **request)

    def can_send(self, by):
        """Whether a token can be there; no page can put one into a WebSocket's head."""
        return by != "header" or self.kind.sends_headers or self.transports[0] == "polling"


WAYS = [
    Way(kind, transports)
    for kind in (PythonClient, NodeClient, ChromiumClient)
    for transports in (POLLING, WEBSOCKET, UPGRADE)
]
