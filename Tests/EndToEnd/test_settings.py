"""The settings of the command: their spellings and sources, and the values that are refused."""

import json
import re
import subprocess

import pytest

from harness.server import BINARY, SECRET, clean_environment, run_carillon

BOOLEANS = {
    "dev": "CARILLON_DEV",
    "pin": "CARILLON_PIN",
    "allow-private-destinations": "CARILLON_ALLOW_PRIVATE_DESTINATIONS",
    "jwt-require-exp": "JWT_REQUIRE_EXP",
}
SPELLINGS = {
    **dict.fromkeys(["true", "on", "yes", "1", "TRUE", "On", "Yes"], True),
    **dict.fromkeys(["false", "off", "no", "0", "FALSE", "Off", "nO"], False),
}
# Numbers, text around a spelling, and other words: none of these is on or off.
NEITHER = ["2", "-1", "maybe", "y", "enabled", "on ", " off", "null", "tru", "0ff"]


def check(*arguments, **environment):
    return run_carillon("check", *arguments, environment={"JWT_SECRET": SECRET, **environment})


def settings(*arguments, **environment):
    """Returns the settings in force with their sources, from `carillon check --json`."""
    done = check("--json", *arguments, **environment)
    assert done.returncode == 0, done
    return json.loads(done.stdout)["settings"]


# Booleans.


@pytest.mark.parametrize("flag", BOOLEANS)
def test_a_boolean_setting_accepts_each_spelling(flag):
    for text, shown in SPELLINGS.items():
        variable = BOOLEANS[flag]
        given = settings(**{variable: text})[flag]
        assert given == {"value": shown, "source": variable}, text
    for text, shown in [("on", True), ("NO", False)]:
        given = settings(f"--{flag}={text}", **{BOOLEANS[flag]: "1"})[flag]
        assert given == {"value": shown, "source": f"--{flag}"}


@pytest.mark.parametrize("flag", BOOLEANS)
def test_a_boolean_setting_refuses_any_other_value(flag):
    variable = BOOLEANS[flag]
    refusals = [(check(**{variable: text}), variable, text) for text in NEITHER]
    refusals += [(check(f"--{flag}={text}"), f"--{flag}", text) for text in ["", "2", "maybe"]]
    for done, source, text in refusals:
        assert done.returncode == 2 and not done.stdout, (text, done)
        allowed = "true or false, on or off, yes or no, 1 or 0"
        assert f"{source} must be {allowed}, not '{text}'" in done.stderr


def test_the_help_of_serve_has_no_further_boolean_setting():
    # A name without a placeholder, or one with `on|off`, then the description.
    line = re.compile(r"^  --([a-z-]+)(?: on\|off | {2,})", re.MULTILINE)
    assert set(line.findall(run_carillon("serve", "--help").stdout)) == set(BOOLEANS)


def test_an_empty_variable_is_not_set():
    shown = settings(**dict.fromkeys(BOOLEANS.values(), ""))
    sources = {shown[flag]["source"] for flag in BOOLEANS}
    assert sources == {"default"}
    assert [shown[flag]["value"] for flag in BOOLEANS] == [False, False, False, True]


@pytest.mark.parametrize("value", ["off", "false", "no", "0"])
def test_a_development_server_that_is_off_does_not_start(value):
    done = run_carillon("serve", "--port", "0", environment={"CARILLON_DEV": value})
    assert done.returncode == 2
    assert "JWT_SECRET" in done.stderr and "export" not in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["bench", "--json=perhaps"],
        ["check", "--json=perhaps"],
        ["publish", "--everyone=perhaps", "--title", "t"],
    ],
    ids=" ".join,
)
def test_the_switches_of_every_command_refuse_other_values(arguments):
    environment = {"JWT_SECRET": SECRET, "CARILLON_API_KEY": "k"}
    done = run_carillon(*arguments, environment=environment)
    assert done.returncode == 2 and not done.stdout, done
    assert "must be true or false" in done.stderr and "'perhaps'" in done.stderr


def test_a_switch_that_is_off_is_as_if_it_were_absent():
    assert check("--json=off").stdout == check().stdout
    done = run_carillon(
        "publish", "--everyone=no", "--title", "t", environment={"CARILLON_API_KEY": "k"}
    )
    assert done.returncode == 2 and "--title needs one of" in done.stderr


# Other settings.


@pytest.mark.parametrize(
    "text, shown",
    [
        ("asked", "asked"),
        ("ASKED", "asked"),
        ("on", "on"),
        ("off", "off"),
        ("1", "on"),
        ("No", "off"),
    ],
)
def test_recovery_of_socket_io_is_for_clients_that_asked_for_all_or_for_none(text, shown):
    variable = "CARILLON_SOCKETIO_RECOVERY"
    given = settings(**{variable: text})["socketio-recovery"]
    assert given == {"value": shown, "source": variable}
    given = settings(f"--socketio-recovery={text}", **{variable: "off"})["socketio-recovery"]
    assert given == {"value": shown, "source": "--socketio-recovery"}
    default = {"value": "asked", "source": "default"}
    assert settings()["socketio-recovery"] == default
    done = check("--socketio-recovery", f"{text}x")
    assert done.returncode == 2 and not done.stdout
    assert f"--socketio-recovery must be asked, on or off, not '{text}x'" in done.stderr


