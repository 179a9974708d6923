"""Which of our tests are the official suites', counted: none is missing, and none told twice."""

# Case 41.

import collections
import json
import os
import subprocess
import sys
from pathlib import Path

from harness.official import ENGINE, OFFICIAL, SOCKET

HERE = Path(__file__).parent
# Collects as any run does, and says which cases it came upon.
COLLECT = """
import json, sys, pytest

class Told:
    def pytest_collection_finish(self, session):
        found = [mark.args[0] for each in session.items for mark in each.iter_markers("official")]
        print("told:" + json.dumps(found))

sys.exit(pytest.main(sys.argv[1:], plugins=[Told()]))
"""


def test_the_suites_have_as_many_cases_as_they_have():
    assert len({case.name for case in OFFICIAL}) == len(OFFICIAL)
    suites = collections.Counter(case.name.partition(",")[0] for case in OFFICIAL)
    # Twenty-four, and since 2025 the poll that is cancelled.
    assert suites == {ENGINE: 25, SOCKET: 32}


def test_each_official_case_is_told_by_a_test():
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
    (line,) = [each for each in collected.stdout.splitlines() if each.startswith("told:")]
    told = collections.Counter(json.loads(line.removeprefix("told:")))
    assert told == {case.name: case.item_count for case in OFFICIAL}
