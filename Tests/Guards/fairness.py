"""Guards of the shares of users and publishers in reads, memory and queues: case 62."""

from edits import always, never, remove, replace, rewrite
from guard import Guard, unit

GUARDS = [
    Guard(
        62,
        "a user's question shares the answer of an equal one that waits",
        "equal-questions-share",
        never(1),
        (unit("FairQueueTests/.*share an answer"), unit("ReadFairnessTests/.*one read")),
    ),
    Guard(
        62,
        "askers that have ended are removed from the queue",
        "ended-askers-removed",
        remove(),
        (unit("FairQueueTests/.*have ended"),),
    ),
    Guard(
        62,
        "users cannot have all questions in flight",
        "publishers-own-part",
        always(1),
        (unit("FairQueueTests/.*part"), unit("ReadFairnessTests/publishers")),
    ),
    Guard(
        62,
        "a user has one question in flight",
        "one-question-in-flight",
        remove(),
        (unit("FairQueueTests/.*one question in flight"),),
    ),
    Guard(
        62,
        "events of users leave a part of the ring to publishers",
        "ring-part-of-publishers",
        never(1),
        (unit("EventOrderTests/.*quarter of the ring"),),
    ),
    Guard(
        62,
        "users leave memory to publishers",
        "memory-reserved-for-publishers",
        rewrite("let reserve = @1", "let reserve = 0"),
        (unit("MemorySharesTests/.*eighth"),),
    ),
    Guard(
        62,
        "a user has a share of the memory for pages",
        "page-share-of-user",
        remove(),
        (unit("MemorySharesTests/.*64th"), unit("EndingTests/.*unread pages")),
    ),
    Guard(
        62,
        "an address has a share of the memory for pages",
        "page-share-of-address",
        remove(),
        (unit("MemorySharesTests/.*quarter"),),
    ),
    Guard(
        62,
        "one body is made for equal requests",
        "one-body-for-equal-questions",
        never(2),
        (unit("ReadFairnessTests/.*one body"),),
    ),
    Guard(
        62,
        "requests that share a read get an answer of their own where it differs",
        "answer-of-own-request",
        replace("isCommon ?", "true ?"),
        (unit("ReadFairnessTests/.*loss of continuity"),),
    ),
    Guard(
        62,
        "a paced read is returned, whatever becomes of its session",
        "catch-up-reads-counted",
        remove(),
        (unit("CatchUpTests/.*returns its read"),),
    ),
    Guard(
        62,
        "a session whose read is refused for lack of memory waits for it",
        "catch-up-waits-for-memory",
        never(),
        (unit("CatchUpTests/.*turn comes while memory"),),
    ),
    Guard(
        62,
        "the pages of further namespaces are released once the connection has sent them",
        "pages-of-namespaces-released",
        remove(),
        (unit("SocketIORecoveryTests/.*secondary namespace are released"),),
    ),
    Guard(
        62,
        "nothing is fetched for a client that takes nothing",
        "no-fetch-for-blocked-client",
        rewrite("fetch.awaitsSending = @1", "fetch.awaitsSending = false"),
        (unit("ReadFairnessTests/.*takes nothing"),),
    ),
    Guard(
        62,
        "a page of an inbox is bounded in bytes",
        "page-bytes-limit",
        replace("bounds.bytesLimit", "Int.max"),
        (unit("ReadingTests/byteLimit"),),
    ),
]
