"""The commands of a run: they build a tree and run tests in it, several at a time."""

import contextlib
import os
import re
import shlex
import signal
import subprocess
import threading
from pathlib import Path

from guard import filter_of, shown
from joint import OUT, REACHED

PYTEST = os.environ.get("PYTEST") or str(
    Path(__file__).resolve().parents[2] / ".build" / "venv" / "bin" / "pytest"
)
BUILD_PATIENCE_SECONDS = 3600
SHORT_SECONDS = 60
PROGRAMS = {
    "CARILLON_BINARY": "carillon",
    "CARILLON_SOCKETIO_FIXTURE": "carillon-socketio-fixture",
}


def kill_session(leader):
    """Kills all processes of a session, in whatever process group they are."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(entry.name)) == leader:
                os.kill(int(entry.name), signal.SIGKILL)


class Out:
    """The guard that is out while tests run, and the file that is created if they reach it."""

    def __init__(self, folder, number=0):
        self.folder, self.number = folder, number
        folder.mkdir(parents=True, exist_ok=True)
        self.reached = folder / "reached"

    @property
    def environment(self):
        return {OUT: str(self.number), REACHED: str(self.reached)}

    def programs(self, built):
        """Writes scripts that start the programs with this guard out; returns their variables.

        The end-to-end tests start the server without the variables of their own environment.
        """
        exports = [f"export {name}={shlex.quote(text)}" for name, text in self.environment.items()]
        for program in PROGRAMS.values():
            script = self.folder / program
            start = f'exec {shlex.quote(str(built / program))} "$@"'
            script.write_text("\n".join(["#!/bin/sh", *exports, start, ""]))
            script.chmod(0o755)
        return {variable: str(self.folder / program) for variable, program in PROGRAMS.items()}


class Commands:
    """Builds the tree at `path` and runs tests in it."""

    def __init__(self, path):
        self.path = path
        self.built = path / ".build" / "debug"
        self.lock = threading.Lock()
        self.running, self.is_stopped = set(), False

    def stop(self):
        """Kills all commands; none is started afterwards."""
        with self.lock:
            self.is_stopped = True
            for process in self.running:
                kill_session(process.pid)

    def start(self, command, out, environment):
        with self.lock:
            if self.is_stopped:
                raise KeyboardInterrupt
            process = subprocess.Popen(
                command,
                cwd=self.path,
                env={
                    **os.environ,
                    "NO_COLOR": "1",
                    "PYTHONDONTWRITEBYTECODE": "1",
                    "SWIFT_BACKTRACE": "enable=no",
                    **environment,
                },
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            self.running.add(process)
            return process

    def call(self, command, log, patience, **environment):
        """Runs a command until it ends or times out; returns the status and the output."""
        with log.open("a") as out:
            print("$", *command, file=out, flush=True)
            beginning = out.tell()
            process = self.start(command, out, environment)
            try:
                status = process.wait(patience)
            except subprocess.TimeoutExpired:
                status = None
                print(f"killed after {patience:.0f} s", file=out)
            finally:
                # Also if the command has ended: pytest leaves servers behind when a test times out.
                kill_session(process.pid)
                process.wait()
                with self.lock:
                    self.running.remove(process)
            if self.is_stopped:
                raise KeyboardInterrupt
        return status, log.read_bytes()[beginning:].decode(errors="replace")

    def build(self, log):
        """Builds the tests and the programs; returns None, or the output of a failed build."""
        status, said = self.call(["swift", "build", "--build-tests"], log, BUILD_PATIENCE_SECONDS)
        return None if status == 0 else said or f"status {status}"

    def parses(self, path, log):
        """Returns whether a file is JavaScript without errors of syntax."""
        return self.call(["node", "--check", str(path)], log, SHORT_SECONDS)[0] == 0

    def judge(self, tests, log, patience, out):
        """Runs tests of one kind; returns True or False, or a text if there is no result."""
        kind = tests[0][0]
        if kind == "unit":
            return self.judge_units(tests, log, patience, out)
        if kind == "wire":
            return self.judge_wire(tests, log, patience, out)
        if kind == "js":
            return self.judge_js(tests[0], log, patience)
        names = [tests[0][1]] if len(tests) == 1 else []
        status, said = self.call(["Tests/CReactor/run", *names], log, patience)
        if status is not None and not re.search(r"\d+ passed, \d+ failed", said):
            return "does not build"
        return status == 0

    def judge_units(self, tests, log, patience, out):
        # `swift test` runs this program, too, but only one at a time.
        binary = str(self.built / "carillonPackageTests.xctest")
        filters = [part for test in tests for part in ("--filter", filter_of(test[1]))]
        status, said = self.call(
            [binary, "--testing-library", "swift-testing", *filters],
            log,
            patience,
            **out.environment,
        )
        if "Test run with 0 tests" in said or ("Test run started" not in said and status == 0):
            return f"no test has the name {shown(tests[0])}"
        return status == 0

    def judge_js(self, test, log, patience):
        pattern = re.sub(r"[^\w\s]", r"\\\g<0>", test[2])
        status, said = self.call(
            [
                *("node", "--test", "--test-reporter=tap"),
                f"--test-name-pattern={pattern}",
                f"Tests/WebClient/{test[1]}",
            ],
            log,
            patience,
        )
        if "\n# pass 0\n" in said and "\n# fail 0\n" in said:
            return f"no test has the name {shown(test)}"
        failed = re.findall(r"^ *not ok \d+ - (.*)$", said, re.MULTILINE)
        # A file that fails as a whole did not run its tests.
        if status and all(name.endswith(".test.js") for name in failed):
            return "does not load"
        return status == 0

    def judge_wire(self, tests, log, patience, out):
        expression = " or ".join(f"({test[2]})" for test in tests)
        file = f"Tests/EndToEnd/{tests[0][1]}"
        status, _ = self.call(
            [PYTEST, "-qx", "-c", "Tests/EndToEnd/pytest.ini", file, "-k", expression],
            log,
            patience,
            **out.programs(self.built),
        )
        if status not in (0, 1, None):
            return f"pytest exited with status {status}"
        return status == 0
