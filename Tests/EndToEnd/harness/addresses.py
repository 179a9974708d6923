"""Addresses of this machine to connect from: all of 127.0.0.0/8 is loopback.

A server bounds the connections of one address, so tests with many come from several, as users do.
"""

import itertools

PER_ADDRESS = 50


class Sources:
    """Hands out local addresses for connections, in turn."""

    def __init__(self):
        self.numbers = itertools.count()

    def next(self):
        number = next(self.numbers) // PER_ADDRESS
        return f"127.1.{number // 250 % 250}.{number % 250 + 1}", 0
