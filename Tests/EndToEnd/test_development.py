"""`carillon serve --dev`: the lines it prints are all that its other commands need."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from harness.background import Background
from harness.server import BINARY, SECRET, clean_environment, free_port

# Settings whose values the printed lines must hand on, some of which need quotes.
SETTINGS = {
    "JWT_ISSUER": "https://login.example/it's",
    "JWT_AUDIENCE": "two words; $HOME",
    "JWT_ALGORITHM": "HS512",
    "JWT_USER_CLAIM": "uid",
}
TOOLS = f"{BINARY.parent}:{Path(sys.executable).parent}:{os.environ['PATH']}"


class Development:
    """A development server, and a shell that has pasted its `export` lines and nothing else."""

    def __init__(self, directory, **environment):
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        command = [str(BINARY), "serve", "--dev", "--port", str(self.port)]
        self.process = Background(command, env=clean_environment(environment), cwd=directory)

    def __enter__(self):
        # The last line of the start; a warning about the secret would come before it.
        self.process.error_with("open files; see carillon check")
        assert not self.process.lines
        self.text = "\n".join(self.process.errors) + "\n"
        assert f"listening on {self.url}" in self.text
        self.exports = "\n".join(re.findall(r"^ *(export .*)$", self.text, re.MULTILINE))
        return self

    def __exit__(self, *exception):
        self.process.__exit__(*exception)

    def under(self, heading):
        """The indented lines under a heading."""
        return re.search(heading + r".*:\n((?: +.*\n)+)", self.text)[1].strip()

    def shell(self, command):
        # Without the toolchain's variables of `clean_environment`, as in a fresh terminal.
        return ["bash", "-c", f"{self.exports}\n{command}"]

    def run(self, command):
        done = subprocess.run(
            self.shell(command),
            env={"PATH": TOOLS},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, (command, done)
        return done.stdout

    def background(self, command):
        return Background(self.shell(f"exec {command}"), env={"PATH": TOOLS}, stdin=subprocess.PIPE)


@pytest.fixture(params=[{}, SETTINGS], ids=["plain", "settings"])
def development(request, tmp_path):
    with Development(tmp_path, **request.param) as server:
        yield server


@pytest.mark.parametrize("heading", ["Listen", "Or receive with websocat"])
def test_the_printed_commands_work_when_pasted(development, heading):
    with development.background(development.under(heading)) as listener:
        listener.line_with("connection:established")
        answer = json.loads(development.run(development.under("Publish")))
        assert answer["success"] is True
        message = json.loads(listener.line_with("notification:new"))
        assert message["data"]["id"] == answer["data"]["id"]


def test_token_works_without_further_settings(development):
    command = development.under("Make a token")
    token = development.run(command).strip()
    assert json.loads(development.run(f"carillon token --check {token} --json"))["user"] == "bob"
    with development.background(f"carillon listen --token {token}") as listener:
        assert '"user_id":"bob"' in listener.line_with("connection:established")
    service = development.run("carillon token --user service --scope publish").strip()
    development.run(f"carillon publish --token {service} --user bob --title t")


def test_bench_works_without_further_settings(development):
    assert " bench " in development.under("Measure")
    report = json.loads(development.run("carillon bench --connections 5 --duration 200ms --json"))
    assert report["established"] == 5
    assert report["delivered"] == report["accepted"] * 5 > 0
    # Its publisher needs no token of its own, either.
    run = "unset CARILLON_TOKEN; carillon bench --connections 2 --duration 50ms --json"
    assert json.loads(development.run(run))["accepted"] > 0


def test_the_printed_link_signs_a_publisher_in(development):
    link = re.search(r"^ *(http\S+)/console#token=(\S+)$", development.text, re.MULTILINE)
    assert link[1] == development.url
    shown = json.loads(development.run(f"carillon token --check {link[2]} --json"))
    assert shown["publisher"] is True


def test_the_first_session_needs_no_other_tool(development):
    # websocat is one of the other ways, so it comes after the commands of the session.
    order = ["Listen as alice", "Publish to her", "Or receive with websocat"]
    places = [development.text.index(heading) for heading in order]
    assert places == sorted(places)


def test_the_printed_variables_name_the_server(development):
    assert f"export CARILLON_URL={development.url}\n" in development.exports + "\n"


def test_a_secret_of_its_user_is_not_printed(tmp_path):
    with Development(tmp_path, JWT_SECRET=SECRET) as server:
        assert SECRET not in server.text and "export JWT_SECRET" not in server.text
        assert "your JWT_SECRET" in server.text
        server.exports += f"\nexport JWT_SECRET={shlex.quote(SECRET)}"
        server.run("carillon bench --connections 2 --duration 50ms")


def test_the_random_secret_is_new_and_long_enough(tmp_path):
    secrets = set()
    for _ in range(2):
        with Development(tmp_path, JWT_ALGORITHM="HS512") as server:
            assert "shorter" not in server.text
            secrets.add(re.search(r"export JWT_SECRET=([\w-]{64})$", server.text, re.MULTILINE)[1])
    assert len(secrets) == 2
