"""Cursors that prove nothing, made from a sound one: `run` is all of it before the offset."""

import pytest

UNKNOWN = {
    "another epoch": lambda run, offset: f"zzzzzzzz.{offset}",
    "the future": lambda run, offset: f"{run}.{int(offset) + 1_000_000}",
    "the far future": lambda run, offset: f"{run}.{2**64 - 1}",
    "past 64 bits": lambda run, offset: f"{run}.{2**64}",
    "huge": lambda run, offset: f"{run}.{10**40}",
    "negative": lambda run, offset: f"{run}.-1",
    "too many parts": lambda run, offset: f"{run}.{offset}.1",
    "no offset": lambda run, offset: f"{run}.",
    "no epoch": lambda run, offset: "." + offset,
    "a bare number": lambda run, offset: "12345",
    "a negative number": lambda run, offset: "-1",
    "long": lambda run, offset: "x" * 5_000,
}


def unknown_cursors(**further):
    """Runs a test with each of them, as a function `spoil` of a sound cursor's two parts."""
    cursors = UNKNOWN | further
    return pytest.mark.parametrize("spoil", cursors.values(), ids=cursors.keys())
