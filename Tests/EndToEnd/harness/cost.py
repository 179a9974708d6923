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


def idle_cost(server, unused, over=1.0):
    """The processor time of a server without clients, relative to that of an unused one.

    Both are measured over the same time, in which both have the same timers to serve.
    """
    servers = (server, unused)
    before = [each.cpu_seconds() for each in servers]
    time.sleep(over)  # The measurement needs real time to pass.
    spent, reference = (
        each.cpu_seconds() - start for each, start in zip(servers, before, strict=True)
    )
    print(f"idle: {spent:.6f} s, {spent / reference:.2f} times the unused {reference:.6f} s")
    return spent / reference
