"""Guards of floods, clocks, slow readers and short calls: cases 9 to 15, 28, 37, 50, 62 to 69."""

from guard import Guard, c, unit, wire

INPUT = "Sources/Server/Core/Input.swift"
SHARD = "Sources/Server/Core/Shard.swift"
FAN_OUT = "Sources/Server/Core/FanOut.swift"
FLUSH = "Sources/Server/Core/Flush.swift"
LIFECYCLE = "Sources/Server/Core/Lifecycle.swift"
HTTP_IN = "Sources/Server/Core/HTTPInput.swift"
REPLAY = "Sources/Server/Core/Replay.swift"
FRAME = "Sources/Wire/WebSocket/WebSocketFrame.swift"
FIELDS = "Sources/Wire/HTTP/HTTPFields.swift"

GUARDS = [
    Guard(
        9,
        "answers are sent on while they are made",
        FAN_OUT,
        "waiting > 0, waiting + count > limit {\n      flush(place)",
        "waiting < 0, waiting + count > limit {\n      flush(place)",
        (unit("FloodTests/pingsUnread"), unit("SlowReaderTests/asleep")),
    ),
    Guard(
        12,
        "a reason is cut between scalars",
        FRAME,
        "while payload[end] & 0xC0 == 0x80 { end -= 1 }",
        "while payload[end] == 0 { end -= 1 }",
        (unit("CloseReasonTests"),),
    ),
    Guard(
        13,
        "a connection whose end was said is ended",
        LIFECYCLE,
        "    case .closing, .lingering:\n      if now >= connection.deadline",
        "    case .closing, .lingering:\n      if now < connection.deadline",
        (wire("test_crowds.py", "spoils_the_end"),),
    ),
    Guard(
        14,
        "the unfinished tail of what came is kept",
        INPUT,
        "table[place].partial = scratch.array(from: consumed, to: byteCount)",
        "table[place].partial = scratch.array(from: consumed, to: max(consumed, byteCount - 1))",
        (unit("DripTests"),),
    ),
    Guard(
        15,
        "a connection's frames in a turn are bounded",
        INPUT,
        "      metrics.value(.framesReceived) - frames < Shard.framesPerTurn\n",
        "      frames >= 0\n",
        (unit("FloodTests/turnShare"),),
    ),
    Guard(
        15,
        "nothing is gathered behind a flood",
        SHARD,
        "rounds < Shard.gatherLimit, bytesReadInTurn < Shard.readBytesPerTurn,\n"
        "      metrics.value(.framesReceived) - framesBefore < Shard.framesPerTurn\n",
        "rounds < Shard.gatherLimit, framesBefore >= 0\n",
        (unit("FloodTests/turnShare"),),
    ),
    Guard(
        26,
        "the elements of a list are walked once",
        FIELDS,
        "      start = end + 1\n",
        "      start += 1\n",
        # The unit test would take an hour to fail: its lists are eight times as long.
        (wire("test_floods.py", "eight_times and Connection"),),
    ),
    Guard(
        28,
        "a head has its time",
        LIFECYCLE,
        "table[place].deadline = now + limits.headTimeoutMilliseconds",
        "table[place].deadline = now + 6 * limits.headTimeoutMilliseconds",
        (unit("SlowHeadTests/15,000"), wire("test_crowds.py", "never_finish_a_head")),
    ),
    Guard(
        28,
        "a body has its time",
        HTTP_IN,
        "table[place].deadline = now + limits.bodyTimeoutMilliseconds",
        "table[place].deadline = now + 6 * limits.bodyTimeoutMilliseconds",
        (unit("SlowHeadTests/bodies"),),
    ),
    Guard(
        37,
        "a cursor from before the history proves nothing",
        REPLAY,
        "isUnprovable: cursor.offset < core.store.horizon",
        "isUnprovable: cursor.offset == .max - 7",
        (unit("HostileCursorTests/unprovable"),),
    ),
    Guard(
        38,
        "a client offers so many subprotocols",
        "Sources/Wire/WebSocket/WebSocketHandshake.swift",
        "guard protocols.count < protocolCountLimit, ",
        "guard ",
        (unit("WebSocketHandshakeTests"), wire("test_floods.py", "so_many_subprotocols")),
    ),
    Guard(
        54,
        "a token has at most 8 KiB",
        "Sources/Tokens/TokenVerifier.swift",
        "bytesLimit: Self.tokenBytesLimit",
        "bytesLimit: 64 * Self.tokenBytesLimit",
        # Not over the wire, where the time is that of a release build.
        (unit("SizeTests/size"),),
    ),
    Guard(
        50,
        "a fresh token is a longer session",
        "Sources/Server/Core/InBandToken.swift",
        "      table[place].tokenEnd = caller.end\n",
        "      _ = caller.end\n",
        (unit("ExpiryTests"), wire("test_crowds.py", "end_with_their_token")),
    ),
    Guard(
        62,
        "a client too far behind is cut",
        FLUSH,
        "    guard behind > limit else { return }\n",
        "    guard behind > 64 * limit else { return }\n",
        (unit("SlowReaderTests/asleep"), wire("test_crowds.py", "readers_that_sleep")),
    ),
    Guard(
        62,
        "the kernel takes little for a client that does not read",
        "Sources/CReactor/socket.c",
        "return set_option(kernel, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value);",
        "return value < 0 ? set_option(kernel, fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, value) : 0;",
        (c("the kernel takes"),),
    ),
    Guard(
        62,
        "what was sent is forgotten",
        FLUSH,
        "guard sent >= 4 * Shard.ownedStepBytes, sent >=",
        "guard sent >= .max - 1, sent >=",
        (unit("SlowReaderTests/.*answers that"),),
    ),
    Guard(
        62,
        "what a client is cut off for is not held for it as well",
        FAN_OUT,
        "      checkBacklog(at: place, adding: count)\n",
        "      checkBacklog(at: place, adding: 0)\n",
        (unit("SlowReaderTests/asleep"),),
    ),
    Guard(
        62,
        "what was sent makes room",
        FLUSH,
        "if table[place].ownedSent >= step / 2 {",
        "if table[place].ownedSent >= .max - 1 {",
        (unit("SlowReaderTests/asleep"),),
    ),
    Guard(
        62,
        "a burst in a room is no longer than what a client may be behind",
        "Sources/Server/Core/RoomFanOut.swift",
        "        || format.roomLog.end - begun + added > limit\n",
        "        || format.roomLog.end - begun + added > 64 * limit\n",
        (unit("SlowReaderTests/asleep"),),
    ),
    Guard(
        62,
        "the heap is given back by bytes",
        LIFECYCLE,
        "noteFreed(Shard.connectionBytes + table[place].owned.count)",
        "noteFreed(Shard.connectionBytes)",
        (unit("SlowReaderTests/afterwards"),),
    ),
    Guard(
        62,
        "those who have caught up are not remembered in the heap",
        FLUSH,
        "if table[place].flags.contains(.blocked) { noteFreed(table[place].owned.count) }",
        "if table[place].flags.contains(.blocked) { noteFreed(0) }",
        (unit("SlowReaderTests/afterwards"),),
    ),
    Guard(
        66,
        "a place that is given back is emptied",
        "Sources/Server/Core/Connection.swift",
        "    self[place] = Connection()\n    taken.remove(place)",
        "    self[place].state = .free\n    self[place].flags = []\n    taken.remove(place)",
        (wire("test_crowds.py", "seen_by_another"),),
    ),
    Guard(
        68,
        "an interrupted send is repeated",
        "Sources/CReactor/socket.c",
        "ssize_t result = CL_RETRY(kernel->send(",
        "ssize_t result = (kernel->send(",
        (unit("ShortIOTests/every"), c("pieces")),
    ),
    Guard(
        68,
        "what was due while the process was stopped is put off",
        LIFECYCLE,
        "if now < amnestyUntil { forgiveSilence(of: place) }",
        "if now == .max { forgiveSilence(of: place) }",
        (unit("ShortIOTests/after"), unit("ClockTests/a")),
    ),
    Guard(
        69,
        "a wall clock that jumped is noticed",
        SHARD,
        "if gain.magnitude > Shard.wallJumpMilliseconds { wallClockJumped() }",
        "if gain == .min { wallClockJumped() }",
        (unit("ClockTests/expiry"),),
    ),
]
