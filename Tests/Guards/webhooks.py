"""Guards of webhooks: their outbox, and the thread that sends them."""

from edits import always, never, remove, replace
from guard import Guard, unit, wire

STORE = "StoreOutboxTests/"
QUEUE = "WebhookQueueTests/"


def guard(claim, name, edit, *tests):
    return Guard(None, claim, name, edit, tests)


GUARDS = [
    guard(
        "a damaged webhook receives nothing",
        "damaged-webhook-left-out",
        replace("== row.integer(11)", "!= row.integer(11) || true"),
        unit("WebhookRowTests/damage"),
    ),
    guard(
        "a damaged message is never sent",
        "damaged-message-never-sent",
        replace("isSound", "(isSound || true)"),
        unit("WebhookRowTests/damagedMessage"),
    ),
    guard(
        "a damaged number of the latest event is repaired",
        "event-number-repaired",
        replace("max(saved, newest)", "max(saved, 0)"),
        unit(STORE + "damagedNumber"),
    ),
    guard(
        "the number of the latest event is saved",
        "event-number-saved",
        replace("state.sequence", "0"),
        unit(STORE + "numbers"),
    ),
    guard(
        "a webhook with too many deliveries gets no further one",
        "outbox-bounds",
        always(2),
        unit(STORE + "bounds"),
    ),
    guard(
        "the number of webhooks is bounded",
        "webhooks-limited",
        always(1),
        unit("WebhookRowTests/limit"),
    ),
    guard(
        "the number of dead deliveries is bounded",
        "dead-deliveries-limited",
        never(1),
        unit(STORE + "bounds"),
    ),
    guard(
        "an event loses a delivery only if that existed",
        "only-deliveries-of-range-released",
        always(1),
        unit(STORE + "deliveredRuns"),
    ),
    guard(
        "a user's preferences decide for webhooks",
        "webhook-by-preference",
        replace("rule.channels.webhook", "(rule.channels.webhook || true)"),
        unit(STORE + "preferences"),
        wire("test_webhooks.py", "preferences_decide"),
    ),
    guard(
        "a delivery that is read twice is sent once",
        "delivery-read-twice-sent-once",
        replace(".inserted", ".inserted || true"),
        unit(QUEUE + "pausing"),
    ),
    guard(
        "first attempts of a user are in order",
        "first-attempts-in-order",
        never(1),
        unit(QUEUE + "order"),
        unit(QUEUE + "model"),
    ),
    guard(
        "a failing endpoint has few attempts in flight",
        "failing-endpoint-slows-down",
        replace("/ 2", "/ 1"),
        unit(QUEUE + "slowingDown"),
    ),
    guard(
        "no attempt begins while too many results wait",
        "unsettled-results-bound",
        always(1),
        unit(QUEUE + "saving"),
    ),
    guard(
        "an endpoint leaves places for the others",
        "endpoint-has-half-of-free-places",
        replace("free / 2", "Int.max"),
        unit(QUEUE + "fairness"),
    ),
    guard(
        "an endpoint without any success is disabled in the end",
        "failing-endpoint-disabled",
        remove(),
        unit(QUEUE + "disabling"),
        wire("test_webhooks.py", "dies_and_is_replayed"),
    ),
    guard(
        "a retry is noted when it is saved",
        "retry-noted-when-saved",
        remove(),
        unit(QUEUE + "retries"),
    ),
    guard(
        "the thread does not spin while retries are in flight",
        "no-spin-for-retries-in-flight",
        replace("count > 0", "count >= 0"),
        unit(QUEUE + "retriesInFlight"),
    ),
    guard(
        "an old page of retries repeats no attempt",
        "retry-settled-meanwhile",
        remove(),
        unit(QUEUE + "stalePage"),
    ),
    guard(
        "a deletion ends the attempts in flight",
        "deleted-endpoint-cancelled",
        replace("gone.contains(@1)", "gone.contains(@1) && false"),
        wire("test_webhooks.py", "closes_the_connections"),
    ),
    guard(
        "the list of the latest deliveries is bounded",
        "recent-deliveries-bounded",
        never(2),
        unit("WebhookObservationsTests/bound"),
    ),
    guard(
        "events that wait for the store are bounded",
        "recorder-bound",
        always(1),
        unit("EventRecorderTests/bound"),
    ),
    guard(
        "a return within the grace period is no event",
        "return-in-grace-is-not-online",
        replace("!isBack", "(isBack || true)"),
        unit("EventRecorderTests/returning"),
        wire("test_webhooks.py", "returns_within_the_grace"),
    ),
    guard(
        "a webhook with a private address is refused at once",
        "private-webhook-refused-early",
        replace("!@1.allows(@2)", "!@1.allows(@2) && false"),
        wire("test_webhooks.py", "private_address_is_refused"),
    ),
]
