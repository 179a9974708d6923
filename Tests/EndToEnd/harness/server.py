"""The release binary as a process: starting, monitoring, stopping and killing it."""

import contextlib
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path
from urllib.parse import urlencode

from harness.tokens import SECRET, user_token
from harness.waiting import wait_until

ROOT = Path(__file__).resolve().parents[3]
# The release build, unless CARILLON_BINARY names another, such as one with a guard removed.
BINARY = Path(os.environ.get("CARILLON_BINARY") or ROOT / ".build" / "release" / "carillon")
API_KEY = "an-end-to-end-api-key"


# One socket for each port that `free_port` returned.
RESERVED = []


def reserved_port():
    """Returns a socket that reserves an unused port for a server until it is closed.

    Until the server listens, connections to the port are refused. The kernel gives the port to no
    other program, not even while the server restarts.
    """
    reservation = socket.socket()
    reservation.bind(("127.0.0.1", 0))
    # Only after bind, so that the port is unused. With it the server can bind to the port as well.
    reservation.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return reservation


def free_port():
    """Returns an unused port, which stays reserved for this process."""
    RESERVED.append(reserved_port())
    return RESERVED[-1].getsockname()[1]


def run_carillon(*arguments, environment=None, stdin="", timeout=30, preexec=None):
    """Runs the command to its end in an environment without the developer's variables."""
    return subprocess.run(
        [str(BINARY), *arguments],
        input=stdin,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        preexec_fn=preexec,
    )


def clean_environment(additions=None):
    # A debug build starts the toolchain's backtracer, which keeps a crashed process from ending.
    base = {"PATH": os.environ["PATH"], "NO_COLOR": "1", "SWIFT_BACKTRACE": "enable=no"}
    return {**base, **(additions or {})}


class Answer:
    """An HTTP response: status, headers (lower-case) and the parsed body."""

    def __init__(self, status, headers, body):
        self.status = status
        self.headers = {name.lower(): value for name, value in headers}
        self.bytes = body

    @property
    def json(self):
        return json.loads(self.bytes)

    @property
    def data(self):
        assert self.json["success"] is True, self.bytes
        return self.json["data"]

    @property
    def error(self):
        assert self.json["success"] is False, self.bytes
        return self.json["error"]

    def __repr__(self):
        return f"<{self.status} {self.bytes[:300]!r}>"


