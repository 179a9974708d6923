"""How large a test is that could be of any size: small on every commit, full when asked for."""

import os

IS_FULL = os.environ.get("CARILLON_FULL") == "1"


def size(smoke, full):
    """`full` where CARILLON_FULL is 1, else `smoke`."""
    return full if IS_FULL else smoke
