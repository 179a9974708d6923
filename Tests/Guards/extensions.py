"""Guards of what a client gets only if it asks, of event streams, and of timers."""

from edits import always, instead, never, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    # Extensions for clients that asked for them.
    Guard(
        None,
        "Socket.IO clients that did not ask get no cursors",
        "cursors-when-asked",
        replace("&& isAsked", "&& (isAsked || true)"),
        (
            unit("SocketIORecoveryTests/.*did not ask has no pid"),
            wire("test_socketio_extensions.py", "a_client_that_did_not_ask"),
        ),
    ),
    Guard(
        None,
        "a keep-alive without content carries the position of its socket",
        "position-in-keep-alive",
        instead("return []"),
        (unit("SocketIORecoveryTests/.*ping and pong carry"),),
    ),
    Guard(
        37,
        "an offset from outside of the session counts as absent",
        "offset-of-this-session",
        rewrite("let isOfSession = @1", "let isOfSession = offset != nil"),
        (unit("SocketIORecoveryTests/.*an offset that is no position"),),
    ),
    Guard(
        37,
        "a pid wins over a since",
        "pid-before-since",
        replace("policy == .off", "policy == .off || since != nil"),
        (wire("test_socketio_extensions.py", "a_pid_wins_over_since"),),
    ),
    Guard(
        64,
        "a WebSocket client that resumes gets a heartbeat that its program sees",
        "visible-heartbeat",
        never(1),
        (unit("HeartbeatTests/visible"),),
    ),
    Guard(
        None,
        "a stream gets visible heartbeats exactly if it asked for them",
        "stream-heartbeat-when-asked",
        always(),
        (unit("EventStreamTests/.*resumes without since gets no heartbeat"),),
    ),
    # Event streams.
    Guard(
        None,
        "no proxy compresses a stream and holds its events back",
        "stream-not-transformed",
        replace('"no-store, no-transform"', '"no-store"'),
        (unit("EventStreamTests/.*the first event carries"),),
    ),
    Guard(
        37,
        "a polyfill resumes by an id in the query",
        "event-id-in-query",
        replace('"lastEventId", "lastEventID",', ""),
        (unit("EventStreamTests/resumption"), wire("test_sse_readers.py", "polyfill_resumes")),
    ),
    Guard(
        36,
        "a chunked stream ends with its last chunk",
        "stream-ends-with-last-chunk",
        replace("ChunkedBody.appendEnd(into: &output)", "break"),
        (unit("EventStreamTests/expired"), unit("EventStreamTests/.*a shutdown ends a stream")),
    ),
    # Timers.
    Guard(
        69,
        "a timer that a client can measure has no slack",
        "measurable-timers-exact",
        replace("? 0", "? TimerWindow.sharedSlack"),
        (
            unit("TimerTests/.*a poll ends at its millisecond"),
            unit("TimerTests/.*an upgrade and a first message"),
        ),
    ),
    Guard(
        None,
        "the heartbeats of many clients share the wake-ups of a shard",
        "heartbeats-share-wake-ups",
        replace(": TimerWindow.sharedSlack", ": 0"),
        (unit("TimerTests/.*heartbeats of many clients"),),
    ),
    Guard(
        41,
        "the timers of Engine.IO have no slack",
        "engine-timers-exact",
        rewrite("window.add(@1)", "window.add(@1, slack: TimerWindow.sharedSlack)"),
        (unit("TimerTests/.*pinged and ended at its milliseconds"),),
    ),
    # The console.
    Guard(
        None,
        "the history of the metrics is five minutes long",
        "history-of-five-minutes",
        rewrite("let isFull = @1", "let isFull = sampleCount == 60"),
        (unit("MetricsHistoryTests/.*five minutes are kept"),),
    ),
]
