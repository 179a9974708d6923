"""What holds each hostile case back, and the tests that must go red when it is taken away.

A guard is a piece of the product's source, word for word, and what to put in its place. The text
must stand in its file exactly once, so that a guard which was rewritten is noticed and not skipped.
"""

from typing import NamedTuple


class Guard(NamedTuple):
    case: int
    claim: str
    file: str
    text: str
    instead: str
    tests: tuple  # Each test by itself must go red.


def unit(name):
    """Swift tests whose identifier matches."""
    return ("unit", name)


def wire(file, name):
    """End-to-end tests of a file, by pytest's -k."""
    return ("wire", file, name)


def c(name):
    """Tests of CReactor by a part of their name."""
    return ("c", name)
