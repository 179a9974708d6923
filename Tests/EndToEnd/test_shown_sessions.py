"""The sessions that README and the articles show: their commands run, with the output shown."""

import json
import re
import subprocess

import pytest

from harness.background import Background
from harness.server import BINARY, ROOT, SECRET, clean_environment
from harness.tokens import publisher_token, user_token
from harness.waiting import PATIENCE, wait_until

ARTICLES = "Sources/Carillon/Carillon.docc"
ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z")


def steps(path, heading):
    """The commands of a section, each with its output; output of the listener has no command."""
    text = (ROOT / path).read_text().partition(f"\n{heading}\n")[2]
    section = re.split(r"\n##+ ", text)[0]
    found = []
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        for line in re.sub(r"\\\n", " ", block).splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif line:
                if not found or (found[-1][0] is not None and block.startswith(line)):
                    found.append((None, []))
                found[-1][1].append(line)
    return found


def shape(value):
    """The value with names for what differs in each run."""
    if isinstance(value, dict):
        return {name: shape(member) for name, member in value.items()}
    if isinstance(value, list):
        return [shape(member) for member in value]
    if isinstance(value, str):
        return TIME.sub("TIME", ID.sub("ID", value))
    return value


def shapes(lines):
    return [shape(json.loads(line)) for line in lines]


@pytest.mark.parametrize(
    "path, heading, count",
    [
        ("README.md", "## A first session", 5),
        (f"{ARTICLES}/The-wire.md", "### A session with rooms, typing and presence", 6),
    ],
)
def test_a_shown_session_gives_the_shown_output(make_server, path, heading, count):
    server = make_server()
    environment = clean_environment(
        {
            "CARILLON_URL": server.url,
            "TOKEN": user_token("alice"),
            "CARILLON_TOKEN": publisher_token(),
            "JWT_SECRET": SECRET,
        }
    )

    def command(shown):
        # The pace does not matter here.
        text = shown.replace(".build/release/carillon", str(BINARY)).replace("3s", "10ms")
        return ["bash", "-c", f"exec {text}"]

    (listen, greeting), *others = steps(path, heading)
    assert len(others) + 1 == count
    with Background(command(listen), env=environment) as listener:
        wait_until("the greeting", lambda: listener.lines, PATIENCE)
        assert shapes(listener.lines[:1]) == shapes(greeting)
        for shown, output in others:
            if shown is None:
                for expected in shapes(output):
                    wait_until(
                        f"the listener prints {expected}, not only {listener.lines}",
                        lambda expected=expected: expected in shapes(list(listener.lines)),
                        PATIENCE,
                    )
                continue
            done = subprocess.run(
                command(shown),
                env=environment,
                capture_output=True,
                text=True,
                timeout=30,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            if output:
                assert shapes(done.stdout.splitlines()) == shapes(output)
