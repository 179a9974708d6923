"""A guard: a statement of the product, marked in its source, and the tests that cover it.

A comment in the source names the guard. It shows a reader that tests fail without this statement:

    // guard: chunk-size-digits
    guard digitCount <= ChunkedBodyDecoder.digitCountLimit else {

An entry in a list gives the name, an edit that disables the statement, and the tests that must then
fail:

    Guard(
        30,
        "a chunk size has at most sixteen digits",
        "chunk-size-digits",
        replace("<= @1 else", "<= 400 else"),
        (unit("ChunkedBodyTests"), wire("test_hostile_http.py", "against_the_grammar")),
    )

The sources are Swift, C, or the browser client's JavaScript. markers.py defines where a marker may
be, edits.py defines the edits, and joint.py explains how one build serves all guards. To add a
guard: choose a name, put the marker above the statement, add an entry to one of the lists
(catalogue.py names them), and run `Tests/Guards/run NAME`. If a statement moves, move its marker
along; the entry stays as it is. `Tests/Guards/run --check` finds a marker without a guard, a guard
without a marker, an edit that does not apply and a test that does not exist.
"""

from typing import NamedTuple

from edits import Edit


class Guard(NamedTuple):
    # Row of Tests/ACCEPTANCE.md; None if the guard belongs to none of its cases.
    case: int | None
    claim: str
    name: str
    edit: Edit
    tests: tuple  # Each test must fail by itself.

    @property
    def label(self):
        return self.name if self.case is None else f"{self.name} (case {self.case})"


def unit(name):
    """Swift tests with an identifier that matches."""
    return ("unit", name)


def wire(file, name):
    """End-to-end tests of a file, selected by pytest's -k."""
    return ("wire", file, name)


def c(name):
    """Tests of CReactor, selected by a part of their name."""
    return ("c", name)


def js(file, name):
    """Tests of the browser client in a file, selected by a part of their titles."""
    return ("js", file, name)


def shown(test):
    return ":".join(test)


def filter_of(name):
    """Returns the pattern for `swift test --filter`: a whole suite, or tests of one."""
    return name.replace("/", "/.*") if "/" in name else name + "/"
