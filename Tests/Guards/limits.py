"""Guards of the quotas: who is too many, who is too fast: case 63."""

from guard import Guard, unit, wire

QUOTAS = "Sources/Server/Core/Quotas.swift"
LIMITING = "Sources/Server/Core/Limiting.swift"
RATES = "Sources/Server/RateLimit.swift"
SHARD = "Sources/Server/Core/Shard.swift"
STREAM = "Sources/Server/Endpoints/EventStream.swift"
POLLING = "Sources/Server/Endpoints/Polling.swift"
UPGRADE = "Sources/Server/Core/Upgrade.swift"
IN_BAND = "Sources/Server/Core/InBandToken.swift"
MESSAGES = "Sources/Server/Core/WebSocketInput.swift"
MUTEX = "Sources/Broadcast/Guarded.swift"

GUARDS = [
    Guard(
        63,
        "connections of an address are counted",
        QUOTAS,
        "    guard count < limit else { return false }\n",
        "",
        (
            unit("QuotaTests/.*hundredth connection"),
            unit("LimitingTests/.*stays out"),
            wire("test_limits.py", "over_all_shards"),
        ),
    ),
    Guard(
        63,
        "an IPv6 network is one address",
        QUOTAS,
        "    let low = [bytes.4, bytes.5, bytes.6, bytes.7]\n",
        "    let low = [bytes.4, bytes.5, bytes.6, bytes.15]\n",
        (unit("QuotaTests/.*whatever the port"),),
    ),
    Guard(
        63,
        "a default does not count this machine",
        QUOTAS,
        "      countsLoopback = given != nil\n",
        "      countsLoopback = true\n",
        (unit("QuotaTests/.*does not count this machine"), wire("test_limits.py", "a_default")),
    ),
    Guard(
        63,
        "an address of which nobody is left is forgotten",
        QUOTAS,
        "connections[address] = count > 1 ? count - 1 : nil",
        "connections[address] = count - 1",
        (
            unit("QuotaTests/.*hundred thousand"),
            unit("LimitingTests/.*two thousand"),
        ),
    ),
    Guard(
        63,
        "a session that gave way is not uncounted again",
        QUOTAS,
        "      guard let index = open.ids.firstIndex(of: id) else { return }\n",
        "      let index = open.ids.firstIndex(of: id) ?? 0\n",
        (unit("QuotaTests/.*oldest gives way"),),
    ),
    Guard(
        63,
        "the tables have a mutex",
        MUTEX,
        "    unsafe pthread_mutex_lock(mutex)\n    defer { unsafe pthread_mutex_unlock(mutex) }\n",
        "",
        (unit("QuotaTests/.*hundred thousand"),),
    ),
    Guard(
        63,
        "of those that are turned away few are kept",
        LIMITING,
        "    guard turnedAwayCount < core.configuration.limits.turnedAwayPerShardLimit else {\n"
        "      return drop(place)\n    }\n",
        "",
        (unit("LimitingTests/.*bounded number"),),
    ),
    Guard(
        63,
        "those without a token are bounded",
        LIMITING,
        "    if isUnknown, unauthenticatedCount >= quotas.unauthenticatedLimit"
        " { throw .unauthenticated }\n",
        "",
        (unit("LimitingTests/.*shown no token are bounded"),),
    ),
    Guard(
        63,
        "what has ended gives back what it had",
        LIMITING,
        "    uncountSession(at: place)\n    authenticated(place)\n",
        "",
        (unit("LimitingTests/.*two thousand"), wire("test_limits.py", "nothing_behind")),
    ),
    Guard(
        63,
        "a poll that was answered is uncounted",
        SHARD,
        "    uncountSession(at: place)\n",
        "",
        (unit("LimitingTests/.*not between two"),),
    ),
    Guard(
        63,
        "a WebSocket of a full user is refused",
        UPGRADE,
        "      guard countSession(of: user, at: place) else"
        " { throw Refusal(Shard.tooManySessions) }\n",
        "      _ = countSession(of: user, at: place)\n",
        (unit("LimitingTests/refusedUpgrade"), wire("test_limits.py", "before_the_upgrade")),
    ),
    Guard(
        63,
        "a token in a message of a full user is refused",
        IN_BAND,
        "guard countSession(of: user, at: place) else {",
        "guard countSession(of: user, at: place) || true else {",
        (
            unit("LimitingTests/.*token that comes in a message"),
            wire("test_limits.py", "finds_the_user_full"),
        ),
    ),
    Guard(
        63,
        "a stream of a full user is refused",
        STREAM,
        "      !countSession(of: user, at: place)\n",
        "      !countSession(of: user, at: place), place == .max\n",
        (unit("LimitingTests/refusedRequest"), wire("test_limits.py", "a_stream_and_a_poll")),
    ),
    Guard(
        63,
        "a poll of a full user is refused",
        POLLING,
        "    guard countSession(of: user, at: place) else"
        " { throw Refusal(Shard.tooManySessions) }\n",
        "    _ = countSession(of: user, at: place)\n",
        (unit("LimitingTests/refusedRequest"), wire("test_limits.py", "a_stream_and_a_poll")),
    ),
    Guard(
        63,
        "the newest session ends the oldest",
        LIMITING,
        '      close(place, code: 1008, reason: "replaced by a newer connection")\n',
        "      return\n",
        (
            unit("LimitingTests/.*newest wins"),
            wire("test_limits.py", "takes_the_place"),
        ),
    ),
    Guard(
        63,
        "the newest session ends a poll that waits",
        LIMITING,
        "      end(poll, at: place)\n",
        "      poll.isEnding = poll.isEnding && true\n",
        (
            unit("LimitingTests/.*newest wins"),
            wire("test_limits.py", "replaced_is_answered"),
        ),
    ),
    Guard(
        63,
        "messages are counted",
        MESSAGES,
        "        guard takeMessage(isText: current.isText, at: place) else { return }\n",
        "",
        (
            unit("LimitingTests/closedForMessages"),
            wire("test_limits.py", "close_with_1008 or until_it_is_a_flood"),
        ),
    ),
    Guard(
        63,
        "control frames are counted, but for the last",
        MESSAGES,
        "guard opcode == .close || takeMessage(at: place) else { return }",
        "guard takeMessage(at: place) else { return }",
        (unit("LimitingTests/.*a close frame is heard"),),
    ),
    Guard(
        63,
        "a flood is closed in any dialect",
        LIMITING,
        "guard draw == .over, group",
        "guard group",
        (unit("LimitingTests/.*closes on a flood"), wire("test_limits.py", "a_flood")),
    ),
    Guard(
        63,
        "who does not read is not told",
        LIMITING,
        "guard isText, !table[place].flags.contains(.blocked) else",
        "guard isText else",
        (unit("LimitingTests/.*does not read is not told"),),
    ),
    Guard(
        63,
        "publishes are counted",
        LIMITING,
        "    guard endpoint.access == .publisher, head.method == .post,\n",
        "    guard endpoint.access == .anyone, head.method == .post,\n",
        (unit("LimitingTests/publishRate"), wire("test_limits.py", "publishes_too_often")),
    ),
    Guard(
        63,
        "a bucket that is empty gives nothing",
        RATES,
        "    guard next <= horizon else { return next - horizon }\n",
        "    _ = horizon\n",
        (
            unit("RateLimitTests/.*one by one"),
            unit("LimitingTests/.*connection too soon"),
        ),
    ),
    Guard(
        63,
        "seconds are rounded up",
        LIMITING,
        " + (nanoseconds % 1_000_000_000 == 0 ? 0 : 1))",
        ")",
        (unit("LimitingTests/.*rounded up"),),
    ),
    Guard(
        63,
        "buckets are bounded",
        RATES,
        "    guard buckets.count < capacity else { return shared.take(limit, at: now) }\n",
        "",
        (unit("BucketTableTests/.*never larger"),),
    ),
    Guard(
        63,
        "full buckets are forgotten",
        RATES,
        "    if buckets.count >= sweepCount, now >= nextSweep { forgetFull(at: now) }\n",
        "",
        (unit("BucketTableTests/.*long before the capacity"),),
    ),
    Guard(
        63,
        "all buckets are looked through once a second at the most",
        RATES,
        "if buckets.count >= sweepCount, now >= nextSweep {",
        "if buckets.count >= sweepCount {",
        (unit("BucketTableTests/.*every caller of a storm"),),
    ),
    Guard(
        63,
        "time stops at its end",
        RATES,
        "    let (sum, overflow) = addingReportingOverflow(other)\n"
        "    return overflow ? .max : sum\n",
        "    return self + other\n",
        (unit("RateLimitTests/endOfTime"),),
    ),
]
