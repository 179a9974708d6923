"""`carillon check --limits`: every bound of a server, with the settings applied."""

import json
import re

import pytest

from harness.server import API_KEY, SECRET, run_carillon
from harness.tokens import user_token

INBOX = "/api/v1/notifications"


def check(*arguments, **environment):
    done = run_carillon("check", "--limits", *arguments, environment=environment)
    assert done.returncode == 0 and not done.stderr, done
    return done.stdout


def limits(*arguments, **environment):
    """Returns the rows of `carillon check --limits --json`, by group and name."""
    groups = json.loads(check("--json", *arguments, **environment))["groups"]
    return {(group["name"], row["name"]): row for group in groups for row in group["limits"]}


def row_of_flag(rows, flag):
    return next(row for row in rows.values() if row["flag"] == flag)


def test_the_text_and_the_json_have_the_same_rows():
    lines = check().splitlines()
    rows = limits()
    assert len(rows) > 180
    assert lines[0] == "connections"
    shown = [line for line in lines if line.startswith("  ")]
    for line, (group, name) in zip(shown, rows, strict=True):
        assert line.startswith(f"  {name} "), (group, name, line)
        assert rows[group, name]["effect"] in line


@pytest.mark.parametrize(
    "flag, text, value",
    [
        ("--connections-per-address", "500", 500),
        ("--connections-per-user", "0", None),
        ("--rooms-per-user", "50", 50),
        ("--connect-rate", "7/9", "7/9"),
        ("--message-rate", "0", None),
        ("--request-rate", "8/9", "8/9"),
        ("--bad-token-rate", "6/7", "6/7"),
        ("--publish-rate", "5", "5/5"),
        ("--backlog-bytes", "8192", 8192),
        ("--message-bytes", "125", 125),
        ("--socketio-ping-interval", "1000", 1000),
        ("--socketio-ping-timeout", "2000", 2000),
        ("--jwt-leeway", "0", 0),
    ],
)
def test_a_setting_changes_its_row_and_no_other(flag, text, value):
    standard = limits()
    given = limits(flag, text)
    assert row_of_flag(given, flag)["value"] == value
    assert row_of_flag(given, flag)["default"] == row_of_flag(standard, flag)["value"]
    assert [row for row in given if given[row] != standard[row]] == [
        row for row in given if given[row]["flag"] == flag
    ]
    text_of_help = run_carillon("help", "check").stdout
    variable = re.search(rf"^  {flag} .*\[(\w+)", text_of_help, re.MULTILINE)
    assert limits(**{variable[1]: text}) == given


def test_the_text_shows_the_value_in_force_with_its_flag_and_default():
    line = next(x for x in check("--backlog-bytes", "8192").splitlines() if "--backlog" in x)
    assert "  8 KiB  " in line and line.endswith("[--backlog-bytes, default 64 KiB]")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--strict"], "--strict is about this machine: run it without --limits"),
        (["rooms"], "'rooms' is not a flag of this command"),
        (["--backlog-bytes", "1"], "--backlog-bytes must be a number from 4096 to 262144"),
        (["--limits"], "--limits is given twice"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_arguments_that_do_not_fit_are_refused(arguments, message):
    done = run_carillon("check", "--limits", *arguments)
    assert done.returncode == 2 and not done.stdout, done
    assert message in done.stderr


def test_without_the_flag_the_table_is_not_shown():
    environment = {"JWT_SECRET": SECRET}
    plain = run_carillon("check", environment=environment)
    off = run_carillon("check", "--limits=off", environment=environment)
    assert plain.returncode == 0 and off.stdout == plain.stdout
    assert "head of a request" not in plain.stdout


def test_the_table_shows_no_secret():
    shown = check(JWT_SECRET=SECRET, CARILLON_API_KEY=API_KEY)
    assert SECRET not in shown and API_KEY not in shown


def test_a_server_refuses_past_the_values_that_the_table_shows(make_server):
    server = make_server()
    body = limits()["body of a request", "JSON body"]["value"]
    title = limits()["notifications", "title"]["value"]

    def publish(**members):
        fields = {"user_id": "u", "type": "t", **members}
        return server.request("POST", INBOX, key=API_KEY, body=fields)

    assert publish(title="x" * title).status == 201
    refused = publish(title="x" * (title + 1))
    assert refused.status == 422 and str(title) in refused.error["message"]
    token = user_token("u")
    longer = server.request("POST", f"{INBOX}/read", token=token, body=b" " * (body + 1))
    assert longer.status == 413 and str(body) in longer.error["message"]
