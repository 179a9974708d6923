"""The markers in the sources: `// guard: NAME` above a statement, or at the end of its line.

A marker on a line of its own stands above the statement, among its comments if there are any; never
between a doc comment and its declaration. One at the end of a line marks the statement that this
line begins. Several names are several markers, or one with commas.
"""

import re
import subprocess
from typing import NamedTuple

MARKER = re.compile(r"^(?P<code>.*?)// guard: (?P<names>.*)$", re.MULTILINE)
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ENDINGS = (".swift", ".c", ".h")


class Place(NamedTuple):
    file: str
    line: int
    # Where the marked statement begins, or white space and comments before it.
    start: int


def places_in(file, source):
    """The names and places of all markers of a source."""
    for match in MARKER.finditer(source):
        is_trailing = bool(match["code"].strip())
        place = Place(
            file,
            source.count("\n", 0, match.start()) + 1,
            match.start() if is_trailing else match.end(),
        )
        for name in match["names"].split(","):
            yield name.strip(), place


def sources(root):
    """The files that git knows under Sources, and those that it will."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "Sources"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.splitlines()
    for file in dict.fromkeys(listed):
        path = root / file
        if file.endswith(ENDINGS) and path.is_file():
            yield file, path.read_text()


def find(root):
    """All places of each name: a sound tree has one of each."""
    found = {}
    for file, source in sources(root):
        for name, place in places_in(file, source):
            found.setdefault(name, []).append(place)
    return found
