"""Takes one guard out at a time and checks that its tests fail."""

import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import markers
from commands import Commands, Out
from edits import EditError
from guard import shown
from joint import number_of

# A test that hangs without its guard counts as failed after this time, or after a multiple of the
# time that it takes with all guards. A test that hangs with all guards is unusable.
PATIENCE_SECONDS = 300
SHORT_PATIENCE_SECONDS = 30
PATIENCE_FACTOR = 5
# The tests of these kinds need no build by Swift.
UNBUILT = {"c", "js"}
# For all tests in a file.
LONG_PATIENCE_SECONDS = 3600


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


class Run:
    """Runs guards in the checkout at `root`, or in the copy that `joint` describes."""

    def __init__(self, root, kinds, workers, joint=None):
        self.root, self.kinds, self.joint = root, kinds, joint
        self.tree = joint.tree if joint else root
        self.commands = Commands(self.tree)
        self.places = markers.find(root)
        self.workers = workers
        # The result of each test with all guards: True, False or the reason why there is none.
        self.sound = {}
        # The seconds that each took then, together with the tests that ran with it.
        self.seconds = {}
        self.logs = root / ".build" / "guards" / "logs"
        self.logs.mkdir(parents=True, exist_ok=True)

    def all(self, guards):
        """Runs guards; returns the exit status."""
        start = time.monotonic()

        def say(text):
            print(f"{text} ({time.monotonic() - start:.0f} s)", flush=True)

        tests = [test for guard in guards for test in self.tests_of(guard)]
        reason = self.prepare({test[0] for test in tests}, self.log("with-all-guards"))
        say("built with all guards")
        self.judge_with_all_guards(tests, reason)
        say("ran the tests with all guards")
        joint = [guard for guard in guards if self.joint and self.joint.switches(guard)]
        failed = [
            guard
            for guard, passes in zip(joint, self.map(self.passes, joint), strict=True)
            if not passes
        ]
        alone = [guard for guard in guards if guard not in joint]
        say(f"{len(joint)} guards have a switch, {len(alone)} are edited one at a time")
        # Ordered by file, so that each build is small.
        alone.sort(key=lambda guard: (self.places.get(guard.name, []), guard.name))
        for guard in alone:
            if self.joint and guard.name in self.joint.alone:
                print(f"{guard.name} {self.joint.alone[guard.name]}")
            if not self.passes(guard):
                failed.append(guard)
        say(f"{len(guards) - len(failed)} passed, {len(failed)} failed")
        for guard in failed:
            print(f"  {guard.name}")
        return 1 if failed else 0

    def map(self, function, items):
        """Calls `function` with several items at a time; returns the results."""
        pool = ThreadPoolExecutor(self.workers)
        try:
            return list(pool.map(function, items))
        except BaseException:
            self.commands.stop()
            raise
        finally:
            pool.shutdown(cancel_futures=True)

    def log(self, name):
        log = self.logs / f"{name}.log"
        log.unlink(missing_ok=True)
        return log

    def tests_of(self, guard):
        return [test for test in guard.tests if test[0] in self.kinds]

    def prepare(self, kinds, log):
        """Builds the tree with all guards; returns None, or the reason of a failure."""
        if self.joint:
            self.joint.write()
        if kinds <= UNBUILT:
            return None
        output = self.commands.build(log)
        while output and self.joint and self.joint.remove_switches(output):
            self.joint.write()
            output = self.commands.build(log)
        return output and error_in(output)

    def judge_with_all_guards(self, tests, reason):
        """Runs the tests with all guards, because only then a failure without a guard counts."""
        groups = {}
        for test in dict.fromkeys(tests):
            # C tests share their binaries, so they run one after another.
            key = {"unit": test, "wire": test[:2], "c": "c", "js": test}[test[0]]
            groups.setdefault(key, []).append(test)
        self.map(lambda item: self.judge_group(*item, reason), enumerate(groups.values()))

    def judge_group(self, number, tests, reason):
        """Runs tests with all guards: those of an end-to-end file at once, and alone if one fails.

        Starting pytest takes longer than most of its tests.
        """
        log = self.log(f"with-all-guards-{number}")
        out = Out(self.logs / f"with-all-guards-{number}")

        def judge(some, patience):
            start = time.monotonic()
            result = reason or self.commands.judge(some, log, patience, out)
            for test in some:
                self.sound[test], self.seconds[test] = result, time.monotonic() - start
            return result

        if len(tests) > 1 and tests[0][0] == "wire" and judge(tests, LONG_PATIENCE_SECONDS) is True:
            return
        for test in tests:
            judge([test], PATIENCE_SECONDS)

    def passes(self, guard):
        """Returns whether each test fails without the guard; prints the tests or the errors."""
        start = time.monotonic()
        complaints = self.complaints(guard, self.log(guard.name))
        spent = time.monotonic() - start
        sign = "FAILED" if complaints else "red"
        lines = [
            f"{sign:6} {guard.label}: {guard.claim} ({spent:.0f} s)",
            *(f"         {line}" for line in complaints or map(shown, self.tests_of(guard))),
        ]
        print("\n".join(lines), flush=True)
        return not complaints

    def complaints(self, guard, log):
        places = self.places.get(guard.name, [])
        if len(places) != 1:
            return [f"the guard is marked {len(places)} times"]
        tests = self.tests_of(guard)
        unsound = [test for test in tests if self.sound[test] is not True]
        if unsound:
            return [f"{shown(test)} fails with all guards: {self.sound[test]}" for test in unsound]
        if self.joint and self.joint.switches(guard):
            return self.failures(tests, log, Out(self.logs / guard.name, number_of(guard.name)))
        return self.complaints_of_edit(guard, places[0], tests, log)

    def complaints_of_edit(self, guard, place, tests, log):
        """Edits the guard's statement, builds the tree, runs the tests and restores the tree."""
        path = self.tree / place.file
        kept = path.read_bytes()
        try:
            source = (self.root / place.file).read_text()
            edited = guard.edit.apply(source, place.start)
        except EditError as error:
            return [f"the statement at {place.file}:{place.line} {error}"]
        try:
            path.write_bytes(edited.encode())
            if not {test[0] for test in tests} <= UNBUILT:
                output = self.commands.build(log)
                if output:
                    return [error_in(output)]
            if path.suffix == ".js" and not self.commands.parses(path, log):
                return ["is no JavaScript without its guard"]
            return self.failures(tests, log, Out(self.logs / guard.name))
        finally:
            # Gives the file a new time stamp, so that it is rebuilt.
            path.write_bytes(kept)

    def failures(self, tests, log, out):
        """Runs tests with a guard out; returns a complaint about each one that does not fail."""
        complaints = []
        for test in tests:
            patience = SHORT_PATIENCE_SECONDS + PATIENCE_FACTOR * self.seconds[test]
            out.reached.unlink(missing_ok=True)
            result = self.commands.judge([test], log, min(PATIENCE_SECONDS, patience), out)
            if result is not False:
                reason = "passes without the guard" if result is True else result
                complaints.append(f"{shown(test)}: {reason}")
            elif out.number and not out.reached.exists():
                complaints.append(f"{shown(test)}: fails but does not reach the statement")
        return complaints


def error_in(output):
    errors = [line for line in output.splitlines() if "error:" in line]
    return "does not build: " + (errors or output.splitlines()[-1:])[0]
