"""Guards of API keys: their secrets, rights, ends and number."""

from edits import always, remove, replace, rewrite
from guard import Guard, unit, wire

END_TO_END = "test_api_keys.py"


def keys(claim, name, edit, *tests):
    """A guard of no row in the acceptance table."""
    return Guard(None, claim, name, edit, tests)


GUARDS = [
    keys(
        "a key publishes only its types",
        "key-types",
        replace("types.isEmpty ||", "!types.isEmpty ||"),
        unit("APIRightsTests/types"),
        unit("KeyAccessTests/types"),
        wire(END_TO_END, "type_of_another_key"),
    ),
    keys(
        "a key grants only verbs that it has",
        "granted-verbs-included",
        remove(),
        unit("APIRightsTests/inclusion"),
        unit("KeyManagementTests/grants"),
        wire(END_TO_END, "only_an_administrator"),
    ),
    keys(
        "a key grants only types that it has",
        "granted-types-included",
        rewrite("return @1 && @2", "return @1"),
        unit("APIRightsTests/inclusion"),
        unit("KeyManagementTests/grants"),
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
    keys(
        "a token needs the scope admin to manage keys",
        "admin-scope",
        replace("&& Self.hasOne(@1)", ""),
        unit("KeyManagementTests/callers"),
        unit("ClaimTests/administrator"),
        wire(END_TO_END, "only_an_administrator"),
    ),
    keys(
        "an expired key is refused",
        "expired-key-refused",
        replace(", end > time", ""),
        unit("KeyRingTests/ended"),
    ),
    keys(
        "a revoked key ends its use",
        "revoked-key-ends",
        replace(", key.revokedAt == nil", ""),
        unit("KeyRingTests/ended"),
        unit("KeyManagementTests/revokedStreams"),
    ),
    keys(
        "an earlier secret is valid for one rotation only",
        "earlier-secret-ends",
        replace("use.secretNumber == key.secretNumber - 1, ", ""),
        unit("KeyRingTests/rotated"),
    ),
    keys(
        "a use of a key that is gone is not written",
        "uses-of-known-keys-only",
        remove(),
        unit("KeyAccessTests/removedUse"),
    ),
    keys(
        "the use of a key is sent once a minute",
        "key-use-once-a-minute",
        remove(),
        unit("KeyAccessTests/messages"),
    ),
    keys(
        "a change of a key is answered when every shard has it",
        "key-change-awaits-all-shards",
        replace("mailboxes.count", "1"),
        unit("KeyManagementTests/allShards"),
    ),
    keys(
        "the streams of a revoked key end",
        "revoked-key-ends-streams",
        rewrite("guard let end else { @1 continue }", "guard let end else { continue }"),
        unit("KeyManagementTests/revokedStreams"),
        unit("KeyManagementTests/replacedStreams"),
        wire(END_TO_END, "refused_on_every_shard"),
    ),
    keys(
        "a key expires in the future",
        "key-expires-later",
        remove(),
        unit("KeyManagementTests/bodies"),
        wire(END_TO_END, "ends_with_its_time"),
    ),
    keys(
        "a key grants no more than it has",
        "key-grants-no-more",
        remove(),
        unit("KeyManagementTests/grants"),
        unit("KeyManagementTests/rotatesOthers"),
        wire(END_TO_END, "only_an_administrator"),
    ),
    keys(
        "a key grants no rights for longer than it has them",
        "key-grants-no-longer",
        remove(),
        unit("KeyManagementTests/grants"),
    ),
    keys(
        "an overlap is bounded",
        "overlap-bound",
        replace("APIKey.longestOverlapSeconds", "Int64.max / 1_000"),
        unit("KeyManagementTests/overlaps"),
        wire(END_TO_END, "two_secrets"),
    ),
    keys(
        "a name has at most 64 bytes without control characters",
        "key-name-rule",
        always(),
        unit("KeyManagementTests/bodies"),
        unit("KeyManagementTests/bounds"),
    ),
    keys(
        "a key has a verb",
        "key-has-a-verb",
        remove(),
        unit("KeyManagementTests/bodies"),
    ),
    keys(
        "a pattern of types has the characters of a type",
        "key-type-rule",
        remove(),
        unit("KeyManagementTests/bodies"),
        unit("KeyManagementTests/bounds"),
    ),
    keys(
        "a key has a limited number of types",
        "key-type-count",
        remove(),
        unit("KeyManagementTests/bounds"),
    ),
    keys(
        "idempotency keys belong to a key and not to its secret",
        "scope-of-key",
        replace("use.id.characters", "use.id.characters + String(use.secretNumber)"),
        unit("KeyAccessTests/scope"),
        wire(END_TO_END, "two_secrets"),
    ),
    keys(
        "a key is used for its verbs only",
        "key-verbs",
        replace("verbs.contains(verb)", "verbs.count < 100", block=True),
        unit("KeyAccessTests/access"),
        wire(END_TO_END, "needs_its_verb"),
    ),
    keys(
        "only an administrator's token manages keys",
        "admin-verb-of-admins",
        rewrite("return @1", "return isPublisher"),
        unit("KeyManagementTests/callers"),
        wire(END_TO_END, "only_an_administrator"),
    ),
    keys(
        "an unknown key is refused where the server has keys",
        "unknown-key-refused",
        replace("expected != nil || !apiKeys.isEmpty", "expected != nil"),
        unit("KeyAccessTests/foreign"),
    ),
    keys(
        "a key that is revoked while a body arrives publishes nothing",
        "key-valid-after-body",
        remove(),
        unit("KeyAccessTests/revokedMeanwhile"),
    ),
    keys(
        "the id of a key on the command line is no other path",
        "key-id-in-path",
        remove(),
        wire(END_TO_END, "wrong_command"),
    ),
]
