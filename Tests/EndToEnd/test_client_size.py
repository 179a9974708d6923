"""What the browser client weighs, as it is served: compressed, and as people read it."""

import gzip
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


def weight(paths):
    return len(gzip.compress(b"".join(path.read_bytes() for path in paths), 9))


def test_the_core():
    paths = imported("carillon.js")
    assert len(paths) > 5, "the imports were found"
    assert weight(paths) <= CORE_LIMIT, {path.name: weight([path]) for path in paths}


def test_the_elements_beyond_the_core():
    core = imported("carillon.js")
    paths = [path for path in imported("elements.js") if path not in core]
    assert weight(paths) <= ELEMENTS_LIMIT, {path.name: weight([path]) for path in paths}


def test_the_hook_beyond_the_core():
    core = imported("carillon.js")
    paths = [path for path in imported("react.js") if path not in core]
    assert [path.name for path in paths] == ["react.js"]


@pytest.mark.parametrize("path", sorted(CLIENT.glob("*.js")), ids=lambda path: path.name)
def test_a_file_opens_as_a_checked_module(path):
    """Each one is read by people and by the compiler's check; see test_client_types.py."""
    assert path.read_text().startswith("// @ts-check\n")
