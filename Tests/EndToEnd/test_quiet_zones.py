"""Quiet hours in a time zone: every zone of the machine, by the clock that Python reads in it."""

import datetime
import json
import zoneinfo
from pathlib import Path

import pytest

from harness.clients import FlatClient
from harness.server import run_carillon
from harness.tokens import SECRET, user_token
from harness.waiting import wait_until

PATH = "/api/v1/preferences"
ZONES = Path("/usr/share/zoneinfo")


def put(server, user, over=None, **clock):
    hours = {"start": "22:00", "end": "07:00", **clock}
    return server.request("PUT", PATH, user_token(user), {"quiet_hours": hours}, over=over)


def names():
    """The names of all zones of the machine, without copies in other forms."""
    found = set()
    for path in ZONES.rglob("*"):
        name = str(path.relative_to(ZONES))
        others = ("posix", "right", "localtime", "posixrules", "Factory")
        if path.is_file() and not name.startswith(others) and path.read_bytes()[:4] == b"TZif":
            found.add(name)
    return sorted(found)


def test_every_zone_of_the_machine_is_accepted_and_kept(server, fresh_user):
    user, over = fresh_user(), server.connection()
    found = names()
    assert len(found) > 400 and "Europe/Zurich" in found
    for name in found:
        answer = put(server, user, over, time_zone=name)
        assert answer.status == 200, (name, answer)
        assert answer.data["quiet_hours"] == {"start": "22:00", "end": "07:00", "time_zone": name}
    over.close()


def test_the_hours_are_those_of_the_zones_clock(server, fresh_user):
    """In zones all around the world, of which any may be near a change of its offset."""
    over = server.connection()
    for name in names()[::6]:
        user, zone = fresh_user(), zoneinfo.ZoneInfo(name)
        local = datetime.datetime.now(zone)
        # Far enough from the edges for a change of an hour or two in the next minute.
        edges = [(local + datetime.timedelta(hours=hours)) for hours in (-5, 5)]
        start, end = (f"{edge:%H:%M}" for edge in edges)
        with FlatClient(server, user) as flat:
            assert put(server, user, over, time_zone=name, start=start, end=end).status == 200
            server.publish(user, "quiet", over=over)
            assert put(server, user, over, time_zone=name, start=end, end=start).status == 200
            loud = server.publish(user, "loud", over=over)
            assert flat.next()["id"] == loud["id"], name
    over.close()


@pytest.mark.parametrize(
    "name",
    [
        "Europe/Atlantis",
        "europe/zurich",
        "Europe/Zurich ",
        "../../../etc/passwd",
        "/usr/share/zoneinfo/UTC",
        "Europe/../UTC",
        "posix/UTC",
        "right/UTC",
        "localtime",
        "Europe",
        "",
        "\u0000",
        "x" * 300,
    ],
)
def test_any_other_name_is_422_and_not_repeated(server, fresh_user, name):
    answer = put(server, fresh_user(), time_zone=name)
    assert answer.status == 422
    assert answer.error["message"].startswith("quiet_hours.time_zone: must be the name")
    assert len(name) < 8 or name not in answer.error["message"]


def test_a_zone_and_an_offset_exclude_each_other(server, fresh_user):
    user = fresh_user()
    answer = put(server, user, time_zone="Europe/Zurich", utc_offset="+01:00")
    assert answer.status == 422 and "not both" in answer.error["message"]
    assert put(server, user, utc_offset="+01:00").data["quiet_hours"]["utc_offset"] == "+01:00"


def test_without_zone_files_only_offsets_are_accepted_and_the_start_says_so(make_server, tmp_path):
    empty = ["--time-zones", str(tmp_path)]
    server = make_server()
    assert put(server, "u", time_zone="Etc/GMT+12").status == 200
    server.stop()
    server.arguments += empty
    server.start()
    wait_until("the log has a line", lambda: "no zone files were found" in server.log())
    answer = put(server, "v", time_zone="Europe/Zurich")
    assert answer.status == 422 and "give a utc_offset" in answer.error["message"]
    assert put(server, "v", utc_offset="+01:00").status == 200
    # The stored document is kept, and everything rings.
    kept = server.request("GET", PATH, user_token("u")).data
    assert kept["quiet_hours"]["time_zone"] == "Etc/GMT+12"
    with FlatClient(server, "u") as flat:
        published = server.publish("u")
        assert flat.next()["id"] == published["id"]


def test_check_shows_the_number_of_zones_and_the_remedy(tmp_path):
    environment = {"JWT_SECRET": SECRET}

    def row(*arguments):
        done = run_carillon("check", "--json", *arguments, environment=environment)
        return json.loads(done.stdout)["limits"]["time zones"]

    assert row()["value"] == len(names())
    missing = row("--time-zones", str(tmp_path))
    assert missing["value"] == 0 and "tzdata" in missing["remedy"]
    done = run_carillon("serve", "--time-zones=", environment=environment)
    assert done.returncode == 2 and "--time-zones must name a directory" in done.stderr
