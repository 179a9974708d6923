"""A guard: a statement of the product, marked in its source, and the tests that hold it.

In the source a comment names the guard. It also says to the reader that tests fail when this
statement goes:

    // guard: chunk-size-digits
    guard digitCount <= ChunkedBodyDecoder.digitCountLimit else {

Here the name comes with an edit that disables the statement and with the tests that must then fail:

    Guard(
        30,
        "a chunk size has at most sixteen digits",
        "chunk-size-digits",
        replace("<= @1 else", "<= 400 else"),
        (unit("ChunkedBodyTests"), wire("test_hostile_http.py", "as_the_grammar_says")),
    )

markers.py says where a marker may stand, edits.py which edits there are. To add a guard: choose a
name, put the marker above the statement, add an entry to one of the lists (catalogue.py names
them), and run `Tests/Guards/run NAME`. A statement that moves takes its marker along, and nothing
changes here. `Tests/Guards/run --check` finds a marker without a guard, a guard without a marker,
an edit that does not apply and a test that is not there.
"""

from typing import NamedTuple

from edits import Edit


class Guard(NamedTuple):
    case: int
    claim: str
    name: str
    edit: Edit
    tests: tuple  # Each test by itself must fail.


def unit(name):
    """Swift tests whose identifier matches."""
    return ("unit", name)


def wire(file, name):
    """End-to-end tests of a file, by pytest's -k."""
    return ("wire", file, name)


def c(name):
    """Tests of CReactor by a part of their name."""
    return ("c", name)


def shown(test):
    return ":".join(test)


def filter_of(name):
    """The pattern for `swift test --filter`: a whole suite, or tests of one."""
    return name.replace("/", "/.*") if "/" in name else name + "/"
