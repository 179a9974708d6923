"""A command that runs in the background of a test: a thread collects its output by lines."""

import subprocess
import threading

from harness.waiting import PATIENCE, wait_until


class Background:
    """Runs the command until the `with` block ends, and keeps its standard input open till then."""

    def __init__(self, command, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
        )
        self.lines, self.errors = [], []
        self.threads = [
            threading.Thread(target=self._gather, args=source, daemon=True)
            for source in ((self.process.stdout, self.lines), (self.process.stderr, self.errors))
        ]
        for thread in self.threads:
            thread.start()

    @staticmethod
    def _gather(stream, into):
        for line in stream:
            into.append(line.rstrip("\n"))

    def line_with(self, text, within=PATIENCE):
        """Waits for the first printed line that contains `text`, and returns it."""
        return self._found(text, self.lines, within)

    def error_with(self, text, within=PATIENCE):
        """Waits for the first line with `text` on standard error, and returns it."""
        return self._found(text, self.errors, within)

    def _found(self, text, lines, within):
        def found():
            # Before the look at the lines: afterwards the last ones could still come.
            has_ended = self.process.poll() is not None
            if has_ended:
                self.wait()
            matching = [line for line in list(lines) if text in line]
            if matching:
                return matching[0]
            assert not has_ended, f"it ended early: {self.lines} {self.errors}"
            return None

        return wait_until(f"a line with {text!r} in {lines}", found, within)

    def wait(self, within=PATIENCE):
        """Waits until the command ends and all its output is in the lists; returns its status."""
        status = self.process.wait(within)
        for thread in self.threads:
            thread.join(PATIENCE)
        return status

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for thread in self.threads:
            thread.join(PATIENCE)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()
