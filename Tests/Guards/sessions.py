"""Guards of the sessions of Engine.IO and Socket.IO in the server: cases 39 to 43, and recovery."""

from edits import always, never, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        39,
        "attachments are waited for ten seconds",
        "attachment-timeout",
        never(2),
        (
            unit("SocketIONamespaceTests"),
            wire("test_socketio_abuse.py", "attachments_that_do_not_come"),
        ),
    ),
    Guard(
        40,
        "one poll at a time",
        "one-poll-at-a-time",
        always(),
        (unit("EngineSessionTests"), wire("test_engineio.py", "two_polls_at_once")),
    ),
    Guard(
        41,
        "a client has so long to begin",
        "connect-timeout",
        never(),
        (unit("SocketIONamespaceTests"), wire("test_socketio.py", "whoever_connects_to_nothing")),
    ),
    Guard(
        41,
        "a poll brings what python-engineio takes",
        "packets-per-poll",
        replace("16", "1_600"),
        (
            unit("EngineSessionTests"),
            wire("test_ghostpay.py", "a_burst_comes_whole and python-polling"),
        ),
    ),
    Guard(
        41,
        "a request is taken to its session's shard",
        "request-migrates-to-session-shard",
        never(),
        (
            unit("EngineUpgradeTests"),
            wire("test_engineio.py", "each_request_may_reach_another_shard"),
        ),
    ),
    Guard(
        42,
        "what waits for a poll goes along to the WebSocket",
        "pending-packets-upgrade",
        replace("Array(@1)", "Array(@1.prefix(0))"),
        (
            unit("EngineUpgradeTests"),
            wire("test_engineio_sessions.py", "what_waits_for_a_poll"),
            wire("test_socketio_upgrades.py", "nothing_is_lost_or_doubled"),
        ),
    ),
    Guard(
        42,
        "a probe has so long",
        "probe-timeout",
        never(2),
        (
            unit("EngineUpgradeTests"),
            wire("test_socketio_upgrades.py", "probe_that_is_not_finished"),
        ),
    ),
    Guard(
        43,
        "a client owes so many answers and no more",
        "pending-acknowledgements",
        replace("<", "< 100 *"),
        (
            unit("SocketIONamespaceTests"),
            wire("test_socketio_abuse.py", "questions_that_nobody_answers"),
        ),
    ),
    Guard(
        37,
        "a state is one user's",
        "recovery-sealed-to-user",
        always(3),
        (
            unit("SocketIORecoveryTests"),
            wire("test_socketio_recovery.py", "session_of_another_user"),
        ),
    ),
    Guard(
        37,
        "a client is in one place",
        "recovered-elsewhere-is-posted",
        replace("in @1 {", "in @1.prefix(0) {"),
        (
            unit("SocketIORecoveryTests"),
            wire("test_socketio_recovery.py", "whoever_comes_back_takes"),
        ),
    ),
    Guard(
        37,
        "a client is where it went last",
        "latest-recovery-wins",
        replace("<=", "<= .max -"),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "the shard that it left is told so",
        "left-shard-is-notified",
        rewrite("@1.append(@2)", "_ = @2"),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "the rooms of who is back are kept for more than a while",
        "recovered-rooms-kept",
        remove(),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "and its rooms are those of where it is",
        "recovered-rooms-updated",
        remove(),
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        66,
        "a place that was left is not given to the next user",
        "left-slot-not-reused",
        replace("guard @1 else", "guard @1, table[session.place].flags.contains(.listed) else"),
        (wire("test_socketio_recovery.py", "nothing_of_one_user"),),
    ),
    Guard(
        37,
        "a further namespace goes on with what it missed",
        "secondary-namespace-resumes",
        replace("!= @1 {", "== .max {"),
        (wire("test_socketio_recovery.py", "two_namespaces_of_one"),),
    ),
    Guard(
        37,
        "nothing is said before the greeting",
        "nothing-before-greeting",
        always(4),
        (unit("SocketIORecoveryTests"),),
    ),
]
