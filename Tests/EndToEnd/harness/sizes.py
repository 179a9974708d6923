"""The sizes of scalable tests: small on every commit, full on request."""

import os

IS_FULL = os.environ.get("CARILLON_FULL") == "1"


def size(smoke, full):
    """Returns `full` if CARILLON_FULL is 1, else `smoke`."""
    return full if IS_FULL else smoke