class Server:
    """One server process. `start` returns when it is ready; `stop` asserts a clean exit."""

    def __init__(self, directory, arguments=(), environment=None, preexec=None, data=None):
        self.directory = Path(directory)
        self.data = data if data is not None else str(self.directory / "data")
        self.arguments = list(arguments)
        self.environment = {
            "JWT_SECRET": SECRET,
            "CARILLON_API_KEY": API_KEY,
            "LOG_LEVEL": "info",
            **(environment or {}),
        }
        self.preexec = preexec
        self.process = self.reservation = None
        self.starts = 0

    # The process.

    def start(self, port=None, is_ready=None):
        """Starts it on a port of its own, the same at each start, or on the given one.

        It returns when `is_ready` is true: a server that is not to become ready needs another one.
        """
        if port is None and self.reservation is None:
            self.reservation = reserved_port()
        self.port = port or self.reservation.getsockname()[1]
        self.starts += 1
        self.stdout_path = self.directory / f"stdout-{self.starts}.log"
        self.stderr_path = self.directory / f"stderr-{self.starts}.log"
        with self.stdout_path.open("wb") as out, self.stderr_path.open("wb") as err:
            self.process = subprocess.Popen(
                self.command(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=clean_environment(self.environment),
                preexec_fn=self.preexec,  # noqa: PLW1509 It sets limits and takes no lock.
            )
        wait_until("the server is ready", is_ready or self._is_ready, within=20)
        return self

    def command(self):
        """The command line; a subclass for another program overrides it."""
        line = [str(BINARY), "serve", "--host", "127.0.0.1", "--port", str(self.port)]
        return [*line, "--data", self.data, *self.arguments]

    def _is_ready(self):
        assert self.process.poll() is None, f"the server ended at start:\n{self.log()}"
        try:
            return self.request("GET", "/readyz", token=None).status == 200
        except OSError:
            return False

    def stop(self, within=15):
        """Sends SIGTERM and asserts that it exits with status 0."""
        self.process.send_signal(signal.SIGTERM)
        status = self.wait(within)
        assert status == 0, f"exit status {status}:\n{self.log()}"

    def kill(self):
        """Kills the process, as a power cut does, and returns when it has ended."""
        self.process.kill()
        self.process.wait()

    def wait(self, within=15):
        try:
            return self.process.wait(within)
        except subprocess.TimeoutExpired:
            log = self.log()
            self.kill()
            raise AssertionError(f"the server did not end within {within} s:\n{log}") from None

    def end(self):
        """Clean-up: kills the process if a failed test left it running, and frees the port."""
        if self.process is not None and self.process.poll() is None:
            self.kill()
        if self.reservation is not None:
            self.reservation.close()

    @property
    def is_alive(self):
        return self.process.poll() is None

    @property
    def pid(self):
        return self.process.pid

    def log(self):
        """Its whole output since the last start."""
        parts = [self.stdout_path.read_text("utf-8", "replace")]
        parts.append(self.stderr_path.read_text("utf-8", "replace"))
        return "".join(parts)

    # The kernel's figures of the process.

    def cpu_seconds(self):
        """Processor time of all its threads, to the nanosecond: /proc counts in ticks of 10 ms."""
        # Linux's clock id for the CPU time of another process: clock_getcpuclockid(3).
        return time.clock_gettime(~self.pid << 3 | 2)

    def wanted_seconds(self):
        """The time for which each of its threads ran or waited for a processor."""
        seconds = {}
        for task in Path(f"/proc/{self.pid}/task").iterdir():
            # A thread may end meanwhile.
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                running, waiting, _ = (task / "schedstat").read_text().split()
                seconds[task.name] = (int(running) + int(waiting)) / 1e9
        return seconds

    def anonymous_bytes(self):
        """The anonymous memory of the process: what it has allocated and used.

        The pages of its files are not counted. The kernel takes them away when memory is short or
        when they have not been used for a while, and maps them again at their next use.
        """
        kibibytes = 0
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(("RssAnon:", "VmSwap:")):
                kibibytes += int(line.split()[1])
        assert kibibytes > 0, "no RssAnon"
        return kibibytes * 1024

    def open_file_count(self):
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    # HTTP, with the client of Python's standard library.

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def address(self):
        return ("127.0.0.1", self.port)

    def websocket_url(self, path, **query):
        kept = {name.rstrip("_"): value for name, value in query.items() if value is not None}
        return f"ws://127.0.0.1:{self.port}{path}" + (f"?{urlencode(kept)}" if kept else "")

    def connection(self, timeout=15):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)

    def request(self, method, path, token=None, body=None, headers=None, key=None, over=None):
        """Sends one request; `over` reuses a kept-alive connection."""
        connection = over or self.connection()
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        if key is not None:
            sent["X-API-Key"] = key
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body).encode()
        if body is not None and not any(name.lower() == "content-type" for name in sent):
            sent["Content-Type"] = "application/json"
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            return Answer(response.status, response.getheaders(), response.read())
        finally:
            if over is None:
                connection.close()

    def publish(self, user, title="a title", type="info", over=None, **fields):
        """Publishes one notification and returns it from the response."""
        body = {"user_id": user, "type": type, "title": title, **fields}
        answer = self.request("POST", "/api/v1/notifications", body=body, key=API_KEY, over=over)
        assert answer.status == 201, answer
        return answer.data

    def publish_many(self, user, titles, type="info"):
        """Publishes one batch with one line per notification; returns the response's lines."""
        lines = [json.dumps({"user_id": user, "type": type, "title": title}) for title in titles]
        answer = self.request(
            "POST",
            "/api/v1/notifications/batch",
            body="\n".join(lines).encode() + b"\n",
            headers={"Content-Type": "application/x-ndjson"},
            key=API_KEY,
        )
        assert answer.status in (200, 201, 207), answer
        return [json.loads(line) for line in answer.bytes.splitlines() if line.strip()]

    def inbox(self, user, **query):
        """Reads the user's whole inbox page by page; returns it oldest first."""
        token = user_token(user)
        gathered, before = [], None
        with_connection = self.connection()
        try:
            while True:
                asked = {"limit": 200, "collapse": "false", **query}
                if before is not None:
                    asked["before"] = before
                path = f"/api/v1/notifications?{urlencode(asked)}"
                page = self.request("GET", path, token, over=with_connection).data
                gathered += page["notifications"]
                before = page.get("next")
                if before is None:
                    return gathered[::-1]
        finally:
            with_connection.close()

    def metrics(self):
        return self.request("GET", "/metrics").bytes.decode()

    def total(self, name, shard=None, over=None):
        """The value of a metric, for one shard or summed over all shards."""
        labels = "(?:{.*})?" if shard is None else f'{{shard="{shard}"}}'
        text = self.request("GET", "/metrics", over=over).bytes.decode()
        values = re.findall(rf"^carillon_{name}{labels} (\d+)$", text, re.MULTILINE)
        assert values, f"no such metric: {name}"
        return sum(map(int, values))
