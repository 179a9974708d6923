"""The markers in the sources: `// guard: NAME` above a statement or at the end of its line.

A marker on its own line is above the statement, among the statement's comments if there are any,
but never between a doc comment and its declaration. A marker at the end of a line marks the
statement that begins on this line. One statement can have several markers, or one with several
names separated by commas.
"""

import re
import subprocess
from typing import NamedTuple

MARKER = re.compile(r"^(?P<code>.*?)// guard: (?P<names>.*)$", re.MULTILINE)
NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
ENDINGS = (".swift", ".c", ".h", ".js")


class Place(NamedTuple):
    file: str
    line: int
    # Start of the marked statement, or of the white space and comments before it.
    start: int


def places_in(file, source):
    """Yields the name and place of each marker in a source."""
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
    """Yields the tracked files under Sources, and the untracked ones that git does not ignore."""
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
    """Returns the places of each name; in a valid tree each name has one place."""
    found = {}
    for file, source in sources(root):
        for name, place in places_in(file, source):
            found.setdefault(name, []).append(place)
    return found
