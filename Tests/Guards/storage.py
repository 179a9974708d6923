"""Guards of the store: cases 86 and 89."""

from edits import never, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        86,
        "an error before the first write leaves the store writable",
        "only-failed-writes-are-final",
        replace("error.isFailedWrite", "!isCommitting"),
        (
            unit("StoreErrorTests/lockOfAnotherProcess"),
            unit("StoreErrorTests/failedBegin"),
            wire("test_durability.py", "lock_of_another_process"),
        ),
    ),
    Guard(
        86,
        "after a group that failed, the rest of the batch does not wait for the lock again",
        "rest-of-batch-refused",
        rewrite("guard @1 else { @2 }", "_ = @1"),
        (unit("StoreErrorTests/oneWait"),),
    ),
    Guard(
        86,
        "the outcome of a failed commit is unknown",
        "failed-commit-is-unknown",
        replace("isOutcomeUnknown: isCommitting", "isOutcomeUnknown: false"),
        (
            unit("DurabilityTests/failedCommit"),
            unit("KeptRoomsFaultTests/readOnly"),
            wire("test_durability.py", "full_disk_makes"),
        ),
    ),
    Guard(
        86,
        "a command that the store does not finish is answered in time",
        "store-deadline",
        replace("now + limit", "max(limit, .max)"),
        (
            unit("StoreTimeoutTests/lateCommand"),
            unit("StoreTimeoutTests/lateQuery"),
            wire("test_readiness.py", "hung_sync"),
        ),
    ),
    Guard(
        86,
        "the late outcome of a command does not answer the connection's next request",
        "late-outcome-ends-connection",
        remove(),
        (unit("StoreTimeoutTests/lateCommand"),),
    ),
    Guard(
        86,
        "commands are refused while the store has an overdue one",
        "stalled-store-refuses",
        rewrite("guard @1 else { @2 }", "_ = @1"),
        (unit("StoreTimeoutTests/stalled"),),
    ),
    Guard(
        89,
        "a checkpoint waits for no reader",
        "checkpoints-wait-for-nothing",
        replace("SQLITE_CHECKPOINT_PASSIVE", "SQLITE_CHECKPOINT_RESTART"),
        (unit("CheckpointTests/outsideReader"),),
    ),
    Guard(
        89,
        "the rest of the log is copied when nothing waits",
        "rest-of-log-copied-when-idle",
        never(3),
        (unit("CheckpointTests/restart"),),
    ),
    Guard(
        89,
        "at its limit the log is copied by the journal, so that it restarts",
        "log-at-its-limit-copied-here",
        replace("(isAtLimit ? 4 : 1)", "1"),
        (unit("CheckpointTests/outrunCheckpointer"),),
    ),
    Guard(
        86,
        "a store that is read-only stays so until it is restarted",
        "read-only-until-restart",
        remove(),
        (unit("CheckpointTests/failedWhileIdle"),),
    ),
    Guard(
        86,
        "after a failed checkpoint the log is kept when the store closes",
        "failed-log-kept-on-close",
        remove(),
        (unit("CheckpointTests/failedWhileIdle"),),
    ),
    Guard(
        86,
        "a commit that does not end is a state of the store",
        "stall-is-a-status",
        never(1),
        (unit("StoreCheckTests/hungSync"), wire("test_readiness.py", "hung_sync")),
    ),
    Guard(
        86,
        "a check finds a database file that is not the open one",
        "open-file-in-directory",
        rewrite("guard @1 else { @2 }", "_ = @1"),
        (unit("StoreCheckTests/replacedFile"),),
    ),
    Guard(
        87,
        "a check looks at the free space",
        "free-space-checked",
        never(2),
        (wire("test_readiness.py", "without_free_space"),),
    ),
    Guard(
        86,
        "callers within a second share one check",
        "recent-check-shared",
        never(2),
        (unit("StoreCheckTests/oneFailure"),),
    ),
    Guard(
        86,
        "a commit within the last second spares a check its own",
        "recent-commit-spares-check",
        never(2),
        (unit("StoreCheckTests/recentCommit"),),
    ),
    Guard(
        86,
        "a server whose store cannot commit is not ready",
        "readiness-needs-the-store",
        replace(
            "return Verdict(answer: refusal, waiting: finished.waiting)", "_ = refusal", block=True
        ),
        (unit("ReadinessTests/unavailable"), wire("test_readiness.py", "without_free_space")),
    ),
    Guard(
        86,
        "a check of the store that hangs is not repeated",
        "hung-check-not-repeated",
        remove(),
        (unit("ReadinessTests/hungStore"),),
    ),
    Guard(
        86,
        "a change of a whole inbox that a failure ends may have been made in part",
        "half-swept-inbox-is-unknown",
        replace(".unknown", ".unavailable", block=True),
        (unit("LargeInboxTests/lock"),),
    ),
    Guard(
        89,
        "the checkpointer syncs the pages that it has copied",
        "copied-pages-synced-off-the-journal",
        never(1),
        (unit("CheckpointTests/partialCopy"),),
    ),
    Guard(
        83,
        "the lock of a closed store is free, also while its descriptor has a copy",
        "lock-released-for-copies",
        remove(),
        (unit("OpeningTests/copiedLock"),),
    ),
]
