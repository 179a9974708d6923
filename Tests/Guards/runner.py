"""Builds a tree with one edited statement at a time, and checks that the guard's tests fail."""

import contextlib
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

import markers
from edits import EditError
from guard import filter_of, shown

PYTEST = os.environ.get("PYTEST") or str(
    Path(__file__).resolve().parents[2] / ".build" / "venv" / "bin" / "pytest"
)
# A test that hangs without its guard counts as failed after this time, or after a multiple of the
# time that it takes with all guards. A test that hangs with all guards is unusable.
PATIENCE_SECONDS = 300
SHORT_PATIENCE_SECONDS = 60
PATIENCE_FACTOR = 5
# For a build, and for all tests of a kind or in a file.
LONG_PATIENCE_SECONDS = 3600


def copied_tree(root):
    """Updates the copy; unchanged files keep their time stamps, so that little is rebuilt."""
    tree = root / ".build" / "guards" / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    wanted = {name for name in listed if name and (root / name).is_file()}
    for name in wanted:
        source, target = root / name, tree / name
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    for target in list(tree.rglob("*")):
        name = target.relative_to(tree)
        if target.is_file() and name.parts[0] != ".build" and str(name) not in wanted:
            target.unlink()
    return tree


def is_clean(root):
    """Returns whether git can restore every file of the checkout."""
    status = subprocess.run(
        ["git", "status", "--porcelain", "--untracked-files=no"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    )
    return not status.stdout


def kill_session(leader):
    """Kills all processes of a session; `swift test` gives its test bundle a group of its own."""
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(ProcessLookupError):
            if os.getsid(int(entry.name)) == leader:
                os.kill(int(entry.name), 9)


class Run:
    """Runs guards in a tree, which is the checkout at `root` or its copy, and restores the tree."""

    def __init__(self, root, tree, kinds):
        self.tree = tree
        self.kinds = kinds
        self.places = markers.find(root)
        # The result of each test with all guards: True, False or the reason why there is none.
        self.sound = {}
        # The seconds that each took then, together with those it was run with.
        self.seconds = {}
        self.logs = root / ".build" / "guards" / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)

    def all(self, guards):
        """Runs guards, ordered by file so that each build is small; returns the exit status."""
        start = time.monotonic()
        guards = sorted(guards, key=lambda guard: (self.places.get(guard.name, []), guard.name))
        self.judge_with_all_guards([test for guard in guards for test in self.tests_of(guard)])
        print(f"ran the tests with all guards: {time.monotonic() - start:.0f} s", flush=True)
        failed = [guard for guard in guards if not self.passes(guard)]
        print(f"{len(guards) - len(failed)} passed, {len(failed)} failed")
        for guard in failed:
            print(f"  {guard.name}")
        return 1 if failed else 0

    def tests_of(self, guard):
        return [test for test in guard.tests if test[0] in self.kinds]

    def passes(self, guard):
        """Returns whether each test fails without the guard; prints the tests or the errors."""
        start = time.monotonic()
        log = self.logs / f"{guard.name}.log"
        log.unlink(missing_ok=True)
        complaints = self.complaints(guard, log)
        spent = time.monotonic() - start
        sign = "FAILED" if complaints else "red"
        print(f"{sign:6} {guard.name} (case {guard.case}): {guard.claim} ({spent:.0f} s)")
        for line in complaints or map(shown, self.tests_of(guard)):
            print(f"         {line}", flush=True)
        return not complaints

    def complaints(self, guard, log):
        places = self.places.get(guard.name, [])
        if len(places) != 1:
            return [f"the guard is marked {len(places)} times"]
        tests = self.tests_of(guard)
        unsound = [test for test in tests if self.sound[test] is not True]
        if unsound:
            return [f"{shown(test)} fails with all guards: {self.sound[test]}" for test in unsound]
        path = self.tree / places[0].file
        source = path.read_bytes()
        try:
            edited = guard.edit.apply(source.decode(), places[0].start)
        except EditError as error:
            return [f"the statement at {places[0].file}:{places[0].line} {error}"]
        complaints = []
        try:
            path.write_bytes(edited.encode())
            reason = self.build({test[0] for test in tests}, log)
            if reason:
                return [reason]
            for test in tests:
                patience = SHORT_PATIENCE_SECONDS + PATIENCE_FACTOR * self.seconds[test]
                result = self.judge([test], log, min(PATIENCE_SECONDS, patience))
                if result is not False:
                    complaints.append(
                        f"{shown(test)}: {'passes without the guard' if result is True else result}"
                    )
        finally:
            # Gives the file a new time stamp, so that it is rebuilt.
            path.write_bytes(source)
        return complaints

    def judge_with_all_guards(self, tests):
        """Runs the tests with all guards, because only then a failure without a guard counts.

        Runs all tests of a kind or file at once, and each one alone only if that run fails.
        """
        groups = {}
        for test in dict.fromkeys(tests):
            groups.setdefault(test[:2] if test[0] == "wire" else test[0], []).append(test)
        log = self.logs / "with-all-guards.log"
        log.unlink(missing_ok=True)
        reason = self.build({test[0] for test in tests}, log)
        for group in groups.values():
            start = time.monotonic()
            result = reason or self.judge(group, log, LONG_PATIENCE_SECONDS)
            for test in group:
                self.seconds[test] = time.monotonic() - start
                alone = reason is None and result is not True and len(group) > 1
                self.sound[test] = self.judge([test], log, PATIENCE_SECONDS) if alone else result

    def call(self, command, log, patience, **environment):
        """Runs a command until it ends or times out; returns the status and the output."""
        environment = {
            **os.environ,
            "PYTHONDONTWRITEBYTECODE": "1",
            "SWIFT_BACKTRACE": "enable=no",
            **environment,
        }
        with log.open("a") as out:
            print("$", *command, file=out, flush=True)
            beginning = out.tell()
            process = subprocess.Popen(
                command,
                cwd=self.tree,
                env=environment,
                stdout=out,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
            try:
                status = process.wait(patience)
            except BaseException as error:
                kill_session(process.pid)
                process.wait()
                if not isinstance(error, subprocess.TimeoutExpired):
                    raise
                status = None
        return status, log.read_bytes()[beginning:].decode(errors="replace")

    def build(self, kinds, log):
        """Builds the tests and the programs; returns None, or the reason of a failure."""
        if kinds == {"c"}:
            return None
        status, said = self.call(["swift", "build", "--build-tests"], log, LONG_PATIENCE_SECONDS)
        if status == 0:
            return None
        errors = [line for line in said.splitlines() if "error:" in line]
        return "does not build: " + (errors or [f"status {status}"])[0]

    def judge(self, tests, log, patience):
        """Runs tests of one kind; returns True or False, or a text if there is no result."""
        kind = tests[0][0]
        if kind == "unit":
            filters = [part for test in tests for part in ("--filter", filter_of(test[1]))]
            status, said = self.call(
                ["swift", "test", "--skip-build", "--disable-xctest", *filters], log, patience
            )
            if "Test run with 0 tests" in said or ("Test run started" not in said and status == 0):
                return f"no test has the name {shown(tests[0])}"
        elif kind == "wire":
            built = self.tree / ".build" / "debug"
            expression = " or ".join(f"({test[2]})" for test in tests)
            status, _ = self.call(
                [
                    PYTEST,
                    "-qx",
                    "-c",
                    "Tests/EndToEnd/pytest.ini",
                    f"Tests/EndToEnd/{tests[0][1]}",
                    "-k",
                    expression,
                ],
                log,
                patience,
                CARILLON_BINARY=str(built / "carillon"),
                CARILLON_SOCKETIO_FIXTURE=str(built / "carillon-socketio-fixture"),
            )
            if status not in (0, 1, None):
                return f"pytest exited with status {status}"
        else:
            names = [tests[0][1]] if len(tests) == 1 else []
            status, said = self.call(["Tests/CReactor/run", *names], log, patience)
            if status is not None and not re.search(r"\d+ passed, \d+ failed", said):
                return "does not build"
        return status == 0