@pytest.mark.parametrize("scheme", ["tcp", "udp", "sctp"])
def test_a_service_link_of_kubernetes_is_explained(scheme):
    link = f"{scheme}://10.96.0.12:8080"
    done = run_carillon("serve", environment={"JWT_SECRET": SECRET, "CARILLON_PORT": link})
    assert done.returncode == 2 and not done.stdout, done
    for part in ("CARILLON_PORT", link, "Kubernetes", "enableServiceLinks: false", "--port"):
        assert part in done.stderr
    # A flag wins over the environment, so the remedy works.
    port = settings("--port", "8081", CARILLON_PORT=link)["port"]
    assert port == {"value": 8081, "source": "--port"}


def test_only_the_variable_is_taken_for_a_service_link():
    done = check("--port", "tcp://10.96.0.12:8080")
    assert done.returncode == 2 and "Kubernetes" not in done.stderr
    assert "--port must be a number from 0 to 65535, not 'tcp://10.96.0.12:8080'" in done.stderr


@pytest.mark.parametrize(
    "variable, value",
    [
        ("CARILLON_PORT", "http"),
        ("CARILLON_SHARDS", "0"),
        ("CARILLON_ROOMS", "closed"),
        ("CARILLON_WHEN_USER_FULL", "drop"),
        ("CARILLON_CONNECT_RATE", "20/0"),
        ("JWT_ALGORITHM", "none"),
        ("JWT_LEEWAY", "31"),
        ("LOG_LEVEL", "loud"),
    ],
)
def test_a_refused_setting_is_named_by_its_source(variable, value):
    done = check(**{variable: value})
    assert done.returncode == 2 and not done.stdout, done
    assert f"{variable} must be " in done.stderr and f"not '{value}'" in done.stderr


# The values of `check`.


def test_the_json_of_a_check_has_values_of_their_kind():
    shown = settings("--shards", "3", "--cors-origins", "https://a.example")
    assert shown["host"] == {"value": "127.0.0.1", "source": "default"}
    assert shown["port"] == {"value": 8080, "source": "default"}
    assert shown["shards"] == {"value": 3, "source": "--shards"}
    assert shown["cors-origins"] == {"value": "https://a.example", "source": "--cors-origins"}
    assert shown["jwt-secret"] == {"value": "set", "source": "JWT_SECRET"}
    assert shown["api-key"] == {"value": None, "source": "default"}
    assert shown["jwt-issuer"] == {"value": None, "source": "default"}
    assert settings()["cors-origins"] == {
        "value": None,
        "note": "this machine's names",
        "source": "default",
    }
    numbers = {
        "port",
        "shards",
        "backlog-bytes",
        "message-bytes",
        "connections-per-address",
        "connections-per-user",
        "rooms-per-user",
        "socketio-ping-interval",
        "socketio-ping-timeout",
        "jwt-leeway",
    }
    kinds = {name: type(setting["value"]) for name, setting in shown.items()}
    assert {name for name, kind in kinds.items() if kind is int} == numbers
    assert {name for name, kind in kinds.items() if kind is bool} == set(BOOLEANS)
    limits = json.loads(check("--json").stdout)["limits"]
    assert limits and all(type(limit["value"]) is int for limit in limits.values()), limits


def test_the_text_of_a_check_has_the_same_values():
    text = check().stdout
    for name, value in [
        ("port", "8080"),
        ("pin", "off"),
        ("cors-origins", "this machine's names"),
        ("connect-rate", "20/100, remote clients only"),
        ("jwt-secret", "set"),
        ("api-key", "not set"),
    ]:
        assert re.search(rf"^{name} +{value} +(default|JWT_SECRET)$", text, re.MULTILINE), name


# Warnings of `check`.


def test_a_check_works_without_a_secret_and_names_it():
    done = run_carillon("check")
    assert done.returncode == 0 and not done.stderr, done
    assert re.search(r"^jwt-secret +not set +default$", done.stdout, re.MULTILINE)
    assert re.search(r"^none +JWT_SECRET +not set\n +remedy: ", done.stdout, re.MULTILINE)
    assert run_carillon("check", "--strict").returncode == 1
    shown = json.loads(run_carillon("check", "--json").stdout)
    assert shown["settings"]["jwt-secret"] == {"value": None, "source": "default"}
    missing = shown["limits"]["JWT_SECRET"]
    assert missing["value"] is None and missing["ok"] is False and missing["remedy"]
    # A development server needs none.
    assert "JWT_SECRET" not in json.loads(run_carillon("check", "--dev", "--json").stdout)["limits"]
    assert "JWT_SECRET" not in json.loads(check("--json").stdout)["limits"]


def test_a_strict_check_fails_when_a_limit_is_low():
    environment = {"JWT_SECRET": SECRET}
    limits = json.loads(run_carillon("check", "--json", environment=environment).stdout)["limits"]
    is_low = not all(limit["ok"] for limit in limits.values())
    for arguments in (["--strict"], ["--strict", "--json"]):
        done = run_carillon("check", *arguments, environment=environment)
        assert done.returncode == int(is_low) and done.stdout, done
    # With so few open files one limit is low on every machine.
    for strict, status in (("--strict", 1), ("--strict=off", 0)):
        few = subprocess.run(
            ["bash", "-c", f"ulimit -n 1000 && exec {BINARY} check {strict}"],
            env=clean_environment(environment),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert few.returncode == status, few
        assert re.search(r"^low +open files +1000$", few.stdout, re.MULTILINE)


def test_a_check_warns_of_a_short_secret_without_printing_it():
    done = run_carillon("check", "--strict", environment={"JWT_SECRET": "tooshort"})
    assert done.returncode == 1
    assert re.search(r"^low +length of JWT_SECRET +short$", done.stdout, re.MULTILINE)
    assert "tooshort" not in done.stdout + done.stderr
    enough = run_carillon("check", environment={"JWT_SECRET": SECRET})
    assert "length of JWT_SECRET" not in enough.stdout
