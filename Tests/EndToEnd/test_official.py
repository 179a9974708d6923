"""Counts our tests of the official suites' cases: each case has its tests, none too many."""

# Case 41.

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

from harness.official import ENGINE, OFFICIAL, SOCKET

HERE = Path(__file__).parent
# Collects the tests as any run does, and prints the official cases they are marked with.
COLLECT = """
import json, sys, pytest

class Found:
    def pytest_collection_finish(self, session):
        found = [mark.args[0] for each in session.items for mark in each.iter_markers("official")]
        print("found:" + json.dumps(found))

sys.exit(pytest.main(sys.argv[1:], plugins=[Found()]))
"""


def test_the_number_of_official_cases_is_known():
    assert len({case.name for case in OFFICIAL}) == len(OFFICIAL)
    suites = collections.Counter(case.name.partition(",")[0] for case in OFFICIAL)
    # Twenty-four, and since 2025 one more: the cancelled poll.
    assert suites == {ENGINE: 25, SOCKET: 32}


def test_each_official_case_has_its_tests():
    files = sorted({HERE / case.test.partition("::")[0] for case in OFFICIAL})
    options = ["-c", HERE / "pytest.ini", "-m", "official", "--collect-only", "-q", *files]
    collected = subprocess.run(
        [sys.executable, "-c", COLLECT, *options],
        env={name: value for name, value in os.environ.items() if name != "CARILLON_FULL"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert collected.returncode == 0, collected.stdout + collected.stderr
    (line,) = [each for each in collected.stdout.splitlines() if each.startswith("found:")]
    found = collections.Counter(json.loads(line.removeprefix("found:")))
    assert found == {case.name: case.item_count for case in OFFICIAL}
