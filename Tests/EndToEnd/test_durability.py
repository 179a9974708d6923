"""Every publish answered with 201 is stored, once and in order, whatever ends the process."""

import asyncio
import json
import resource
import signal
import sqlite3

import aiohttp

from harness.clients import EventClient
from harness.server import API_KEY
from harness.tokens import user_token
from harness.waiting import wait_until

PUBLISHERS = 16
KILLS = 20


class Record:
    """One publisher's view: the titles acknowledged, and those of the request in flight."""

    def __init__(self, user, batch):
        self.user = user
        self.batch = batch
        self.acknowledged = []
        self.in_flight = []
        self.count = 0

    def next_request(self):
        """The path and body of its next request; a batch is NDJSON."""
        self.in_flight = [f"n {self.count + number}" for number in range(self.batch)]
        self.count += self.batch
        drafts = [{"user_id": self.user, "type": "info", "title": one} for one in self.in_flight]
        path = "/api/v1/notifications" + ("/batch" if self.batch > 1 else "")
        return path, "\n".join(json.dumps(draft) for draft in drafts)


async def publish_until_killed(session, server, record):
    """Publishes one request after another; ends when the server does."""
    while True:
        path, body = record.next_request()
        headers = {"X-API-Key": API_KEY, "Content-Type": "application/json"}
        try:
            async with session.post(server.url + path, data=body, headers=headers) as answer:
                await answer.read()
                assert answer.status == (201 if record.batch == 1 else 200), answer.status
        except (aiohttp.ClientError, OSError):
            return
        record.acknowledged += record.in_flight
        record.in_flight = []


async def one_life(server, records, acknowledgements):
    """Runs all publishers until that many are acknowledged, then kills the server under load."""
    before = sum(len(record.acknowledged) for record in records)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        publishers = [
            asyncio.create_task(publish_until_killed(session, server, record)) for record in records
        ]

        def reached():
            done = sum(len(record.acknowledged) for record in records)
            return done - before >= acknowledgements

        deadline = asyncio.get_running_loop().time() + 20
        while not reached():
            assert asyncio.get_running_loop().time() < deadline, "publishing came to a halt"
            await asyncio.sleep(0.001)
        server.process.kill()
        await asyncio.wait_for(asyncio.gather(*publishers), 20)
    server.process.wait()


