"""The command's help with its examples, and its suggestions for mistyped words."""

import re

import pytest

from harness.server import run_carillon

KEY_COMMANDS = ["key create", "key list", "key revoke", "key rotate"]
COMMANDS = ["serve", "token", "publish", "listen", "bench", "check", "version", *KEY_COMMANDS]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_examples_with_flags_that_exist(command):
    text = run_carillon(*command.split(), "--help").stdout
    flags, examples = re.split(r"\nExamples?:\n", text)
    lines = examples.splitlines()
    assert lines and all(f"carillon {command}" in line for line in lines)
    known = set(re.findall(r"^  (--[a-z-]+)", flags, re.MULTILINE))
    assert set(re.findall(r"--[a-z-]+", examples)) <= known


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_is_the_same_either_way(command):
    asked = run_carillon("help", *command.split())
    assert asked.returncode == 0 and not asked.stderr
    assert asked.stdout == run_carillon(*command.split(), "--help").stdout


def test_help_without_a_known_command():
    assert run_carillon("help").stdout == run_carillon("--help").stdout
    for words in (["nonsense"], ["serve", "token"], ["key", "x"], ["key", "list", "x"]):
        refused = run_carillon("help", *words)
        assert refused.returncode == 2 and refused.stderr and not refused.stdout, refused


@pytest.mark.parametrize("flag", ["-V", "--version"])
def test_a_flag_prints_the_version(flag):
    asked = run_carillon(flag)
    assert asked.returncode == 0
    assert asked.stdout == run_carillon("version").stdout


@pytest.mark.parametrize(
    "arguments, suggested",
    [
        (["serv"], "serve"),
        (["lisetn"], "listen"),
        (["ehck"], "check"),
        (["hepl"], "help"),
        (["help", "tokn"], "token"),
        (["key", "lsit"], "list"),
        (["serve", "--prot", "1"], "--port"),
        (["serve", "--Port=1"], "--port"),
        (["serve", "-dev"], "--dev"),
        (["serve", "port", "1"], "--port"),
        (["serve", "--jwt-secrt", "s"], "JWT_SECRET in the environment"),
        (["publish", "--messge", "m"], "--message"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_a_mistyped_word_gets_the_nearest_one(arguments, suggested):
    wrong = run_carillon(*arguments)
    assert wrong.returncode == 2 and not wrong.stdout
    assert f"(did you mean {suggested}?)" in wrong.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["x"],
        ["xy"],
        ["nonsense"],
        ["serverrr"],
        ["serve", "--x"],
        ["serve", "--portable"],
        ["serve", "é"],
    ],
    ids=" ".join,
)
def test_a_word_that_is_near_to_none_gets_no_suggestion(arguments):
    wrong = run_carillon(*arguments)
    assert wrong.returncode == 2 and "did you mean" not in wrong.stderr


def test_a_word_after_a_switch_is_explained():
    wrong = run_carillon("serve", "--dev", "off")
    assert wrong.returncode == 2 and "write --dev=off" in wrong.stderr
