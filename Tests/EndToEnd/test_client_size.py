"""The transfer size of the browser client: the compressed sizes of its files."""

import re

import pytest

from harness.browser import WEB_CLIENT

CLIENT = WEB_CLIENT / "client"
IMPORT = re.compile(r"""(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]""")
# JSDoc comments import types, which cost no transfer.
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CORE_LIMIT = 14_000
ELEMENTS_LIMIT = 18_000


def imported(entry):
    """Returns the entry and all of its imports, in the order of discovery."""
    found = []

    def visit(path):
        if path in found:
            return
        assert path.is_file(), f"{path} is imported but missing"
        found.append(path)
        for name in IMPORT.findall(COMMENT.sub("", path.read_text())):
            assert name.startswith("./"), f"{path.name} imports {name} from outside"
            visit((path.parent / name).resolve())

    visit((CLIENT / entry).resolve())
    return found


def weights(server, paths):
    """Returns the size of each file's compressed body."""
    location = server.request("GET", "/client/carillon.js").headers["location"]
    folder = "/client/" + location.rsplit("/", 1)[0]
    sent = {}
    for path in paths:
        headers = {"Accept-Encoding": "gzip"}
        answer = server.request("GET", f"{folder}/{path.name}", headers=headers)
        assert answer.status == 200 and answer.headers["content-encoding"] == "gzip"
        sent[path.name] = len(answer.bytes)
    return sent


def test_the_core(server):
    paths = imported("carillon.js")
    assert len(paths) > 5, "the imports must be found"
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
    """`make lint` checks the types of each file that begins with `// @ts-check`."""
    assert path.read_text().startswith("// @ts-check\n")
