"""Tests of the check: it reports each kind of error in a guard, and nothing else."""

import subprocess
import tempfile
import unittest
from pathlib import Path

from check import Check
from edits import never, remove, replace
from guard import Guard, c, js, unit, wire

FILES = {
    "Sources/Wire/Reader.swift": (
        "func read() {\n  // guard: depth\n  guard depth < 32 else { return }\n}\n"
    ),
    "Sources/CReactor/socket.c": "int f(void) {\n  return 0;  // guard: zero\n}\n",
    "Sources/WebClient/client/read.js": "  // guard: one\n  const most = isPhone ? 1 : 3;\n",
    "Tests/WebClient/read.test.js": "test(`it is ${way}, and once`, () => {});\n",
    "Tests/Wire/ReaderTests.swift": (
        '@Suite("Reading")\nstruct ReaderTests {\n  @Test("it ends")\n  func ends(at: Int) {}\n\n'
        "  @Test func `it is, after all, read`() {}\n\n  func helper() {}\n}\n"
    ),
    "Tests/CReactor/socket_tests.c": 'TEST(zero, "case 1: nothing is zero") {\n}\n',
    "Tests/EndToEnd/harness/ways.py": 'WAYS = ["by-socket"]\n',
    "Tests/EndToEnd/test_read.py": (
        "import pytest\nfrom harness.ways import WAYS\n\nLEVELS = ['low', 'high']\n\n\n"
        '@pytest.mark.parametrize("way", WAYS)\n@pytest.mark.parametrize("level", LEVELS)\n'
        "def test_it_is_read(way, level):\n    assert way\n\n\ndef helper():\n    pass\n"
    ),
}
ALL_TESTS = (
    unit("ReaderTests"),
    unit("ReaderTests/ends"),
    unit("ReaderTests/.*after all"),
    wire("test_read.py", "is_read"),
    wire("test_read.py", "is_read and low-by-socket"),
    wire("test_read.py", "is_read and not medium"),
    c("nothing is"),
)
SOUND = [
    Guard(1, "it is bounded", "depth", remove(), ALL_TESTS),
    Guard(None, "there is one", "one", replace("1", "2"), (js("read.test.js", "and once"),)),
    Guard(2, "it is zero", "zero", replace("0", "1"), (c("case 1"),)),
]


class CheckTests(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        subprocess.run(["git", "init", "--quiet", self.root], check=True)
        for name, text in FILES.items():
            self.write(name, text)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def assert_complains(self, guards, *complaints):
        found = Check(self.root, guards).run()
        self.assertEqual(len(found), len(complaints), found)
        for line, complaint in zip(found, complaints, strict=True):
            self.assertIn(complaint, line)

    def test_a_sound_tree(self):
        self.assert_complains(SOUND)

    def test_a_marker_that_is_gone(self):
        self.write("Sources/CReactor/socket.c", "int f(void) {\n  return 0;\n}\n")
        self.assert_complains(SOUND, "zero: is marked 0 times")

    def test_a_marker_that_stands_twice(self):
        self.write("Sources/Wire/Copy.swift", FILES["Sources/Wire/Reader.swift"])
        self.assert_complains(SOUND, "depth: is marked 2 times: Sources/Wire/Copy.swift:2")

    def test_a_marker_without_a_guard(self):
        self.assert_complains(SOUND[:2], "zero: is marked in Sources/CReactor/socket.c:2 but no")

    def test_a_name_of_two_guards(self):
        self.assert_complains([*SOUND, SOUND[2]], "zero: is the name of 2 guards")

    def test_a_name_of_the_wrong_form(self):
        source = FILES["Sources/CReactor/socket.c"]
        self.write("Sources/CReactor/socket.c", source.replace("zero", "Zero_"))
        self.assert_complains([*SOUND[:2], SOUND[2]._replace(name="Zero_")], "lower-case words")

    def test_an_edit_that_does_not_apply(self):
        guard = SOUND[2]._replace(edit=never())
        self.assert_complains([*SOUND[:2], guard], "Sources/CReactor/socket.c:2 has no conditions")

    def test_a_guard_without_tests(self):
        self.assert_complains([*SOUND[:2], SOUND[2]._replace(tests=())], "zero: names no test")

    def test_tests_that_are_gone(self):
        for test in [
            unit("WriterTests"),
            unit("ReaderTests/begins"),
            unit("ReaderTests/helper"),
            wire("test_write.py", "is_read"),
            wire("test_read.py", "is_written"),
            wire("test_read.py", "helper"),
            wire("test_read.py", "is_read and medium"),
            c("case 2"),
            js("read.test.js", "and twice"),
            js("write.test.js", "and once"),
        ]:
            with self.subTest(test):
                guard = SOUND[2]._replace(tests=(test,))
                self.assert_complains(
                    [*SOUND[:2], guard], f"names {':'.join(test)}, which does not exist"
                )


if __name__ == "__main__":
    unittest.main()
