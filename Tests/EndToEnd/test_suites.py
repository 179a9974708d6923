"""The protocols' own conformance suites, unmodified, against the fixture.

CARILLON_SUITES names a folder with the folders `engine.io` and `socket.io`: each is the folder
`test-suite` of the repository socketio/engine.io-protocol or socketio/socket.io-protocol. Only the
file with their imports is replaced. The cases measure times of a few milliseconds, so they need a
machine that is not busy.
"""

# Case 41.

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from harness.engineio import EngineServer
from harness.server import clean_environment
from harness.sizes import size
from harness.socketio_js import CLIENTS, NODE_PATH

SUITES = os.environ.get("CARILLON_SUITES")
# The server's address in the suites.
PORT = 3_000
ROUNDS = size(1, 10)


@pytest.fixture
def echo(tmp_path):
    server = EngineServer(tmp_path).start(port=PORT)
    try:
        yield server
        server.stop()
    finally:
        server.end()


@pytest.mark.skipif(not SUITES, reason="CARILLON_SUITES names no folder with the official suites")
@pytest.mark.parametrize("suite, count", [("engine.io", 24), ("socket.io", 32)])
@pytest.mark.usefixtures("echo")
def test_an_official_suite_passes(tmp_path, suite, count):
    for name in ("test-suite.js", "package.json"):
        shutil.copy(Path(SUITES) / suite / name, tmp_path / name)
    shutil.copy(CLIENTS / "suite-imports.js", tmp_path / "node-imports.js")
    run = subprocess.run(
        ["mocha", "--reporter", "json", "test-suite.js"],
        cwd=tmp_path,
        env=clean_environment({"NODE_PATH": NODE_PATH}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.startswith("{"), run.stdout + run.stderr
    report = json.loads(run.stdout)
    failures = {each["fullTitle"]: each["err"].get("message") for each in report["failures"]}
    assert failures == {}
    assert (report["stats"]["passes"], report["stats"]["pending"]) == (count, 0)
    assert run.returncode == 0
