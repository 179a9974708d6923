"""Guards of the store's work for one inbox, and of its formats: case 71."""

from edits import never, replace
from guard import Guard, unit

GUARDS = [
    Guard(
        71,
        "the cache of parsed preferences is bounded",
        "preferences-cache-bound",
        never(),
        (unit("PreferencesCacheTests/bound"),),
    ),
    Guard(
        71,
        "a step of a change of all visits a bounded number of rows",
        "sweep-step-bound",
        replace("left > 0", "left > -1_000_000"),
        (unit("LargeInboxTests/boundedStep"), unit("LargeInboxTests/steps")),
    ),
    Guard(
        71,
        "a change of all leaves notifications that were marked unread meanwhile",
        "unread-excluded-from-sweep",
        replace("row.userKey == key", "row.userKey != key"),
        (unit("LargeInboxTests/unreadMeanwhile"),),
    ),
    Guard(
        71,
        "the rows of an inbox without entries in the index of types are limited",
        "small-inbox-limit",
        replace("? 1 : 0", "? 0 : 0"),
        (unit("LargeInboxTests/smallClass"), unit("LargeInboxTests/boundedPages")),
    ),
    Guard(
        71,
        "a store of an unknown format is refused",
        "newer-format-refused",
        replace("version <= newest", "version >= 0"),
        (unit("OpeningTests/newerVersion"),),
    ),
]
