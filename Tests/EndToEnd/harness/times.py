"""The server's only format of a time."""

import re

TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def is_timestamp(text):
    """Whether a text is a time by RFC 3339, in UTC with milliseconds."""
    return isinstance(text, str) and TIMESTAMP.fullmatch(text) is not None
