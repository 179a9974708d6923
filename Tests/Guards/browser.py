"""Guards of what browsers load: cases 33, 53 and 62."""

from guard import Guard, unit, wire

CODING = "Sources/Wire/HTTP/ContentCoding.swift"
FILES = "Sources/Server/Browser/ClientFiles.swift"
ENDPOINT = "Sources/Server/Endpoints/Endpoint.swift"
BROWSER = "Sources/Server/Endpoints/BrowserClient.swift"
HTTP_IN = "Sources/Server/Core/HTTPInput.swift"

GUARDS = [
    Guard(
        33,
        "a coding of weight nought is not sent",
        CODING,
        "if gzip > 0, gzip >= weights.identity ?? 0 { return .gzip }",
        "if weights.gzip != nil || gzip > 0, gzip >= weights.identity ?? 0 { return .gzip }",
        (unit("ContentCodingTests"), wire("test_client_files.py", "coding_is_one")),
    ),
    Guard(
        33,
        "a weight is at most one",
        CODING,
        "return weight <= 1_000 ? weight : nil",
        "return weight",
        (unit("ContentCodingTests"),),
    ),
    Guard(
        53,
        "the demo's tokens are told to this machine's names alone",
        BROWSER,
        "guard let host = request.head.host, Loopback.isNamed(by: host) else {",
        "guard let host = request.head.host, !host.isEmpty else {",
        (unit("DemoTokensTests"), wire("test_client_files.py", "made_to_lead_here")),
    ),
    Guard(
        53,
        "a name is the whole of one of this machine's",
        "Sources/Server/Core/OriginPolicy.swift",
        "if rest.isEmpty { return true }",
        "if !rest.isEmpty || rest.isEmpty { return true }",
        (unit("DemoTokensTests"), unit("OriginPolicyTests")),
    ),
    Guard(
        53,
        "the demo is there in development alone",
        ENDPOINT,
        "    if hasDemo {\n",
        "    if hasDemo || !hasDemo {\n",
        (unit("ClientFilesTests"), wire("test_client_files.py", "development_alone")),
    ),
    Guard(
        53,
        "no page of another origin reads the demo's tokens",
        BROWSER,
        'answer.readers = .ownOrigin\n    return protected(answer)\n      .with("Cache-Control"',
        "answer.readers = .configuredOrigins\n"
        '    return protected(answer)\n      .with("Cache-Control"',
        (unit("DemoTokensTests"), wire("test_client_files.py", "another_origin")),
    ),
    Guard(
        53,
        "what is of an earlier build is not kept as if it were of that one",
        FILES,
        "return folder == hash ? .file(file) : .moved(address(of: name))",
        "return folder.isEmpty ? .moved(address(of: name)) : .file(file)",
        (unit("ClientFilesTests/moved"), wire("test_client_files.py", "after_an_upgrade")),
    ),
    Guard(
        62,
        "slow readers of one file hold one copy",
        HTTP_IN,
        "let isLent = answer.isShared && !isHead",
        "let isLent = answer.isShared && response.body.isEmpty",
        (unit("LentBodyTests"),),
    ),
    Guard(
        62,
        "nothing is answered before what is lent was taken",
        HTTP_IN,
        "          || table[place].lent != nil\n",
        "",
        (unit("LentBodyTests"), wire("test_client_files.py", "at_once_come_in_order")),
    ),
    Guard(
        62,
        "nothing is said in the midst of what is lent",
        HTTP_IN,
        "    if table[place].lent != nil { return drop(place, counting: .timedOut) }\n",
        "",
        (unit("LentBodyTests"),),
    ),
]
