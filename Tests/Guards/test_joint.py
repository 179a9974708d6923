"""Tests of the joint copy: several guards in one source, and errors of its build."""

import subprocess
import tempfile
import unittest
from pathlib import Path

import markers
from edits import always, drop_condition, remove, replace, rewrite, texts
from guard import Guard
from joint import Joint, number_of
from test_switches import resolved

SOURCE = """\
func read() -> Int {
  // guard: whole
  while depth < 32 {
    // guard: first, second
    if isOpen, count > 0 { return 1 }
    // guard: two
    next()
    // guard: one
    finish()
  }
  return 0  // guard: last
}
"""
GUARDS = [
    Guard(1, "", "whole", always(), ()),
    Guard(1, "", "first", drop_condition(2), ()),
    Guard(1, "", "second", replace(">", ">="), ()),
    Guard(1, "", "two", remove(2), ()),
    Guard(1, "", "one", rewrite("finish()", "end()"), ()),
    Guard(1, "", "last", replace("0", "9"), ()),
    Guard(1, "", "zero", replace("0", "1"), ()),
]


def call(name):
    return f"isGuardOut({number_of(name)})"


class JointTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root, self.tree = Path(folder.name) / "root", Path(folder.name) / "tree"
        subprocess.run(["git", "init", "--quiet", self.root], check=True)
        self.write("Sources/Wire/Text/Reader.swift", SOURCE)
        self.write("Sources/CReactor/socket.c", "int f(void) {\n  return 0;  // guard: zero\n}\n")
        self.joint = Joint(self.root, self.tree, GUARDS)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def read(self, name="Sources/Wire/Text/Reader.swift"):
        return (self.tree / name).read_text()

    def words(self, out):
        """Returns the words of the copied source with the guard `out` out and all others in."""
        text = self.read()
        for guard in GUARDS:
            text = text.replace(call(guard.name), f"{guard.name}_out")
        for guard in GUARDS:
            words = resolved(text.replace(f"{guard.name}_out", "out"), guard.name == out)
            text = " ".join(words)
        return words

    def test_several_guards_in_one_source(self):
        self.joint.write()
        self.assertEqual(self.words(out=None), texts(SOURCE))
        places = dict(markers.places_in("Reader.swift", SOURCE))
        for guard in GUARDS[:-1]:
            edited = guard.edit.apply(SOURCE, places[guard.name].start)
            self.assertEqual(self.words(out=guard.name), texts(edited), guard.name)

    def test_each_target_has_the_function(self):
        self.joint.write()
        self.assertIn("func isGuardOut", self.read("Sources/Wire/GuardSwitch.swift"))

    def test_each_guard_has_a_switch_or_a_reason(self):
        self.joint.write()
        self.assertEqual(self.joint.alone, {"zero": "is not in Swift"})
        for guard in GUARDS:
            self.assertEqual(self.joint.switches(guard), guard.name != "zero")
            self.assertEqual(call(guard.name) in self.read(), guard.name != "zero")

    def test_a_crossing_statement_has_no_switch(self):
        text = "func f() {\n  // guard: two\n  a()\n  // guard: whole\n  b()\n  c()\n}\n"
        self.write("Sources/Wire/Text/Reader.swift", text)
        guards = [GUARDS[0]._replace(edit=remove(2)), GUARDS[3]]
        joint = Joint(self.root, self.tree, guards)
        joint.write()
        self.assertEqual(joint.alone, {"two": "crosses the statement of another guard"})
        self.assertNotIn(call("two"), self.read())

    def test_an_error_of_the_build_removes_the_switches_at_its_line(self):
        self.joint.write()
        line = self.read()[: self.read().index("return 9")].count("\n") + 1
        error = f"{self.tree}/Sources/Wire/Text/Reader.swift:{line}:3: error: not so"
        self.assertTrue(self.joint.remove_switches(f"said\n{error}\n"))
        self.assertEqual(self.joint.alone["last"], "its switch does not compile: not so")
        self.joint.write()
        self.assertNotIn(call("last"), self.read())
        self.assertIn(call("whole"), self.read())

    def test_an_error_at_no_switch_removes_none(self):
        self.joint.write()
        for place in [f"{self.tree}/Sources/Wire/Text/Reader.swift:1", "/other/Reader.swift:3"]:
            self.assertFalse(self.joint.remove_switches(f"{place}:1: error: not so\n"))

    def test_the_copy_follows_the_checkout(self):
        self.write("Tests/run", "#!/bin/sh\n")
        (self.root / "Tests/run").chmod(0o755)
        self.joint.write()
        self.assertEqual((self.tree / "Tests/run").stat().st_mode & 0o777, 0o755)
        before = (self.tree / "Sources/Wire/Text/Reader.swift").stat().st_mtime_ns
        (self.root / "Tests/run").unlink()
        self.joint.write()
        self.assertFalse((self.tree / "Tests/run").exists())
        after = (self.tree / "Sources/Wire/Text/Reader.swift").stat().st_mtime_ns
        self.assertEqual(before, after)


if __name__ == "__main__":
    unittest.main()
