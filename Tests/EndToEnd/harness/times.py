"""The one form in which the server writes a time."""

import re

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_timestamp(text):
    """RFC 3339, UTC, milliseconds."""
    return isinstance(text, str) and TIMESTAMP.fullmatch(text) is not None
