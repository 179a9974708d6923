"""A copy of the checkout that serves all guards with one build: each guard has a switch.

The environment variable CARILLON_GUARD_OUT selects the guard that is out by its number. A program
that reaches the edited form of its statement creates the file named by CARILLON_GUARD_REACHED.
Guards without a switch are edited one at a time: those of C and JavaScript, those that switches.py
refuses, and those whose switch does not compile.
"""

import re
import shutil
import subprocess
import zlib
from pathlib import Path

import markers
from edits import EditError, Statement
from switches import switched

OUT, REACHED = "CARILLON_GUARD_OUT", "CARILLON_GUARD_REACHED"
SWITCH = """\
// Tells which guard is out. Written by Tests/Guards/joint.py.

import Glibc

private let out: UInt32 = {
  guard let text = unsafe getenv("CARILLON_GUARD_OUT") else { return 0 }
  return unsafe UInt32(String(cString: text)) ?? 0
}()

private let isReported: Bool = {
  guard let path = unsafe getenv("CARILLON_GUARD_REACHED") else { return false }
  let fd = unsafe Glibc.open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
  return fd >= 0 && Glibc.close(fd) == 0
}()

func isGuardOut(_ number: UInt32) -> Bool {
  guard number == out else { return false }
  _ = isReported
  return true
}
"""
ERROR = re.compile(r"^(?P<path>/[^:\n]+):(?P<line>\d+):\d+: error: (?P<text>.*)$", re.MULTILINE)


def number_of(name):
    """Returns the number of a guard: the same in each build, so that little is rebuilt."""
    return zlib.crc32(name.encode()) or 1


class Site:
    """A guard's statement in a source, and its edited form in a source of its own."""

    def __init__(self, name, edit, source, place):
        self.name = name
        statement = Statement.at(source, place.start, edit.statements)
        self.start, self.end = statement.start, statement.end
        edited = edit.apply(source, place.start)
        self.edited = Statement.between(
            edited, self.start, len(edited) - (len(source) - statement.end)
        )

    def crosses(self, other):
        """Returns whether two statements overlap without one containing the other."""
        first, second = sorted((self, other), key=lambda site: (site.start, -site.end))
        return first.start < second.start < first.end < second.end

    def shift(self, start, end, length):
        """Follows a replacement of the text from `start` to `end`."""
        if self.start >= end:
            self.start, self.end = self.start + length, self.end + length
        elif self.start <= start and end <= self.end:
            self.end += length
        elif start <= self.start and self.end <= end:
            # Inside a larger statement, which can now contain this one twice.
            self.start, self.end = start, end + length


class Joint:
    """The contents of the copy at `tree`, and the guards that have no switch there."""

    def __init__(self, root, tree, guards):
        self.root, self.tree = root, tree
        places = markers.find(root)
        self.guards = [guard for guard in guards if len(places.get(guard.name, [])) == 1]
        self.places = {guard.name: places[guard.name][0] for guard in self.guards}
        # The reason for each guard that has no switch.
        self.alone = {}
        # Text of each file with switches, and the lines of each switch in it.
        self.texts, self.lines = {}, {}

    def switches(self, guard):
        return guard.name in self.places and guard.name not in self.alone

    def write(self):
        """Updates the copy; unchanged files keep their time stamps, so that little is rebuilt."""
        self.texts, self.lines = {}, {}
        by_file = {}
        for guard in self.guards:
            file = self.places[guard.name].file
            if file.endswith(".swift"):
                by_file.setdefault(file, []).append(guard)
            else:
                self.alone[guard.name] = "is not in Swift"
        for file, guards in by_file.items():
            self.switch_file(file, [guard for guard in guards if self.switches(guard)])
        for target in {str(Path(file).parents[-3]) for file in by_file}:
            self.texts[f"{target}/GuardSwitch.swift"] = SWITCH
        update_copy(self.root, self.tree, self.texts)

    def switch_file(self, file, guards):
        source = (self.root / file).read_text()
        sites = []
        for guard in guards:
            try:
                site = Site(guard.name, guard.edit, source, self.places[guard.name])
                if any(map(site.crosses, sites)):
                    raise EditError("crosses the statement of another guard")
                sites.append(site)
            except EditError as error:
                self.alone[guard.name] = str(error)
        # An inner statement comes before the statement that contains it.
        waiting = sorted(sites, key=lambda site: site.end - site.start)
        done = []
        while waiting:
            site = waiting.pop(0)
            old = Statement.between(source, site.start, site.end)
            try:
                text = switched(source, old, site.edited, f"isGuardOut({number_of(site.name)})")
            except EditError as error:
                self.alone[site.name] = str(error)
                continue
            start, end, length = site.start, site.end, len(text) - len(source)
            for other in [site, *waiting, *done]:
                other.shift(start, end, length)
            done.append(site)
            source = text
        self.texts[file] = source
        self.lines[file] = {
            site.name: (source.count("\n", 0, site.start) + 1, source.count("\n", 0, site.end) + 1)
            for site in done
        }

    def remove_switches(self, output):
        """Removes the switches at the errors of a build; returns whether there are any."""
        found = False
        for error in ERROR.finditer(output):
            path, line = Path(error["path"]), int(error["line"])
            if not path.is_relative_to(self.tree):
                continue
            for name, (first, last) in self.lines.get(str(path.relative_to(self.tree)), {}).items():
                if first <= line <= last and name not in self.alone:
                    self.alone[name] = f"its switch does not compile: {error['text']}"
                    found = True
        return found


def update_copy(root, tree, texts):
    """Makes `tree` a copy of the checkout, apart from the files in `texts`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split("\n")
    wanted = {name for name in listed if name and (root / name).is_file()} | texts.keys()
    for name in wanted:
        source, target = root / name, tree / name
        content = texts[name].encode() if name in texts else source.read_bytes()
        if not target.exists() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            if source.exists():
                shutil.copymode(source, target)
    for target in list(tree.rglob("*")):
        name = target.relative_to(tree)
        if name.parts[0] != ".build" and target.is_file() and str(name) not in wanted:
            target.unlink()
