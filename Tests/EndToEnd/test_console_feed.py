"""The endpoints of the operator's console: the metrics stream, and any user's inbox and devices."""

import contextlib
import itertools
import re
import urllib.parse

import pytest

from harness.clients import EventClient
from harness.raw import RawConnection
from harness.server import API_KEY
from harness.shards import spread
from harness.streams import StreamClient
from harness.times import is_timestamp
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until

STREAM = "/api/v1/metrics/stream"
SYSTEM = "/api/v1/websocket/send/system"
HISTOGRAM = "carillon_publish_to_socket_seconds"
STREAMS_LIMIT = 16
QUIET = {"count": 0, "p50": 0, "p99": 0, "max": 0}
COLUMNS = [
    "time", "connections", "sessions", "users", "rooms", "blocked", "delivered", "bytes_sent",
    "published", "slow_consumers", "received", "p50", "p99", "max", "memory",
]  # fmt: skip
FIELDS = [
    "connections", "sessions", "users", "rooms", "blocked", "delivered", "bytes_sent",
    "published", "slow_consumers", "received", "latency",
]  # fmt: skip


class Watcher(StreamClient):
    """A client of the metrics stream, with a publisher's token unless another is given."""

    path = STREAM

    def __init__(self, server, token=None, **options):
        super().__init__(server, token=token or publisher_token(), **options)

        self.history = None

    def figures(self):
        """Returns the next figures; the history must come before them, and once."""
        message = self.next()
        if self.history is None:
            assert message["type"] == "history"
            self.history = message["data"]
            assert list(self.history) == ["interval", *COLUMNS]
            assert len({len(self.history[name]) for name in COLUMNS}) == 1
            message = self.next()
        assert message["type"] == "metrics"
        assert list(message["data"]) == ["time", "server", "shards"]
        assert isinstance(message["data"]["time"], int)
        return message["data"]

    def shards(self):
        """Returns the figures of each shard in the next event."""
        shards = self.figures()["shards"]
        assert all(list(shard) == FIELDS for shard in shards)
        return shards

    def until_shards(self, claim, condition):
        """Reads on to the first event that meets the condition; one event comes per second."""
        for _ in range(15):
            shards = self.shards()
            if condition(shards):
                return shards
        raise AssertionError(f"no event with: {claim} (last: {shards})")


def summed(shards, name):
    return sum(shard[name] for shard in shards)


# The stream of metrics.


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("by", ["query", "header"])
def test_the_metrics_stream_follows_the_traffic(make_server, shards, by):
    server = make_server(arguments=["--shards", str(shards)])
    with contextlib.ExitStack() as stack:
        watcher = stack.enter_context(Watcher(server, by=by))
        first = watcher.shards()
        assert len(first) == shards and summed(first, "connections") >= 1
        assert summed(first, "sessions") == 0 and watcher.parser.retry == 5_000
        assert [shard["latency"] for shard in first] == [QUIET] * shards
        clients = spread(stack, lambda: EventClient(server, "u"), server)
        said = watcher.until_shards(
            "all are counted", lambda figures: summed(figures, "sessions") == len(clients)
        )
        assert summed(said, "users") == 1
        assert all(shard["connections"] >= shard["sessions"] > 0 for shard in said)
        for _ in range(3):
            server.publish("u")
        body = {"message_type": "m", "title": "t", "message": "", "payload": {}}
        assert server.request("POST", SYSTEM, publisher_token(), body).status == 200
        # Each of the four deliveries counts on each shard, since each shard has a client for it.
        counted, lists = [0] * shards, []

        def all_came(figures):
            lists.append([shard["latency"] for shard in figures])
            for number, shard in enumerate(figures):
                counted[number] += shard["latency"]["count"]
            return counted == [4] * shards and summed(figures, "published") == 4

        said = watcher.until_shards("four published", all_came)
        # A notification is two frames: the notification and its counts.
        assert summed(said, "delivered") - summed(first, "delivered") == 7 * len(clients)
        assert summed(said, "bytes_sent") > summed(first, "bytes_sent")
        for latency in itertools.chain.from_iterable(lists):
            assert list(latency) == ["count", "p50", "p99", "max"]
            if latency["count"] == 0:
                assert latency == QUIET
            else:
                # Includes a disk write on this machine: more than zero, less than a minute.
                assert 0 < latency["p50"] <= latency["p99"] <= latency["max"] < 60_000_000
        clients[0].answers()
        watcher.until_shards("a ping", lambda figures: summed(figures, "received") >= 1)
    wait_until("all sessions have ended", lambda: server.total("sessions") == 0)


