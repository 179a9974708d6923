"""Guards of rooms: who is in one, what ends whom in its midst, and what a flood is held to."""

from guard import Guard, unit

ROOMS = "Sources/Server/Core/Rooms.swift"
HOME = "Sources/Server/Core/RoomHome.swift"
FAN_OUT = "Sources/Server/Core/FanOut.swift"
FLUSH = "Sources/Server/Core/Flush.swift"
LIFECYCLE = "Sources/Server/Core/Lifecycle.swift"
SHARD = "Sources/Server/Core/Shard.swift"

GUARDS = [
    Guard(
        38,
        "rooms of a connection are counted",
        ROOMS,
        "    guard membership.entries.count < limit else {\n",
        "    guard membership.entries.count < max(.max, limit) else {\n",
        (unit("RoomPolicyTests/.*further room"),),
    ),
    Guard(
        38,
        "rooms of the server are counted",
        HOME,
        "rosters.count < max(1, share)",
        "rosters.count < max(.max, share)",
        (unit("RoomPolicyTests/.*further room"), unit("RoomEndingTests/.*asks twice")),
    ),
    Guard(
        38,
        "rooms that a query names are those of the token",
        ROOMS,
        "guard rooms.allSatisfy({ RoomPattern.matches(caller.rooms, $0) }) else {",
        "guard rooms.allSatisfy({ RoomPattern.matches(caller.rooms + [$0], $0) }) else {",
        (unit("RoomPolicyTests/.*refused before the upgrade"),),
    ),
    Guard(
        38,
        "rooms that are asked for are those of the token",
        ROOMS,
        "    guard membership.mayEnter(name) else {\n",
        "    guard membership.mayEnter(name) || !name.isEmpty else {\n",
        (unit("RoomPolicyTests/.*a token opens"),),
    ),
    Guard(
        38,
        "one that was refused and asked again waits for the last answer",
        ROOMS,
        "      if membership.entries[index].entering == 0 { membership.entries[index]",
        "      do { membership.entries[index]",
        (unit("RoomEndingTests/.*from the last answer"),),
    ),
    Guard(
        38,
        "one that was refused is not told that it is in the room",
        ROOMS,
        "      if isEntered { tell(",
        "      if isEntered || !name.isEmpty { tell(",
        (unit("RoomEndingTests/.*asks twice"),),
    ),
    Guard(
        62,
        "what a burst ended is not closed again",
        LIFECYCLE,
        "    guard table[place].state == .session, takeSharedTail(at: place) else { return }\n",
        "    guard table[place].state == .session else { return }\n"
        "    _ = takeSharedTail(at: place)\n",
        (unit("RoomEndingTests/.*closed and turns out"),),
    ),
    Guard(
        62,
        "what a burst closed is sent nothing behind its close frame",
        FAN_OUT,
        "    guard table[place].state == .session, from != to, settleBurst(for: place),\n",
        "    guard table[place].state == .session, from != to,\n"
        "      settleBurst(for: place) || to > 0,\n",
        (unit("RoomEndingTests/.*told something"),),
    ),
    Guard(
        62,
        "what a burst cut off is not cut off again",
        FLUSH,
        "    guard settleBurst(for: place) else { return }\n    metrics.add(.slowConsumers)\n",
        "    metrics.add(.slowConsumers)\n",
        (unit("RoomEndingTests/.*broadcast goes past"),),
    ),
    Guard(
        62,
        "nobody is cut off while a broadcast walks its members",
        FLUSH,
        "          blocked.append(place)\n",
        "          if blocked.isEmpty { blocked = [] }\n          checkBacklog(at: place)\n",
        (unit("RoomEndingTests/.*broadcast goes past"),),
    ),
    Guard(
        62,
        "one that ends is written nothing any more",
        ROOMS,
        "    guard let membership = table[place].membership else { return }\n    for index",
        "    guard let membership = table[place].membership else { return }\n"
        "    _ = settleBurst(for: place)\n    for index",
        (unit("RoomEndingTests/.*dropped in the midst"),),
    ),
    Guard(
        62,
        "one that leaves hears what was said before",
        ROOMS,
        "    guard settleBurst(for: place) else { return }\n",
        "",
        (unit("RoomModelTests"),),
    ),
    Guard(
        62,
        "one that enters hears nothing of what was said before",
        ROOMS,
        "    if burst?.room === room { settleBurst() }\n",
        "",
        (unit("RoomModelTests"),),
    ),
    Guard(
        62,
        "answers to one that resumes are written in the midst of a turn",
        FAN_OUT,
        "queuedByteCount > limit {\n      guard flushOwned",
        "queuedByteCount > limit * 1_000 {\n      guard flushOwned",
        (unit("RoomFloodTests/.*that resumes"),),
    ),
    Guard(
        62,
        "a flood does not wait behind that of the turns before",
        SHARD,
        "mailbox.drain(limit: mailbox.count)",
        "mailbox.drain(limit: 4_096)",
        (unit("RoomFloodTests/.*does not wait"),),
    ),
    Guard(
        62,
        "one that begins to type again is watched already",
        HOME,
        "      if latest < watched + Shard.typingRenewalMilliseconds {\n",
        "      if latest < watched {\n",
        (unit("RoomFloodTests/.*typing on and off"),),
    ),
]
