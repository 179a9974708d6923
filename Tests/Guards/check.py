"""Checks that each guard has its marker, its edit and its tests, without building anything.

It only reads sources, so it takes about a second and runs before all other tests.
"""

import ast
import re
from collections import Counter

import markers
from edits import EditError
from guard import filter_of, shown

SWIFT_NAME = re.compile(
    r"""^(?:[\w@()]+\ )*(?:struct|class|enum|actor|extension)\ (?P<suite>\w+)
    | (?P<mark>@Test\b)
    | \bfunc\ (?P<test>`[^`]+`|\w+)\(""",
    re.MULTILINE | re.VERBOSE,
)
KEPT = {"and", "or", "not", "(", ")"}
C_NAME = re.compile(r'^TEST\(\w+,\s*"(?P<name>[^"]+)"', re.MULTILINE)
JS_NAME = re.compile(r"""\btest\(\s*(?P<quote>['"`])(?P<name>.+?)(?P=quote)\s*,""")


def unit_tests(root):
    """Returns the identifiers of all Swift tests, without their target, as `Suite/test(`."""
    found = []
    for path in sorted((root / "Tests").rglob("*.swift")):
        suite, is_marked = "", False
        for match in SWIFT_NAME.finditer(path.read_text()):
            if match["suite"]:
                suite = match["suite"]
            elif match["mark"]:
                is_marked = True
            elif is_marked:
                found.append(f"{suite}/{match['test']}(")
                is_marked = False
    return found


def c_tests(root):
    """Returns the names of all tests of CReactor."""
    files = sorted((root / "Tests" / "CReactor").glob("*.c"))
    return [match["name"] for path in files for match in C_NAME.finditer(path.read_text())]


def js_tests(path):
    """Returns the titles of all tests in a file of the browser client's tests."""
    return [match["name"] for match in JS_NAME.finditer(path.read_text())]


class WireFile:
    """The tests of one end-to-end file, each with all text that can be part of its identifiers."""

    def __init__(self, path):
        self.folder = path.parent
        source = path.read_bytes()
        self.lines = source.splitlines(keepends=True)
        self.definitions = {}
        tree = ast.parse(source)
        for node in tree.body:
            self.define(node)
        self.tests = [
            f"{path.name} {node.name} {self.parameters(node)}".lower()
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
        ]

    def define(self, node):
        """Stores text that a decorator may refer to: an assignment or a module of the harness."""
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Name):
                    self.definitions[target.id] = self.text(node.value)
        elif isinstance(node, ast.ImportFrom) and node.module:
            module = self.folder / (node.module.replace(".", "/") + ".py")
            if module.is_file():
                for name in node.names:
                    self.definitions[name.asname or name.name] = module.read_text()

    def text(self, node):
        # Faster than ast.get_source_segment, which splits the whole source for each node.
        lines = self.lines[node.lineno - 1 : node.end_lineno]
        lines[-1] = lines[-1][: node.end_col_offset]
        lines[0] = lines[0][node.col_offset :]
        return b"".join(lines).decode()

    def parameters(self, function):
        """Returns the text of a test's decorators and of the definitions that they refer to."""
        text = " ".join(map(self.text, function.decorator_list))
        known = {}
        while names := set(re.findall(r"\w+", text)) & self.definitions.keys() - known.keys():
            for name in names:
                known[name] = self.definitions[name]
                if len(known[name]) < 4_000:
                    text += " " + known[name]
        return text + " ".join(known.values())

    def selects(self, expression):
        """Returns whether pytest's -k with `expression` can select a test of this file."""
        words = re.findall(r"[()]|[^\s()]+", expression.lower())
        for test in self.tests:
            values = [word if word in KEPT else str(is_part(word, test)) for word in words]
            # Only True, False, operators and parentheses are left, so `eval` is safe.
            if eval(" ".join(values)):
                return True
        return False


def is_part(word, test):
    """Returns whether a test's identifier has a word; a hyphen joins the parameters of a test."""
    return all(part in test for part in word.split("-"))


class Check:
    """Collects the errors of guards in the tree at `root`."""

    def __init__(self, root, guards):
        self.root = root
        self.guards = guards
        self.complaints = []
        self.wire_files = {}
        self.units = unit_tests(root)
        self.cs = c_tests(root)

    def run(self):
        """Returns the errors; an empty list if there are none."""
        found = markers.find(self.root)
        for name, count in Counter(guard.name for guard in self.guards).items():
            if count > 1:
                self.complain(name, f"is the name of {count} guards")
        for name in sorted(found.keys() - {guard.name for guard in self.guards}):
            place = found[name][0]
            self.complain(
                name, f"is marked in {place.file}:{place.line} but no guard has this name"
            )
        for guard in self.guards:
            if not markers.NAME.fullmatch(guard.name):
                self.complain(guard.name, "must consist of lower-case words with hyphens")
            self.check_edit(guard, found.get(guard.name, []))
            if not guard.tests:
                self.complain(guard.name, "names no test")
            for test in guard.tests:
                if not self.exists(test):
                    self.complain(guard.name, f"names {shown(test)}, which does not exist")
        return self.complaints

    def complain(self, name, text):
        self.complaints.append(f"{name}: {text}")

    def check_edit(self, guard, places):
        if len(places) != 1:
            shown_places = ", ".join(f"{place.file}:{place.line}" for place in places)
            self.complain(guard.name, f"is marked {len(places)} times: {shown_places or 'nowhere'}")
            return
        place = places[0]
        try:
            guard.edit.apply((self.root / place.file).read_text(), place.start)
        except EditError as error:
            self.complain(guard.name, f"the statement at {place.file}:{place.line} {error}")

    def exists(self, test):
        kind, *names = test
        if kind == "unit":
            pattern = re.compile(filter_of(names[0]))
            return any(pattern.search(name) for name in self.units)
        if kind == "c":
            return any(names[0] in name for name in self.cs)
        file, expression = names
        if kind == "js":
            path = self.root / "Tests" / "WebClient" / file
            return path.is_file() and any(expression in name for name in js_tests(path))
        path = self.root / "Tests" / "EndToEnd" / file
        if file not in self.wire_files:
            self.wire_files[file] = WireFile(path) if path.is_file() else None
        return self.wire_files[file] is not None and self.wire_files[file].selects(expression)
