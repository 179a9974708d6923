"""Guards of rooms: membership, connections that end during a broadcast, and floods."""

from edits import always, never, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        38,
        "rooms per connection are limited",
        "rooms-per-connection",
        replace("< @1 else", "< max(.max, @1) else"),
        (unit("RoomPolicyTests/.*further room"),),
    ),
    Guard(
        38,
        "the departures that an owner of rooms remembers are bounded",
        "departures-bounded",
        never(1),
        (unit("RoomOwnerTests"),),
    ),
    Guard(
        70,
        "a room that was empty does not mistake an earlier departure for a recent one",
        "roster-counts-on",
        replace("Roster(entryCount: entryCount)", "Roster()"),
        (unit("RoomOwnerTests"),),
    ),
    Guard(
        70,
        "members that entered during a reload are sent the return",
        "return-in-grace-is-noticed",
        replace("?.endedAt != nil", "?.endedAt == .max"),
        (unit("PresenceSessionTests/.*sees it return"), unit("PresenceTrackerTests")),
    ),
    Guard(
        70,
        "a page that reloads sends its room nothing",
        "return-sent-to-newcomers-only",
        remove(),
        (unit("PresenceSessionTests/.*reloads sends no"), wire("test_rooms_hub.py", "reloading")),
    ),
    Guard(
        70,
        "a member that never left its room returns to nobody",
        "announced-member-has-no-newcomers",
        remove(),
        (unit("RoomOwnerTests/.*never left"),),
    ),
    Guard(
        70,
        "an update that the ring did not take does not count as sent",
        "lost-presence-is-unannounced",
        remove(),
        (unit("RoomOwnerTests/.*was lost"),),
    ),
    Guard(
        38,
        "rooms per server are limited",
        "rooms-of-server",
        always(1),
        (unit("RoomPolicyTests/.*further room"), unit("RoomEndingTests/.*asks twice")),
    ),
    Guard(
        38,
        "rooms named in a query must be allowed by the token",
        "query-rooms-in-token",
        replace("(@1, $0)", "(@1 + [$0], $0)"),
        (unit("RoomPolicyTests/.*refused before the upgrade"),),
    ),
    Guard(
        38,
        "requested rooms must be allowed by the token",
        "requested-rooms-in-token",
        always(),
        (unit("RoomPolicyTests/.*a token opens"),),
    ),
    Guard(
        38,
        "after a refusal and a second request the last answer decides",
        "last-answer-decides-room",
        always(),
        (unit("RoomEndingTests/.*from the last answer"),),
    ),
    Guard(
        38,
        "a connection that a room refused gets no confirmation that it joined",
        "refused-room-not-entered",
        always(),
        (unit("RoomEndingTests/.*asks twice"),),
    ),
    Guard(
        62,
        "nothing is queued for a connection that was given up",
        "nothing-queued-for-given-up-connection",
        always(3),
        (unit("GivenUpTests/.*failed connection"),),
    ),
    Guard(
        62,
        "a leaving member gets the messages sent before it left",
        "leaving-member-gets-earlier-messages",
        remove(),
        (unit("RoomModelTests"),),
    ),
    Guard(
        62,
        "a new member gets no messages sent before it joined",
        "entering-member-gets-no-earlier-messages",
        remove(),
        (unit("RoomModelTests"),),
    ),
    Guard(
        62,
        "answers over the limit for a resuming client are flushed during the turn",
        "resumed-answers-flushed",
        replace("> @1 {", "> @1 * 1_000 {"),
        (unit("RoomFloodTests/.*that resumes"),),
    ),
    Guard(
        62,
        "the mailbox is drained completely each turn",
        "mailbox-drained-whole",
        replace("limit: @1)", "limit: 4_096)"),
        (unit("RoomFloodTests/.*do not pile up"),),
    ),
    Guard(
        62,
        "a renewed typing entry adds no second timer",
        "typing-renewal",
        replace("+ @1 {", "{"),
        (unit("RoomFloodTests/.*typing on and off"),),
    ),
    Guard(
        61,
        "a user that changes to a device on another shard stays connected",
        "user-counts-in-order",
        rewrite(
            "core.mailboxes[@1].append(@2)",
            "if @1 == index { count(user, arrived: arrived) } else { "
            "core.mailboxes[@1].append(@2) }",
        ),
        (unit("UserConnectionTests"),),
    ),
]
