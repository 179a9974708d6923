"""Waiting for a condition: always with a deadline, always able to say what did not happen."""

import time


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
