"""Guards of the listener and of connection lifetimes: cases 56 to 61."""

from edits import before, instead, never, remove, replace, rewrite
from guard import Guard, c, unit, wire

GUARDS = [
    Guard(
        56,
        "a listener whose port cannot be read is closed",
        "failed-listener-closed",
        remove(),
        (unit("FailedStartTests/whichever"),),
    ),
    Guard(
        56,
        "a failed start closes the listeners without an acceptor",
        "failed-start-closes-listeners",
        remove(),
        (unit("FailedStartTests/whichever"),),
    ),
    Guard(
        56,
        "a listener pauses when the process is out of descriptors",
        "accept-pauses-at-file-limit",
        before("if (0)"),
        (wire("test_exhaustion.py", "out_of_files"),),
    ),
    Guard(
        56,
        "each pause of a listener is twice the previous one",
        "accept-pause-doubles",
        replace("* 2", ""),
        (c("case 56: out of descriptors"), c("case 56: EMFILE")),
    ),
    Guard(
        56,
        "a successful accept resets the pause",
        "accept-resets-pause",
        remove(),
        (c("case 56"),),
    ),
    Guard(
        56,
        "an unknown error of accept also pauses the listener",
        "accept-pauses-at-unknown-error",
        rewrite("if (@1) continue;", "if (@1 || fd == -EDOM) continue;"),
        (c("case 56"),),
    ),
    Guard(
        56,
        "a paused listener resumes",
        "accept-resumes",
        replace("== 0", "< -1"),
        (wire("test_exhaustion.py", "out_of_files"),),
    ),
    Guard(
        60,
        "a reset ends a connection whose reads are paused",
        "hangup-without-reading",
        never(),
        (wire("test_exhaustion.py", "reset_ends"),),
    ),
    Guard(
        60,
        "a half-close by the client ends its session",
        "half-close-ends-session",
        instead("break"),
        (wire("test_exhaustion.py", "closed_once and half_close"),),
    ),
    Guard(
        60,
        "the descriptor of a dropped connection is closed",
        "descriptor-closed",
        replace(">=", "<"),
        (wire("test_exhaustion.py", "closed_once and reset"),),
    ),
    Guard(
        61,
        "an epoll event applies to one generation of its slot",
        "event-generation",
        replace("holds(@1)", "contains(@1.slot)"),
        (unit("EventGenerationTests"),),
    ),
    Guard(
        61,
        "the outcome of a command applies to one generation of its slot",
        "outcome-generation",
        replace("holds(@1)", "contains(@1.slot)"),
        (unit("LateAnswerTests"),),
    ),
    Guard(
        61,
        "an answer of the store applies to one generation of its slot",
        "answer-generation",
        replace("holds(@1)", "contains(@1.slot)"),
        (unit("LateAnswerTests"),),
    ),
    Guard(
        61,
        "each connection in a slot has its own generation",
        "generation-increments",
        replace("&+=", "="),
        (unit("ConnectionTableTests"), unit("LateAnswerTests")),
    ),
    Guard(
        61,
        "epoll events carry the generation",
        "epoll-generation",
        replace("(uint64_t)@1 <<", "(uint64_t)(@1 > 0) <<"),
        (c("case 61"),),
    ),
]
