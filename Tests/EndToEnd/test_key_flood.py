"""Tokens with wrong signatures in a flood: case 55.

A forwarding header makes a client of this machine one of the network, and each address of
127.0.0.0/8 counts for itself.
"""

import json
import random
import socket
import threading
import time

from harness.clients import PATIENCE
from harness.keys import Key, key_set
from harness.sizes import IS_FULL, size
from harness.waiting import wait_until

ADDRESSES = 50
PER_SECOND = 5_000
SECONDS = size(4, 20)
# The case's times need a machine without other load.
P99_SECONDS = size(PATIENCE, 0.1)
HONEST_COUNT = size(3, 200)
INBOX = "/api/v1/notifications"


def request(token):
    return (
        f"GET {INBOX} HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: 203.0.113.9\r\n"
        f"Authorization: Bearer {token}\r\n\r\n"
    ).encode()


class Attacker(threading.Thread):
    """Sends bad tokens from some addresses at a paced rate, without waiting for the answers."""

    def __init__(self, server, addresses, tokens, per_second):
        super().__init__(daemon=True)
        self.server, self.addresses, self.tokens = server, addresses, tokens
        self.pause = 1 / per_second
        self.sent = 0
        self.answers = {}
        self.ends = threading.Event()

    def run(self):
        open_sockets = {}
        due = time.monotonic()
        while not self.ends.is_set():
            address = self.addresses[self.sent % len(self.addresses)]
            one = open_sockets.get(address)
            try:
                if one is None:
                    one = socket.create_connection(self.server.address, 1, (address, 0))
                    one.settimeout(0)
                    open_sockets[address] = one
                one.sendall(request(self.tokens[self.sent % len(self.tokens)]))
                answer = one.recv(65_536)
                if not answer:
                    raise ConnectionError
                self.count(answer)
            except BlockingIOError:
                pass
            except OSError:
                open_sockets.pop(address, None)
                if one is not None:
                    one.close()
            self.sent += 1
            due += self.pause
            time.sleep(max(0, due - time.monotonic()))
        for one in open_sockets.values():
            one.close()

    def count(self, answer):
        for line in answer.split(b"\r\n"):
            if line.startswith(b"HTTP/1.1 "):
                code = int(line[9:12])
                self.answers[code] = self.answers.get(code, 0) + 1


def honest(server, key, times, failures, ends):
    """Authenticates again and again from other addresses, each time on a new connection."""
    number = 0
    while not ends.is_set():
        number += 1
        address = f"127.0.1.{number % 200 + 1}"
        begun = time.monotonic()
        try:
            with socket.create_connection(server.address, PATIENCE, (address, 0)) as one:
                one.sendall(request(key.token(f"user-{number}")))
                answer = one.recv(65_536)
        except OSError as error:
            failures.append(error)
            continue
        times.append(time.monotonic() - begun)
        if not answer.startswith(b"HTTP/1.1 200"):
            failures.append(answer[:200])
        time.sleep(0.01)


def test_wrong_signatures_from_fifty_addresses_delay_no_one(make_server):
    # Case 55.
    keys = [Key("RS256", kid="r"), Key("ES256", kid="e")]
    server = make_server(
        arguments=["--shards", "2"],
        environment={"JWT_SECRET": "", "JWT_PUBLIC_KEY": key_set(*keys)},
    )
    rng = random.Random(55)
    tokens = []
    for number in range(200):
        key = keys[number % 2]
        length = len(key.sign(b""))
        tokens.append(key.token(signature=rng.randbytes(length)))
    addresses = [f"127.0.0.{number}" for number in range(2, 2 + ADDRESSES)]
    attackers = [Attacker(server, addresses[part::2], tokens, PER_SECOND / 2) for part in range(2)]
    times, failures, ends = [], [], threading.Event()
    visitor = threading.Thread(
        target=honest, args=(server, keys[1], times, failures, ends), daemon=True
    )
    spent, begun = server.cpu_seconds(), time.monotonic()
    for thread in [*attackers, visitor]:
        thread.start()
    time.sleep(SECONDS)  # The length of the attack, at least.
    wait_until("honest callers are served", lambda: len(times) >= HONEST_COUNT, within=60)
    for thread in attackers:
        thread.ends.set()
    ends.set()
    for thread in [*attackers, visitor]:
        thread.join(PATIENCE)
    spent = server.cpu_seconds() - spent
    times.sort()
    p99 = times[len(times) * 99 // 100]
    answers = {}
    for attacker in attackers:
        for code, count in attacker.answers.items():
            answers[code] = answers.get(code, 0) + count
    sent = sum(attacker.sent for attacker in attackers)
    print(
        json.dumps(
            {
                "sent per s": round(sent / SECONDS),
                "answers": answers,
                "honest": len(times),
                "failed": len(failures),
                "p99 ms": round(p99 * 1000, 1),
                "cpu": round(spent / SECONDS, 2),
            }
        )
    )
    # No more than the bursts and the rate of fifty addresses were verified.
    assert answers.get(401, 0) <= ADDRESSES * (40 + 20 * (time.monotonic() - begun + 1)), answers
    assert server.total("tokens_refused_rate_total") > 0
    # A connection that is late is a failure only where the machine has no other load.
    refused = [one for one in failures if isinstance(one, bytes)]
    assert len(failures if IS_FULL else refused) <= len(times) / 100, failures[:3]
    assert p99 <= P99_SECONDS, p99
