"""A client in a process of its own that prints one JSON value a line."""

import json
import os
import queue
import shutil
import subprocess
import threading

from harness.raw import PATIENCE
from harness.socketio_js import CLIENTS, NODE_PATH


class Script:
    """Runs one of `clients/`'s files in Node; the end of its standard input ends it."""

    def __init__(self, name, *arguments):
        command = [shutil.which("node"), str(CLIENTS / name), *map(json.dumps, arguments)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={"PATH": os.environ["PATH"], "NODE_PATH": NODE_PATH},
            text=True,
        )
        self.lines = queue.Queue()
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.kill()
        self.process.wait()
        self.thread.join(PATIENCE)
        self.process.stdin.close()
        self.process.stdout.close()

    def next(self, within=PATIENCE):
        """Returns the next printed value."""
        try:
            line = self.lines.get(timeout=within)
        except queue.Empty:
            raise AssertionError(f"the client printed nothing within {within} s") from None
        assert line is not None, "the client ended"
        return json.loads(line)

    def expect(self, *value):
        printed = self.next()
        assert printed == list(value), printed

    def finish(self):
        """Lets the client close its connection and end; returns the values that it still prints."""
        self.process.stdin.close()
        assert self.process.wait(PATIENCE) == 0
        self.thread.join(PATIENCE)
        lines = iter(self.lines.get_nowait, None)
        return [json.loads(line) for line in lines]
