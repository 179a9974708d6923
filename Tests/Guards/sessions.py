"""Guards of the sessions of Engine.IO and Socket.IO in the server: cases 39 to 43, and recovery."""

from edits import always, never, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        39,
        "missing attachments time out after ten seconds",
        "attachment-timeout",
        never(2),
        (
            unit("SocketIONamespaceTests"),
            wire("test_socketio_abuse.py", "missing_attachments"),
        ),
    ),
    Guard(
        40,
        "a second concurrent poll is refused",
        "one-poll-at-a-time",
        always(),
        (unit("EngineSessionTests"), wire("test_engineio.py", "two_polls_at_once")),
    ),
    Guard(
        41,
        "a client without a namespace times out",
        "connect-timeout",
        never(),
        (unit("SocketIONamespaceTests"), wire("test_socketio.py", "session_without_a_namespace")),
    ),
    Guard(
        41,
        "a poll returns at most as many packets as python-engineio accepts",
        "packets-per-poll",
        replace("16", "1_600"),
        (
            unit("EngineSessionTests"),
            wire("test_ghostpay.py", "a_burst_comes_whole and python-polling"),
        ),
    ),
    Guard(
        41,
        "a request migrates to the shard of its session",
        "request-migrates-to-session-shard",
        never(),
        (
            unit("EngineUpgradeTests"),
            wire("test_engineio.py", "each_request_may_reach_another_shard"),
        ),
    ),
    Guard(
        42,
        "packets pending for a poll are sent on the WebSocket after the upgrade",
        "pending-packets-upgrade",
        replace("Array(@1)", "Array(@1.prefix(0))"),
        (
            unit("EngineUpgradeTests"),
            wire("test_engineio_sessions.py", "packets_waiting_for_a_poll"),
            wire("test_socketio_upgrades.py", "nothing_is_lost_or_doubled"),
        ),
    ),
    Guard(
        42,
        "an upgrade probe has a timeout",
        "probe-timeout",
        never(2),
        (
            unit("EngineUpgradeTests"),
            wire("test_socketio_upgrades.py", "unfinished_probe"),
        ),
    ),
    Guard(
        43,
        "the number of pending acknowledgements per client is limited",
        "pending-acknowledgements",
        replace("<", "< 100 *"),
        (
            unit("SocketIONamespaceTests"),
            wire("test_socketio_abuse.py", "unanswered_questions"),
        ),
    ),
    Guard(
        43,
        "a session keeps no longer `since` than a cursor",
        "since-bytes-bounded",
        replace("<=", "<= 1_000 *"),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "a recovery state belongs to one user",
        "recovery-sealed-to-user",
        always(3),
        (
            unit("SocketIORecoveryTests"),
            wire("test_socketio_recovery.py", "session_of_another_user"),
        ),
    ),
    Guard(
        37,
        "a recovered client is removed from its earlier connection",
        "recovered-elsewhere-is-posted",
        replace("in @1 {", "in @1.prefix(0) {"),
        (
            unit("SocketIORecoveryTests"),
            wire("test_socketio_recovery.py", "session_replaces_its_old"),
        ),
    ),
    Guard(
        37,
        "the latest connection of a recovered client wins",
        "latest-recovery-wins",
        replace("<=", "<= .max -"),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "the shard of an older connection is notified of the latest one",
        "left-shard-is-notified",
        rewrite("@1.append(@2)", "_ = @2"),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "the rooms of a recovered client no longer expire",
        "recovered-rooms-kept",
        remove(),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "the kept rooms are those of the latest connection",
        "recovered-rooms-updated",
        remove(),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        66,
        "a slot that its user left is not given to the next user",
        "left-slot-not-reused",
        replace("guard @1 else", "guard @1, table[session.slot].flags.contains(.listed) else"),
        (unit("SocketIONamespaceTests/.*user that has left"),),
    ),
    Guard(
        37,
        "a secondary namespace continues its replay",
        "secondary-namespace-resumes",
        never(),
        (unit("SocketIORecoveryTests/.*secondary namespace are released"),),
    ),
    Guard(
        37,
        "nothing is sent before the greeting",
        "nothing-before-greeting",
        always(4),
        (unit("SocketIORecoveryTests"),),
    ),
]
