"""Guards of the listener and of the lives of connections: cases 56 to 61."""

from guard import Guard, c, unit, wire

INPUT = "Sources/Server/Core/Input.swift"
LIFECYCLE = "Sources/Server/Core/Lifecycle.swift"
SHARD = "Sources/Server/Core/Shard.swift"
TABLE = "Sources/Server/Core/Connection.swift"
SOCKET = "Sources/CReactor/socket.c"
REACTOR = "Sources/CReactor/reactor.c"

GUARDS = [
    Guard(
        56,
        "a listener that is out of files rests",
        SOCKET,
        "    pause_accepting(acceptor, now_ms);\n    return fd;\n",
        "    if (now_ms == 0) pause_accepting(acceptor, now_ms);\n    return fd;\n",
        (wire("test_exhaustion.py", "out_of_files"),),
    ),
    Guard(
        56,
        "each pause is twice the last",
        SOCKET,
        "uint32_t doubled = acceptor->pause_ms * 2;",
        "uint32_t doubled = acceptor->pause_ms;",
        (c("case 56: out of descriptors"), c("case 56: EMFILE")),
    ),
    Guard(
        56,
        "an accept that succeeds ends the doubling",
        SOCKET,
        "      acceptor->pause_ms = 0;\n",
        "",
        (c("case 56"),),
    ),
    Guard(
        56,
        "what was never heard of pauses too",
        SOCKET,
        "    if (concerns_one_connection(fd)) continue;\n",
        "    if (concerns_one_connection(fd) || fd == -EDOM) continue;\n",
        (c("case 56"),),
    ),
    Guard(
        56,
        "a listener that rests is woken again",
        SHARD,
        "for acceptor in acceptors where acceptor.timeout(now: now) == 0 {",
        "for acceptor in acceptors where acceptor.timeout(now: now) < -1 {",
        (wire("test_exhaustion.py", "out_of_files"),),
    ),
    Guard(
        60,
        "a reset ends a connection that is not being read",
        INPUT,
        "    } else if readiness.contains(.hangup) {\n",
        "    } else if readiness.isEmpty {\n",
        (wire("test_exhaustion.py", "reset_is_seen"),),
    ),
    Guard(
        60,
        "the end of its side ends a session",
        INPUT,
        "    case .session where speaksToUs(place):\n      drop(place, counting: .resets)\n",
        "    case .session where speaksToUs(place):\n      break\n",
        (wire("test_exhaustion.py", "let_go_once and half_close"),),
    ),
    Guard(
        60,
        "a connection that was dropped is closed",
        LIFECYCLE,
        "    if fd >= 0 { kernel.close(fd) }\n",
        "    if fd < 0 { kernel.close(fd) }\n",
        (wire("test_exhaustion.py", "let_go_once and reset"),),
    ),
    Guard(
        61,
        "an event is for one generation of its place",
        SHARD,
        "} else if table.holds(ConnectionID(slot: event.index, generation: event.generation)) {",
        "} else if table.contains(event.index) {",
        (unit("EventGenerationTests"),),
    ),
    Guard(
        61,
        "what became of a command is for one generation of its place",
        SHARD,
        "if table.holds(id) { finish(id.slot, outcome) }",
        "if table.contains(id.slot) { finish(id.slot, outcome) }",
        (unit("LateAnswerTests"),),
    ),
    Guard(
        61,
        "the store's answer is for one generation of its place",
        SHARD,
        "let answer):\n      if table.holds(id) { finish(",
        "let answer):\n      if table.contains(id.slot) { finish(",
        (unit("LateAnswerTests"),),
    ),
    Guard(
        61,
        "each connection has a generation of its own",
        TABLE,
        "    lastGeneration &+= 1\n",
        "    lastGeneration = 1\n",
        (unit("ConnectionTableTests"), unit("LateAnswerTests")),
    ),
    Guard(
        61,
        "epoll keeps the generation",
        REACTOR,
        "(uint64_t)generation << 32 | index",
        "(uint64_t)(generation > 0) << 32 | index",
        (c("case 61"),),
    ),
]