def test_a_console_that_connects_later_gets_the_minutes_before(make_server):
    server = make_server(arguments=["--shards", "2"])
    with EventClient(server, "u") as client, Watcher(server) as early:
        server.publish("u")
        client.until("notification:new")
        early.until_shards("the delivery", lambda figures: summed(figures, "delivered") > 0)

        def kept():
            with Watcher(server) as late:
                late.figures()
                return late.history if sum(late.history["delivered"]) > 0 else None

        history = wait_until("the history has the delivery", kept, every=0.2)
        assert history["interval"] == 1_000 and 1 <= len(history["time"]) <= 300
        assert history["time"] == sorted(history["time"])
        assert max(history["sessions"]) == 1 and max(history["users"]) == 1
        assert all(each is None or 0 < each < 60_000_000 for each in history["p99"])
        assert max(history["p99"], key=lambda each: each or 0) > 0
        assert min(history["memory"]) > 1_000_000
        state = early.figures()["server"]
        assert list(state) == ["version", "uptime", "memory", "store"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", state["version"])
        assert 0 <= state["uptime"] < 600 and state["memory"] > 1_000_000
        assert state["store"] == {
            "state": "ok", "reason": None, "persistent": True, "write_queue": 0,
            "write_queue_limit": 8_192, "read_queue": 0,
        }  # fmt: skip


def test_a_user_may_not_watch(server):
    answer = server.request("GET", STREAM)
    assert answer.status == 401 and answer.error["code"] == "unauthorized"
    assert server.request("GET", f"{STREAM}?token=nonsense").status == 401
    assert server.request("GET", STREAM, key="another key").status == 401
    for asked in (f"{STREAM}?token={user_token('u')}", STREAM):
        answer = server.request("GET", asked, user_token("u") if asked == STREAM else None)
        assert answer.status == 403 and answer.error["code"] == "forbidden"
    answer = server.request("POST", STREAM, key=API_KEY)
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_the_head_of_the_answer(server, method):
    with RawConnection(server) as connection:
        line = f"{method} {STREAM} HTTP/1.1\r\nHost: x\r\nX-API-Key: {API_KEY}\r\n\r\n"
        connection.send(line.encode())
        head = connection.read_until(b"\r\n\r\n").decode()
        assert head.startswith("HTTP/1.1 200 ")
        for line in ("Content-Type: text/event-stream", "Cache-Control: no-store, no-transform"):
            assert line in head
        assert "Content-Length" not in head
        if method == "GET":
            assert b"\r\nretry: 5000\ndata: {" in connection.read_until(b"}\n\n\r\n")
        else:
            connection.expect_end()


def test_a_stream_over_the_limit_is_refused_until_one_closes(make_server):
    server = make_server(arguments=["--shards", "1"])
    with contextlib.ExitStack() as stack:
        watchers = [stack.enter_context(Watcher(server)) for _ in range(STREAMS_LIMIT)]
        for watcher in watchers:
            watcher.shards()
        for method in ("GET", "HEAD"):
            answer = server.request(method, STREAM, key=API_KEY)
            assert answer.status == 503 and "retry-after" in answer.headers
        # Other requests are served as usual.
        assert server.request("GET", "/healthz").status == 200
        watchers.pop().close()
        wait_until("one stream has closed", lambda: server.total("connections") == STREAMS_LIMIT)
        stack.enter_context(Watcher(server)).shards()
    # A metrics stream counts as a connection, but not as a user online.
    assert server.request("GET", "/api/v1/users/online", key=API_KEY).data["total"] == 0


def test_the_stream_ends_with_its_token_and_with_the_server(make_server):
    server = make_server(arguments=["--jwt-leeway", "0"])
    with Watcher(server, token=publisher_token(ttl=2)) as watcher:
        assert watcher.is_over()
    assert server.total("disconnects_token_expired_total") == 1
    with Watcher(server) as watcher:
        watcher.shards()
        server.stop()
        assert watcher.is_over()


def test_no_metrics_are_written_without_a_watcher(make_server):
    server = make_server()
    with Watcher(server) as watcher:
        watcher.shards()
    wait_until("the stream has closed", lambda: server.total("connections") == 1)
    sent = server.total("bytes_sent_total")
    with Watcher(server) as watcher:
        watcher.shards()
        watcher.shards()
        # The bound covers the responses to this test's own scrapes and two events.
        assert sent < server.total("bytes_sent_total") < sent + 30_000


def test_a_scrape_gets_a_histogram_in_few_series(make_server):
    server = make_server(arguments=["--shards", "2"])

    def series():
        return re.findall(
            rf"^{HISTOGRAM}_(\w+)(?:{{le=\"(.*)\"}})? (.*)$", server.metrics(), re.MULTILINE
        )

    names = [(kind, end) for kind, end, _ in series()]
    assert len(names) <= 25 and len(set(names)) == len(names)
    with EventClient(server, "u") as client:
        for number in range(5):
            server.publish("u", str(number))
            assert client.until("notification:new")["title"] == str(number)
        wait_until("all are counted", lambda: int(series()[-1][2]) == 5)
        rows = series()
    assert [(kind, end) for kind, end, _ in rows] == names
    counts = [int(count) for kind, _, count in rows if kind == "bucket"]
    ends = [float(end) for kind, end, _ in rows if kind == "bucket"]
    assert counts == sorted(counts) and counts[-1] == 5 and ends == sorted(ends)
    assert ends[-1] == float("inf")
    assert [kind for kind, _, _ in rows[-2:]] == ["sum", "count"] and 0 < float(rows[-2][2]) < 60
    # All metrics together stay within 500 series.
    assert len([line for line in server.metrics().splitlines() if line[:1] != "#"]) <= 500


# Any user's devices and inbox, for publishers.


def path_of(user, what):
    return f"/api/v1/users/{urllib.parse.quote(user, safe='')}/{what}"


@pytest.mark.parametrize("what", ["connections", "notifications"])
def test_only_a_publisher_may_read_other_users(server, what):
    path = path_of("u", what)
    assert server.request("GET", path).status == 401
    # Not even the user itself, which has a separate endpoint.
    assert server.request("GET", path, user_token("u")).status == 403
    assert server.request("GET", path, publisher_token()).status == 200
    assert server.request("GET", path, key=API_KEY).status == 200
    assert server.request("HEAD", path, key=API_KEY).bytes == b""
    answer = server.request("DELETE", path, key=API_KEY)
    assert answer.status == 405 and answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize("what", ["connections", "notifications"])
@pytest.mark.parametrize("id", ["x" * 129, "a%00b", "a%C2%85"])
def test_an_invalid_user_id_is_422(server, what, id):
    answer = server.request("GET", f"/api/v1/users/{id}/{what}", key=API_KEY)
    assert answer.status == 422 and answer.error["message"].startswith("id: ")


@pytest.mark.parametrize("what", ["connections", "notifications"])
def test_a_user_id_that_is_not_utf8_is_400_or_404(server, what):
    for id in ("%FF", "%ED%A0%80", ""):
        path = f"/api/v1/users/{id}/{what}"
        assert server.request("GET", path, key=API_KEY).status in (400, 404), path


@pytest.mark.parametrize("shards", [1, 2])
def test_a_publisher_sees_a_users_connections(make_server, shards):
    server, user = make_server(arguments=["--shards", str(shards)]), "é/a b"
    path = path_of(user, "connections")
    assert server.request("GET", path, key=API_KEY).data == {"connections": []}
    with contextlib.ExitStack() as stack:
        rooms = {"rooms": "support"}
        opened = spread(stack, lambda: EventClient(server, user, query=rooms), server)
        stack.enter_context(StreamClient(server, user))
        own = "/api/v1/websocket/connections/user"

        def listed():
            return server.request("GET", path, key=API_KEY).data["connections"]

        wait_until("all are listed", lambda: len(listed()) == len(opened) + 1)
        wait_until(
            "all are in their room",
            lambda: [one["rooms"] for one in listed()].count(["support"]) == len(opened),
        )
        assert listed() == server.request("GET", own, user_token(user)).data["connections"]
        assert sorted({one["dialect"] for one in listed()}) == ["event", "sse"]
        assert all(one["remote_address"] == "127.0.0.1" for one in listed())
        assert all(is_timestamp(one["connected_at"]) for one in listed())
    gone = {"connections": []}
    wait_until("all have ended", lambda: server.request("GET", path, key=API_KEY).data == gone)


def test_a_publisher_reads_a_users_inbox_and_changes_nothing(server, fresh_user):
    user = fresh_user()
    made = [
        server.publish(user, str(number), type="even" if number % 2 == 0 else "odd")
        for number in range(5)
    ]
    token = user_token(user)
    read = f"/api/v1/notifications/{made[4]['id']}/read"
    assert server.request("PUT", read, token).status == 200
    theirs, own = path_of(user, "notifications"), "/api/v1/notifications"
    for query in ("", "?limit=2", "?unread=true", "?type=odd", "?collapse=false&limit=3"):
        page = server.request("GET", theirs + query, key=API_KEY).data
        assert page == server.request("GET", own + query, token).data, query
    page = server.request("GET", f"{theirs}?limit=2", key=API_KEY).data
    assert [one["title"] for one in page["notifications"]] == ["4", "3"]
    assert (page["unread"], page["total"]) == (4, 5)
    rest = server.request("GET", f"{theirs}?limit=200&before={page['next']}", key=API_KEY).data
    assert [one["title"] for one in rest["notifications"]] == ["2", "1", "0"]
    assert "next" not in rest
    # Reading by an operator does not mark notifications as seen.
    counts = server.request("GET", "/api/v1/notifications/stats", token).data
    assert (counts["unread"], counts["unseen"]) == (4, 4)
    # A publisher's own inbox is separate.
    assert server.request("GET", own, publisher_token(fresh_user())).data["total"] == 0


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=201", "limit=x", "before=0", "before=-1", "unread=2", "type=%00"]
)
def test_an_invalid_query_is_422(server, query):
    for path in (path_of("u", "notifications"), "/api/v1/notifications"):
        answer = server.request("GET", f"{path}?{query}", publisher_token("u"))
        assert answer.status == 422, (path, answer)
        assert answer.error["message"].startswith(query.split("=")[0] + ": ")


# The fields of a notification for a resuming client.


def test_only_a_resuming_client_gets_actions_group_and_expiry(server, fresh_user):
    user = fresh_user()
    extensions = {
        "actions": [{"label": "Open", "url": "/x"}],
        "group_key": "g",
        "expires_at": "2099-01-31T12:00:00.000Z",
    }
    with EventClient(server, user) as plain, EventClient(server, user, since="") as resuming:
        server.publish(user, "with", **extensions)
        server.publish(user, "without")
        shown = resuming.until("notification:new")
        assert {name: shown[name] for name in extensions} == extensions
        bare = resuming.until("notification:new")
        assert bare["title"] == "without" and not set(bare) & set(extensions)
        for title in ("with", "without"):
            seen = plain.until("notification:new")
            assert seen["title"] == title and not set(seen) & {*extensions, "cursor"}
        since = bare["cursor"].split(".")[0] + ".0"
    with EventClient(server, user, since=since) as again:
        missed = again.until("notification:new")
        assert {name: missed[name] for name in extensions} == extensions
