"""Guards of rooms: who is in one, what ends whom in its midst, and what a flood is held to."""

from edits import after, always, remove, replace, rewrite
from guard import Guard, unit

GUARDS = [
    Guard(
        38,
        "rooms of a connection are counted",
        "rooms-per-connection",
        replace("< @1 else", "< max(.max, @1) else"),
        (unit("RoomPolicyTests/.*further room"),),
    ),
    Guard(
        38,
        "rooms of the server are counted",
        "rooms-of-server",
        replace("max(1,", "max(.max,"),
        (unit("RoomPolicyTests/.*further room"), unit("RoomEndingTests/.*asks twice")),
    ),
    Guard(
        38,
        "rooms that a query names are those of the token",
        "query-rooms-in-token",
        replace("(@1, $0)", "(@1 + [$0], $0)"),
        (unit("RoomPolicyTests/.*refused before the upgrade"),),
    ),
    Guard(
        38,
        "rooms that are asked for are those of the token",
        "requested-rooms-in-token",
        always(),
        (unit("RoomPolicyTests/.*a token opens"),),
    ),
    Guard(
        38,
        "one that was refused and asked again waits for the last answer",
        "last-answer-decides-room",
        always(),
        (unit("RoomEndingTests/.*from the last answer"),),
    ),
    Guard(
        38,
        "one that was refused is not told that it is in the room",
        "refused-room-not-entered",
        always(),
        (unit("RoomEndingTests/.*asks twice"),),
    ),
    Guard(
        62,
        "what a burst ended is not closed again",
        "batch-end-closes-once",
        rewrite("guard @1, @2 else { @3 }", "guard @1 else { @3 }\n_ = @2"),
        (unit("RoomEndingTests/.*closed and turns out"),),
    ),
    Guard(
        62,
        "what a burst closed is sent nothing behind its close frame",
        "nothing-queued-after-close-frame",
        always(3),
        (unit("RoomEndingTests/.*is sent an event"),),
    ),
    Guard(
        62,
        "what a burst cut off is not cut off again",
        "batch-cut-once",
        remove(),
        (unit("RoomEndingTests/.*broadcast goes past"),),
    ),
    Guard(
        62,
        "nobody is cut off while a broadcast walks its members",
        "no-cut-during-broadcast",
        rewrite("@1.append(@2)", "if @1.isEmpty { @1 = [] }\ncheckBacklog(at: @2)"),
        (unit("RoomEndingTests/.*broadcast goes past"),),
    ),
    Guard(
        62,
        "one that ends is written nothing any more",
        "ending-connection-gets-no-batch",
        after("_ = settleBurst(for: place)"),
        (unit("RoomEndingTests/.*dropped in the midst"),),
    ),
    Guard(
        62,
        "one that leaves hears what was said before",
        "leaving-member-gets-earlier-messages",
        remove(),
        (unit("RoomModelTests"),),
    ),
    Guard(
        62,
        "one that enters hears nothing of what was said before",
        "entering-member-gets-no-earlier-messages",
        remove(),
        (unit("RoomModelTests"),),
    ),
    Guard(
        62,
        "answers to one that resumes are written in the midst of a turn",
        "resumed-answers-flushed",
        replace("> @1 {", "> @1 * 1_000 {"),
        (unit("RoomFloodTests/.*that resumes"),),
    ),
    Guard(
        62,
        "a flood does not wait behind that of the turns before",
        "mailbox-drained-whole",
        replace("limit: @1)", "limit: 4_096)"),
        (unit("RoomFloodTests/.*does not wait"),),
    ),
    Guard(
        62,
        "one that begins to type again is watched already",
        "typing-renewal",
        replace("+ @1 {", "{"),
        (unit("RoomFloodTests/.*typing on and off"),),
    ),
]
