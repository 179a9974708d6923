"""The processor time that a server spends on hostile input, relative to ordinary input.

No test compares a time with a number of seconds. The same work takes many times longer in another
build, on another machine or beside other programs. Two works that are measured in turn on one
server differ only by the server's own work.
"""

import math
import time

ROUNDS = 6


def least_costs(server, *works, rounds=ROUNDS):
    """Does the works in turn, in several rounds; returns the least processor time of each.

    Other programs only add to a time, so the least one is the nearest to the work's own.
    """
    least = [math.inf] * len(works)
    for _ in range(rounds):
        for number, work in enumerate(works):
            before = server.cpu_seconds()
            work()
            least[number] = min(least[number], server.cpu_seconds() - before)
    return least


def expect_cost(server, attack, ordinary, factor, rounds=ROUNDS):
    """Expects `attack` to cost the server at most `factor` times as much as `ordinary`."""
    spent, reference = least_costs(server, attack, ordinary, rounds=rounds)
    figures = f"{spent:.6f} s, {spent / reference:.2f} times the ordinary {reference:.6f} s"
    print(figures)
    assert spent <= factor * reference, f"{figures}, of {factor} allowed"


def is_spinning(server, over=1.0):
    """Whether a thread of the server never waits for anything but a processor.

    It measures the time in which each thread runs or waits for a processor. For one that spins
    that is all the time, however busy the machine is; for one that sleeps it is little.
    """
    before, start = server.wanted_seconds(), time.monotonic()
    time.sleep(over)  # The measurement needs real time to pass.
    passed, after = time.monotonic() - start, server.wanted_seconds()
    shares = {task: (after[task] - before.get(task, 0)) / passed for task in after}
    print(f"wanted: {shares}")
    return max(shares.values()) > 0.9
