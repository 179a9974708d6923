"""The console's view of the server's record of five minutes and of its facts, from a given feed."""

import contextlib
import json
import re
import time

import pytest
from playwright.sync_api import expect

from harness.browser import new_context
from harness.console import sign_in, tile
from harness.pages import assert_fit, open_own_page
from harness.tokens import publisher_token


def stream(*events):
    return "".join(f"data: {json.dumps(each)}\n\n" for each in events)


def metrics(time, **server):
    """A snapshot of a server with one shard on which nothing happens."""
    names = ["connections", "sessions", "users", "rooms", "blocked"]
    names += ["delivered", "bytes_sent", "published", "slow_consumers", "received"]
    shard = dict.fromkeys(names, 0) | {"latency": {"count": 0, "p50": 0, "p99": 0, "max": 0}}
    store = {"state": "ok", "reason": None, "persistent": True}
    store |= {"write_queue": 0, "write_queue_limit": 8192, "read_queue": 0}
    facts = {"version": "0.1.0", "uptime": 12_345, "memory": 52_428_800, "store": store}
    store |= server.pop("store", {})
    return {
        "type": "metrics",
        "data": {"time": time, "server": facts | server, "shards": [shard]},
    }


def history(end, **columns):
    """A record of five minutes in which the number of connections falls from 300 to 1."""
    count = 300
    names = ["sessions", "users", "rooms", "blocked", "delivered", "bytes_sent", "published"]
    names += ["slow_consumers", "received"]
    data = {name: [0] * count for name in names}
    data |= {name: [None] * count for name in ("p50", "p99", "max", "memory")}
    data |= {
        "interval": 1_000,
        "time": [end - 1_000 * (count - index) for index in range(count)],
        "connections": [count - index for index in range(count)],
    }
    return {"type": "history", "data": data | columns}


@pytest.fixture
def open_fed_console(browser, server):
    """Opens a console whose feed is given, instead of that of the server."""
    with contextlib.ExitStack() as stack:

        def open_one(*events, **options):
            context = new_context(browser, **options)
            stack.callback(context.close)
            context.route(
                "**/api/v1/metrics/stream*",
                lambda route: route.fulfill(content_type="text/event-stream", body=stream(*events)),
            )
            page = open_own_page(context, "/console", server=server)
            sign_in(page, publisher_token())
            expect(page.locator("#board")).to_be_visible()
            return page

        yield open_one


def test_the_plots_begin_with_the_record_of_the_server(open_fed_console):
    end = int(time.time() * 1_000)
    page = open_fed_console(history(end, delivered=[7] * 300, p99=[250] * 300), metrics(end))
    summary = page.locator(".plot").first.locator(".unseen")
    expect(summary).to_contain_text("connections: now 0, lowest 0, highest 300")
    expect(page.locator(".plot").nth(2).locator(".unseen")).to_contain_text("highest 250 µs")
    # The first snapshot has no rates, so the last ones of the record stay.
    expect(tile(page, "Deliveries")).to_have_text("7/s")
    page.get_by_text("Per shard").click()
    expect(page.locator(".plot").first.locator(".legend li")).to_have_count(1)


def test_the_facts_of_the_server(open_fed_console):
    now = int(time.time() * 1_000)
    page = open_fed_console(metrics(now))
    facts = page.locator("#server")
    for name, value in [
        ("Version", "0.1.0"),
        ("Up", "3 h 25 min"),
        ("Memory", "52.4 MB"),
        ("Store", "on disk"),
        ("Write queue", "0 of 8,192"),
    ]:
        expect(facts.locator("div", has_text=name).locator("dd").first).to_have_text(value)
    expect(facts.locator(".warn, .bad")).to_have_count(0)


def test_values_beyond_a_threshold_stand_out(open_fed_console):
    now = int(time.time() * 1_000)
    reason = "the store is read-only: disk I/O error"
    store = {"state": "read_only", "reason": reason, "write_queue": 5_000}
    page = open_fed_console(
        history(now, slow_consumers=[2] * 300, p50=[300] * 300, p99=[2_000_000] * 300),
        metrics(now, store=store),
    )
    tiles = page.locator(".tile")
    expect(tiles.filter(has_text="p99")).to_have_class(re.compile(r"\bbad\b"))
    expect(tiles.filter(has_text="p99")).to_contain_text("critical")
    expect(tiles.filter(has_text="Slow consumers")).to_have_class(re.compile(r"\bwarn\b"))
    expect(tiles.filter(has_text="Slow consumers")).to_contain_text("elevated")
    expect(tiles.filter(has_text="p50")).not_to_have_class(re.compile("warn|bad"))
    # Each level has a colour of its own.
    colours = {
        name: tiles.filter(has_text=name)
        .locator(".figure")
        .evaluate("(figure) => getComputedStyle(figure).color")
        for name in ("p50", "Slow consumers", "p99")
    }
    assert len(set(colours.values())) == 3, colours
    expect(page.locator("#server .bad")).to_have_text(reason)
    expect(page.locator("#server .warn")).to_have_text("5,000 of 8,192")
    assert_fit(page)
