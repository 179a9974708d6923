"""Guards of API keys: their secrets, rights, ends and number."""

from edits import remove, replace, rewrite
from guard import Guard, unit


def keys(claim, name, edit, *tests):
    """A guard of no row in the acceptance table."""
    return Guard(None, claim, name, edit, tests)


GUARDS = [
    keys(
        "a key publishes only its types",
        "key-types",
        replace("types.isEmpty ||", "!types.isEmpty ||"),
        unit("APIRightsTests/types"),
    ),
    keys(
        "a key grants only verbs that it has",
        "granted-verbs-included",
        remove(),
        unit("APIRightsTests/inclusion"),
    ),
    keys(
        "a key grants only types that it has",
        "granted-types-included",
        rewrite("return @1 && @2", "return @1"),
        unit("APIRightsTests/inclusion"),
    ),
    keys(
        "a printed digest shows nothing of it",
        "digest-is-not-printed",
        replace('"digest"', '"digest \\(bytes)"'),
        unit("APIKeyTests/digests"),
    ),
    keys(
        "a rotation without overlap leaves no earlier secret",
        "two-secrets-at-most",
        replace("> 0", ">= 0"),
        unit("APIKeyTests/secrets"),
    ),
    keys(
        "a damaged row is no key",
        "key-has-checksum",
        remove(),
        unit("APIKeyTests/damage"),
    ),
    keys(
        "a key that has ended gets no new secret",
        "ended-key-keeps-its-secret",
        remove(),
        unit("APIKeyTests/refusals"),
    ),
    keys(
        "keys that have ended make room at the limit",
        "ended-keys-make-room",
        replace("time", "Int64.min"),
        unit("APIKeyTests/limit"),
    ),
    keys(
        "the number of keys is limited",
        "api-keys-limited",
        replace("excess <= 0", "excess <= 1_000"),
        unit("APIKeyTests/limit"),
    ),
]
