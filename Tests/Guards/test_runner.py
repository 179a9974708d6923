"""Tests of a run: what counts as a failure, and how the guard that is out is passed on."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from commands import Commands, Out
from edits import replace
from guard import Guard, unit
from joint import number_of
from runner import Run

SOURCE = "func f() -> Int {\n  return 0  // guard: zero\n}\n"
GUARD = Guard(1, "it is zero", "zero", replace("0", "1"), (unit("ZeroTests"),))


class FakeCommands:
    """Has one result for all tests; notes the guards that were out and the sources then."""

    def __init__(self, path, result, reaches):
        self.path, self.result, self.reaches = path, result, reaches
        self.outs, self.texts = [], []

    def build(self, log):
        self.texts.append(self.path.read_text())

    def judge(self, tests, log, patience, out):
        self.outs.append(out.number)
        if self.reaches:
            out.reached.touch()
        return self.result


class FakeJoint:
    """Has a switch for each guard."""

    def __init__(self, tree):
        self.tree = tree

    def switches(self, guard):
        return True


class RunTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        subprocess.run(["git", "init", "--quiet", self.root], check=True)
        self.path = self.root / "Sources" / "Wire" / "Zero.swift"
        self.path.parent.mkdir(parents=True)
        self.path.write_text(SOURCE)

    def complaints(self, result, reaches=True, joint=True, sound=True):
        run = Run(self.root, {"unit"}, 1, FakeJoint(self.root) if joint else None)
        run.commands = self.commands = FakeCommands(self.path, result, reaches)
        run.sound, run.seconds = {GUARD.tests[0]: sound}, {GUARD.tests[0]: 1}
        return " ".join(run.complaints(GUARD, run.log("zero")))

    def test_a_test_that_fails(self):
        self.assertEqual(self.complaints(False), "")
        self.assertEqual(self.commands.outs, [number_of("zero")])
        self.assertEqual(self.commands.texts, [])

    def test_a_test_that_passes(self):
        self.assertIn("ZeroTests: passes without the guard", self.complaints(True))

    def test_a_test_that_fails_without_the_edited_statement(self):
        self.assertIn("does not reach the statement", self.complaints(False, reaches=False))

    def test_a_test_that_fails_with_all_guards(self):
        self.assertIn("fails with all guards", self.complaints(False, sound=False))
        self.assertEqual(self.commands.outs, [])

    def test_a_guard_without_a_switch_is_edited_and_restored(self):
        self.assertEqual(self.complaints(False, reaches=False, joint=False), "")
        self.assertEqual(self.commands.outs, [0])
        self.assertEqual(self.commands.texts, [SOURCE.replace("0", "1")])
        self.assertEqual(self.path.read_text(), SOURCE)


class CommandTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name) / "with space"
        self.folder.mkdir()
        self.log = self.folder / "log"

    def test_the_programs_know_which_guard_is_out(self):
        program = self.folder / "carillon"
        program.write_text('#!/bin/sh\necho "$CARILLON_GUARD_OUT $CARILLON_GUARD_REACHED $*"\n')
        program.chmod(0o755)
        out = Out(self.folder / "out", 7)
        script = out.programs(self.folder)["CARILLON_BINARY"]
        said = subprocess.run([script, "a b"], capture_output=True, text=True, check=True, env={})
        self.assertEqual(said.stdout, f"7 {out.reached} a b\n")

    def test_a_command_that_hangs_is_killed(self):
        commands = Commands(self.folder)
        status, _ = commands.call(["sh", "-c", "sleep 60 & wait"], self.log, 0.1)
        self.assertIsNone(status)

    def test_no_command_starts_after_the_end(self):
        commands = Commands(self.folder)
        commands.stop()
        with self.assertRaises(KeyboardInterrupt):
            commands.call(["true"], self.log, 10)


if __name__ == "__main__":
    unittest.main()
