"""Guards of what browsers load: cases 33, 53 and 62."""

from edits import always, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        33,
        "a coding of weight nought is not sent",
        "coding-of-weight-zero",
        replace("if", "if weights.gzip != nil ||"),
        (unit("ContentCodingTests"), wire("test_client_files.py", "coding_is_one")),
    ),
    Guard(
        33,
        "a weight is at most one",
        "coding-weight-limit",
        rewrite("return @1 <= @2 ? @3 : nil", "return @3"),
        (unit("ContentCodingTests"),),
    ),
    Guard(
        53,
        "the demo's tokens are told to this machine's names alone",
        "demo-tokens-on-loopback-names",
        always(2),
        (unit("DemoTokensTests"), wire("test_client_files.py", "made_to_lead_here")),
    ),
    Guard(
        53,
        "a name is the whole of one of this machine's",
        "loopback-name-is-whole",
        always(),
        (unit("DemoTokensTests"), unit("OriginPolicyTests")),
    ),
    Guard(
        53,
        "the demo is there in development alone",
        "demo-in-development",
        always(),
        (unit("ClientFilesTests"), wire("test_client_files.py", "development_alone")),
    ),
    Guard(
        53,
        "no page of another origin reads the demo's tokens",
        "demo-tokens-same-origin",
        replace(".ownOrigin", ".configuredOrigins"),
        (unit("DemoTokensTests"), wire("test_client_files.py", "another_origin")),
    ),
    Guard(
        53,
        "what is of an earlier build is not kept as if it were of that one",
        "client-file-of-earlier-build",
        rewrite("return @1 == @2 ? @3 : @4", "return @1.isEmpty ? @4 : @3"),
        (unit("ClientFilesTests/moved"), wire("test_client_files.py", "after_an_upgrade")),
    ),
    Guard(
        62,
        "slow readers of one file hold one copy",
        "client-file-body-shared",
        rewrite("let @1 = @2", "let @1 = @2 && false"),
        (unit("SharedBodyTests"),),
    ),
    Guard(
        62,
        "nothing is answered before what is lent was taken",
        "no-answer-before-shared-body",
        remove(),
        (unit("SharedBodyTests"), wire("test_client_files.py", "at_once_come_in_order")),
    ),
    Guard(
        62,
        "nothing is said in the midst of what is lent",
        "no-answer-inside-shared-body",
        remove(),
        (unit("SharedBodyTests"),),
    ),
]
