"""Guards of the files served to browsers: cases 33, 53 and 62."""

from edits import always, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        33,
        "a content coding with weight zero is not used",
        "coding-of-weight-zero",
        replace("if", "if weights.gzip != nil ||"),
        (unit("ContentCodingTests"), wire("test_client_files.py", "coding_is_one")),
    ),
    Guard(
        33,
        "a coding's weight is at most one",
        "coding-weight-limit",
        rewrite("return @1 <= @2 ? @3 : nil", "return @3"),
        (unit("ContentCodingTests"),),
    ),
    Guard(
        53,
        "the demo issues tokens only for this machine's own host names",
        "demo-tokens-on-loopback-names",
        always(2),
        (unit("DemoTokensTests"),),
    ),
    Guard(
        53,
        "a loopback name must match the whole host name",
        "loopback-name-is-whole",
        replace("$0.hasSameBytes(as: @1)", "@1.hasPrefix($0)"),
        (unit("DemoTokensTests"), unit("OriginPolicyTests")),
    ),
    Guard(
        53,
        "the demo exists only in development mode",
        "demo-in-development",
        always(),
        (unit("ClientFilesTests"), wire("test_client_files.py", "development_alone")),
    ),
    Guard(
        53,
        "a page of another origin cannot read the demo's tokens",
        "demo-tokens-same-origin",
        replace(".ownOrigin", ".configuredOrigins"),
        (unit("DemoTokensTests"), wire("test_client_files.py", "another_origin")),
    ),
    Guard(
        53,
        "a file URL of an earlier build redirects and does not serve the new file",
        "client-file-of-earlier-build",
        rewrite("return @1 == @2 ? @3 : @4", "return @1.isEmpty ? @4 : @3"),
        (unit("ClientFilesTests/moved"), wire("test_client_files.py", "after_an_upgrade")),
    ),
    Guard(
        62,
        "slow readers of one file share one copy",
        "client-file-body-shared",
        rewrite("let @1 = @2", "let @1 = @2 && false"),
        (unit("SharedBodyTests"),),
    ),
    Guard(
        62,
        "no response is queued until a shared body is sent",
        "no-answer-before-shared-body",
        remove(),
        (unit("SharedBodyTests"), wire("test_client_files.py", "at_once_come_in_order")),
    ),
]
