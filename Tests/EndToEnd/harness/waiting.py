"""Waiting for a condition: always with a deadline, always able to say what did not happen."""

import select
import time


def is_ready(socket, event, within=0.0):
    """Whether `socket` can be read (`POLLIN`) or written (`POLLOUT`), or has ended, in that time.

    By poll, since the files of a test's process have numbers that select does not take.
    """
    poll = select.poll()
    poll.register(socket, event)
    return bool(poll.poll(within * 1_000))


def wait_until(claim, condition, within=5.0, every=0.01):
    """Returns the first true answer of `condition`; fails with `claim` when the time is over."""
    deadline = time.monotonic() + within
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() >= deadline:
            raise AssertionError(f"not within {within} s: {claim} (last answer: {answer!r})")
        time.sleep(every)
