"""Waiting for a condition: always with a deadline and with a message that names the condition."""

import select
import time

# The longest wait of a test for one condition, in seconds. It also suits a slow machine.
PATIENCE = 15


def is_ready(socket, event, within=0.0):
    """Whether `socket` is readable (`POLLIN`) or writable (`POLLOUT`), or ended, within that time.

    It uses poll, because a test's process has descriptors above the limit of select.
    """
    poll = select.poll()
    poll.register(socket, event)
    return bool(poll.poll(within * 1_000))


def wait_until(claim, condition, within=PATIENCE, every=0.01):
    """Returns the first true result of `condition`; fails with `claim` at the deadline."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within} s: {claim} (last answer: {answer!r})")
        time.sleep(every)
