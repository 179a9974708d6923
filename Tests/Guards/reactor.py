"""Guards of the listener and of the lives of connections: cases 56 to 61."""

from edits import before, instead, never, remove, replace, rewrite
from guard import Guard, c, unit, wire

GUARDS = [
    Guard(
        56,
        "a listener that is out of files rests",
        "accept-pauses-at-file-limit",
        before("if (0)"),
        (wire("test_exhaustion.py", "out_of_files"),),
    ),
    Guard(
        56,
        "each pause is twice the last",
        "accept-pause-doubles",
        replace("* 2", ""),
        (c("case 56: out of descriptors"), c("case 56: EMFILE")),
    ),
    Guard(
        56,
        "an accept that succeeds ends the doubling",
        "accept-resets-pause",
        remove(),
        (c("case 56"),),
    ),
    Guard(
        56,
        "what was never heard of pauses too",
        "accept-pauses-at-unknown-error",
        rewrite("if (@1) continue;", "if (@1 || fd == -EDOM) continue;"),
        (c("case 56"),),
    ),
    Guard(
        56,
        "a listener that rests is woken again",
        "accept-resumes",
        replace("== 0", "< -1"),
        (wire("test_exhaustion.py", "out_of_files"),),
    ),
    Guard(
        60,
        "a reset ends a connection that is not being read",
        "hangup-without-reading",
        never(),
        (wire("test_exhaustion.py", "reset_is_seen"),),
    ),
    Guard(
        60,
        "the end of its side ends a session",
        "half-close-ends-session",
        instead("break"),
        (wire("test_exhaustion.py", "let_go_once and half_close"),),
    ),
    Guard(
        60,
        "a connection that was dropped is closed",
        "descriptor-closed",
        replace(">=", "<"),
        (wire("test_exhaustion.py", "let_go_once and reset"),),
    ),
    Guard(
        61,
        "an event is for one generation of its place",
        "event-generation",
        replace("holds(@1)", "contains(@1.slot)"),
        (unit("EventGenerationTests"),),
    ),
    Guard(
        61,
        "what became of a command is for one generation of its place",
        "outcome-generation",
        replace("holds(@1)", "contains(@1.slot)"),
        (unit("LateAnswerTests"),),
    ),
    Guard(
        61,
        "the store's answer is for one generation of its place",
        "answer-generation",
        replace("holds(@1)", "contains(@1.slot)"),
        (unit("LateAnswerTests"),),
    ),
    Guard(
        61,
        "each connection has a generation of its own",
        "generation-increments",
        replace("&+=", "="),
        (unit("ConnectionTableTests"), unit("LateAnswerTests")),
    ),
    Guard(
        61,
        "epoll keeps the generation",
        "epoll-generation",
        replace("(uint64_t)@1 <<", "(uint64_t)(@1 > 0) <<"),
        (c("case 61"),),
    ),
]
