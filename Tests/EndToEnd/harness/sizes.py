"""How large a test is that could be of any size: small on every commit, full when asked for."""

import os


def size(smoke, full):
    """`full` where CARILLON_FULL is 1, else `smoke`."""
    return full if os.environ.get("CARILLON_FULL") == "1" else smoke
