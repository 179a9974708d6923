"""What the browser client weighs on its way to a browser: file by file, and compressed."""

import re

import pytest

from harness.browser import WEB_CLIENT

CLIENT = WEB_CLIENT / "client"
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]""")
# Types are imported there.
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CORE_LIMIT = 12_000
ELEMENTS_LIMIT = 12_000


def imported(entry):
    """The entry and all that it imports, in the order in which they are found."""
    found = []

    def visit(path):
        if path in found:
            return
        assert path.is_file(), f"{path} is imported and not there"
        found.append(path)
        for name in IMPORT.findall(COMMENT.sub("", path.read_text())):
            assert name.startswith("./"), f"{path.name} imports {name}: nothing comes from outside"
            visit((path.parent / name).resolve())

    visit((CLIENT / entry).resolve())
    return found


def weights(server, paths):
    """The bytes of each one's body, as a browser is sent it."""
    folder = server.request("GET", "/client/carillon.js").headers["location"].rsplit("/", 1)[0]
    sent = {}
    for path in paths:
        headers = {"Accept-Encoding": "gzip"}
        answer = server.request("GET", f"{folder}/{path.name}", headers=headers)
        assert answer.status == 200 and answer.headers["content-encoding"] == "gzip"
        sent[path.name] = len(answer.bytes)
    return sent


def test_the_core(server):
    paths = imported("carillon.js")
    assert len(paths) > 5, "the imports were found"
    sent = weights(server, paths)
    assert sum(sent.values()) <= CORE_LIMIT, sent


def test_the_elements_beyond_the_core(server):
    core = imported("carillon.js")
    sent = weights(server, [path for path in imported("elements.js") if path not in core])
    assert sum(sent.values()) <= ELEMENTS_LIMIT, sent


def test_the_hook_beyond_the_core():
    core = imported("carillon.js")
    paths = [path for path in imported("react.js") if path not in core]
    assert [path.name for path in paths] == ["react.js"]


@pytest.mark.parametrize("path", sorted(CLIENT.glob("*.js")), ids=lambda path: path.name)
def test_a_file_opens_as_a_checked_module(path):
    """Each one is read by people and by the compiler's check; see Tests/WebClient/types.test.js."""
    assert path.read_text().startswith("// @ts-check\n")