def test_no_kill_loses_doubles_or_reorders_acknowledged_publishes(make_server, fresh_user, chance):
    # Case 83, over the wire. If the server answered before it committed, a batch would make the
    # time between the two long enough for a kill to hit it.
    server = make_server()
    batches = [1, 100] * (PUBLISHERS // 2)
    records = [Record(fresh_user("publisher"), batch) for batch in batches]
    for life in range(KILLS):
        asyncio.run(one_life(server, records, chance.randrange(1, 1_500)))
        server.start()
        for record in records:
            inbox = [stored["title"] for stored in server.inbox(record.user)]
            # The request in flight may be stored whole or not at all, and stays so from here on.
            allowed = [record.acknowledged, record.acknowledged + record.in_flight]
            assert inbox in allowed, (life, record.user, inbox[-3:], record.acknowledged[-3:])
            record.acknowledged, record.in_flight = inbox, []
    assert all(record.acknowledged for record in records)


def test_delivered_notifications_are_in_the_store_after_a_kill(make_server, fresh_user, chance):
    """Nothing is delivered before it is committed."""
    server, user = make_server(), fresh_user()
    for _ in range(5):
        with EventClient(server, user) as tab:
            server.publish_many(user, [f"n {number}" for number in range(50)])
            count = chance.randrange(1, 50)
            seen = {tab.until("notification:new")["id"] for _ in range(count)}
            server.kill()
        server.start()
        assert seen <= {stored["id"] for stored in server.inbox(user)}


def test_reads_and_deletes_survive_a_kill(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    kept, gone = server.publish(user, "read"), server.publish(user, "deleted")
    token = user_token(user)
    path = f"/api/v1/notifications/{kept['id']}/read"
    assert server.request("PUT", path, token).status == 200
    assert server.request("DELETE", f"/api/v1/notifications/{gone['id']}", token).status == 200
    server.kill()
    server.start()
    (left,) = server.inbox(user)
    assert left["id"] == kept["id"] and left["is_read"] is True
    assert server.request("GET", "/api/v1/notifications/unread-count", token).data["count"] == 0


def test_an_idempotency_key_holds_across_a_kill(make_server, fresh_user):
    server, user = make_server(), fresh_user()

    def publish():
        return server.request(
            "POST",
            "/api/v1/notifications",
            key=API_KEY,
            headers={"Idempotency-Key": "once"},
            body={"user_id": user, "type": "info", "title": "once"},
        )

    first = publish()
    server.kill()
    server.start()
    again = publish()
    assert (first.status, again.status) == (201, 201)
    assert again.json == first.json
    assert len(server.inbox(user)) == 1


def test_a_full_disk_makes_the_store_read_only_and_not_ready(make_server, fresh_user):
    # Cases 86 and 87, by the limit on a file's size: a write fails as on a full disk.
    def limit_files():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    server, user = make_server(preexec=limit_files), fresh_user()
    acknowledged, refused = [], None
    with EventClient(server, user) as tab:
        for number in range(2_000):
            body = {
                "user_id": user,
                "type": "info",
                "title": f"n {number}",
                "data": {"padding": "x" * 8_000},
            }
            answer = server.request("POST", "/api/v1/notifications", key=API_KEY, body=body)
            if answer.status != 201:
                refused = answer
                break
            acknowledged.append(answer.data["id"])
        assert refused is not None, "the disk never got full"
        # The commit failed, so the next start decides whether this one is stored.
        assert refused.status == 504, refused
        assert refused.error["code"] == "outcome_unknown"
        assert refused.headers.get("retry-after") is None
        later = server.request("POST", "/api/v1/notifications", key=API_KEY, body=body)
        assert later.status == 503, later
        assert later.error["code"] == "read_only"
        assert later.headers.get("retry-after"), "a refusal has a Retry-After"
        assert "error the store is read-only until it is restarted: " in server.log()
        wait_until("/readyz reports 503", lambda: server.request("GET", "/readyz").status == 503)
        delivered = [tab.until("notification:new")["id"] for _ in acknowledged]
        assert delivered == acknowledged, "exactly the acknowledged ones were delivered"
        assert tab.answers() is not None, "connections stay"
    assert [stored["id"] for stored in server.inbox(user)] == acknowledged, "reading goes on"


def test_a_lock_of_another_process_refuses_publishes_only_while_it_is_held(make_server, fresh_user):
    # Case 86: nothing of a refused publish is stored, so the publisher may repeat it.
    server, user = make_server(), fresh_user()

    def publish(title):
        body = {"user_id": user, "type": "info", "title": title}
        return server.request("POST", "/api/v1/notifications", key=API_KEY, body=body)

    assert publish("before").status == 201
    other = sqlite3.connect(f"{server.data}/carillon.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        refused = publish("during")
        assert refused.status == 503, refused
        assert refused.error["code"] == "store_unavailable"
        assert refused.headers.get("retry-after")
        assert server.total("store_unavailable") == 1
        assert server.total("store_read_only") == 0
        assert (
            "warning the store refuses writes for now: SQLite: database is locked" in server.log()
        )
        other.execute("ROLLBACK")
    finally:
        other.close()
    assert publish("after").status == 201
    assert server.total("store_unavailable") == 0
    assert "info the store accepts writes again" in server.log()
    assert [stored["title"] for stored in server.inbox(user)] == ["before", "after"]


def test_memory_keeps_nothing(make_server, fresh_user):
    server, user = make_server(data=":memory:"), fresh_user()
    server.publish(user, "gone with the process")
    assert len(server.inbox(user)) == 1
    server.stop()
    server.start()
    assert server.inbox(user) == []


def test_an_acknowledged_batch_is_stored_after_a_kill(make_server, fresh_user):
    server, user = make_server(), fresh_user()
    titles = [f"n {number}" for number in range(1_000)]
    lines = server.publish_many(user, titles)
    server.kill()
    server.start()
    assert len(lines) == len(titles), json.dumps(lines[:2])
    assert [stored["title"] for stored in server.inbox(user)] == titles
