"""The test-only echo server, in which the server's Socket.IO stands without the product on it."""

import re
import subprocess

from harness.background import Background
from harness.server import BINARY, clean_environment

FIXTURE = BINARY.with_name("carillon-socketio-fixture")
LISTENING = re.compile(r"listening on 127\.0\.0\.1:(\d+)")


class EchoServer(Background):
    """Answers `message` with `message-back` and acknowledges `message-with-ack`."""

    def __init__(self):
        super().__init__([str(FIXTURE), "--port", "0"], env=clean_environment())
        # It says where it listens on standard error.
        self.lines = self.errors
        said = self.line_with("listening on")
        self.address = ("127.0.0.1", int(LISTENING.search(said)[1]))
