"""Guards of the sessions of Engine.IO and Socket.IO in the server: cases 39 to 43, and recovery."""

from guard import Guard, unit, wire

REQUESTS = "Sources/Server/EngineIO/EngineRequests.swift"
TRANSPORT = "Sources/Server/EngineIO/EngineTransport.swift"
UPGRADE = "Sources/Server/EngineIO/EngineUpgrade.swift"
PROTOCOL = "Sources/Server/SocketIO/SocketIOProtocol.swift"
SESSION = "Sources/Server/SocketIO/SocketIOSession.swift"
USERS = "Sources/Server/SocketIO/SocketIOUsers.swift"
LIFECYCLE = "Sources/Server/Core/Lifecycle.swift"
FAN_OUT = "Sources/Server/Core/FanOut.swift"

GUARDS = [
    Guard(
        39,
        "attachments are waited for ten seconds",
        PROTOCOL,
        "if let pending = session.assembly, pending.endsAt <= now {",
        "if let pending = session.assembly, pending.endsAt <= now, now == 0 {",
        (
            unit("SocketIONamespaceTests"),
            wire("test_socketio_abuse.py", "attachments_that_do_not_come"),
        ),
    ),
    Guard(
        40,
        "one poll at a time",
        REQUESTS,
        "guard session.poll == nil else {",
        "guard session.poll?.slot != place else {",
        (unit("EngineSessionTests"), wire("test_engineio.py", "two_polls_at_once")),
    ),
    Guard(
        41,
        "a client has so long to begin",
        TRANSPORT,
        "if now >= session.beginsBy {",
        "if now >= session.beginsBy, now == 0 {",
        (unit("SocketIONamespaceTests"), wire("test_socketio.py", "whoever_connects_to_nothing")),
    ),
    Guard(
        41,
        "a poll brings what python-engineio takes",
        TRANSPORT,
        "private static let packetsPerPoll = 16",
        "private static let packetsPerPoll = 1_600",
        (
            unit("EngineSessionTests"),
            wire("test_ghostpay.py", "a_burst_comes_whole and python-polling"),
        ),
    ),
    Guard(
        41,
        "a request is taken to its session's shard",
        REQUESTS,
        "if id.shard != index {",
        "if id.shard != index, id.shard == 255 {",
        (
            unit("EngineUpgradeTests"),
            wire("test_engineio.py", "each_request_may_reach_another_shard"),
        ),
    ),
    Guard(
        42,
        "what waits for a poll goes along to the WebSocket",
        UPGRADE,
        "table[place].owned = EngineIOPayload.webSocketFrames(of: Array(pending))",
        "table[place].owned = EngineIOPayload.webSocketFrames(of: Array(pending.prefix(0)))",
        (
            unit("EngineUpgradeTests"),
            wire("test_engineio_sessions.py", "what_waits_for_a_poll"),
            wire("test_socketio_upgrades.py", "nothing_is_lost_or_doubled"),
        ),
    ),
    Guard(
        42,
        "a probe has so long",
        LIFECYCLE,
        "if table[place].task is EngineProbe, now >= table[place].deadline {",
        "if table[place].task is EngineProbe, now >= table[place].deadline, now == 0 {",
        (
            unit("EngineUpgradeTests"),
            wire("test_socketio_upgrades.py", "probe_that_is_not_finished"),
        ),
    ),
    Guard(
        43,
        "a client owes so many answers and no more",
        SESSION,
        "guard entries.count < PendingAcknowledgements.countLimit else { return nil }",
        "guard entries.count < 100 * PendingAcknowledgements.countLimit else { return nil }",
        (
            unit("SocketIONamespaceTests"),
            wire("test_socketio_abuse.py", "questions_that_nobody_answers"),
        ),
    ),
    Guard(
        37,
        "a state is one user's",
        USERS,
        "parts[1] == recovery.seal(of: user), Cursor",
        "!parts[1].isEmpty, Cursor",
        (
            unit("SocketIORecoveryTests"),
            wire("test_socketio_recovery.py", "session_of_another_user"),
        ),
    ),
    Guard(
        37,
        "a client is in one place",
        USERS,
        "for mailbox in core.mailboxes { mailbox.append(note) }",
        "for mailbox in core.mailboxes.prefix(0) { mailbox.append(note) }",
        (
            unit("SocketIORecoveryTests"),
            wire("test_socketio_recovery.py", "whoever_comes_back_takes"),
        ),
    ),
    Guard(
        37,
        "a client is where it went last",
        USERS,
        "guard session.openedAt <= openedAt else {",
        "guard session.openedAt <= .max - openedAt else {",
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "the shard that it left is told so",
        USERS,
        "core.mailboxes[address.shard].append(note)",
        "_ = note",
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "the rooms of who is back are kept for more than a while",
        USERS,
        "keepRooms(of: session.sockets[index], session, endsAt: nil)\n      }",
        "}",
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        37,
        "and its rooms are those of where it is",
        USERS,
        "keepRooms(of: session.sockets[index], session, endsAt: nil)\n        continue",
        "continue",
        (unit("SocketIORecoveryTests"),),
    ),
    Guard(
        66,
        "a place that was left is not given to the next user",
        USERS,
        "guard session.hasGivenPlace else {",
        "guard session.hasGivenPlace, table[session.place].flags.contains(.listed) else {",
        (wire("test_socketio_recovery.py", "nothing_of_one_user"),),
    ),
    Guard(
        37,
        "a further namespace goes on with what it missed",
        TRANSPORT,
        "for guest in session.sockets.compactMap(\\.place) where guest != place {",
        "for guest in session.sockets.compactMap(\\.place) where guest == .max {",
        (wire("test_socketio_recovery.py", "two_namespaces_of_one"),),
    ),
    Guard(
        37,
        "nothing is said before the greeting",
        FAN_OUT,
        "id.isDirect || !table[place].flags.contains(.ungreeted)",
        "id.rawValue < .max || !table[place].flags.contains(.ungreeted)",
        (unit("SocketIORecoveryTests"),),
    ),
]
