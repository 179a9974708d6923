"""Stripe webhooks, signed by Stripe's own library: stored events and the clients' messages."""

import json
import time

import pytest
import stripe

from harness.clients import EventClient, FlatClient, InboxClient
from harness.rooms import TypedClient
from harness.server import Server, run_carillon
from harness.socketio_clients import PythonClient
from harness.streams import StreamClient
from harness.tokens import SECRET, user_token
from harness.waiting import wait_until

PATH = "/integrations/stripe"
SIGNING = "whsec_b0a1c2d3e4f5061728394a5b6c7d8e9f"
ROTATED = "whsec_00112233445566778899aabbccddeeff"
NUMBERS = iter(range(1_000_000))


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """A server with the setting for Stripe, shared by the tests of this file."""
    server = Server(
        tmp_path_factory.mktemp("stripe"),
        environment={"STRIPE_WEBHOOK_SECRET": f"{SIGNING}, {ROTATED}"},
    ).start()
    yield server
    try:
        server.stop()
    finally:
        server.end()


def payment_intent(user, **members):
    return {
        "id": "pi_3MtwBwLkdIwHu7ix28a3tqPa",
        "object": "payment_intent",
        "amount": 2000,
        "amount_capturable": 0,
        "amount_received": 2000,
        "currency": "usd",
        "customer": "cus_Na6dX7aXxi11N4",
        "last_payment_error": None,
        "metadata": {"order": "7", "user_id": user},
        "payment_method_types": ["card", "link"],
        "status": "succeeded",
        **members,
    }


def subscription(user, **members):
    price = {"id": "price_1", "object": "price", "currency": "eur", "unit_amount": 1050}
    item = {"id": "si_1", "object": "subscription_item", "price": price, "quantity": 3}
    return {
        "id": "sub_1MowQVLkdIwHu7ixeRlqHVzs",
        "object": "subscription",
        "cancel_at_period_end": False,
        "currency": "eur",
        "customer": "cus_Na6dX7aXxi11N4",
        "items": {"object": "list", "data": [item], "has_more": False, "total_count": 1},
        "metadata": {"user_id": user},
        "status": "active",
        **members,
    }


def invoice(user, **members):
    details = {"metadata": {"user_id": user}, "subscription": "sub_1MowQVLkdIwHu7ixeRlqHVzs"}
    return {
        "id": "in_1MtHbELkdIwHu7ixl4OzzPMv",
        "object": "invoice",
        "amount_due": 599,
        "amount_paid": 599,
        "currency": "jpy",
        "customer": "cus_Na6dX7aXxi11N4",
        "metadata": {},
        "number": "ABC-0001",
        "parent": {"type": "subscription_details", "subscription_details": details},
        "status": "paid",
        **members,
    }


def event(type, object, id=None, **members):
    """An event as Stripe sends it, in the bytes of its body."""
    return json.dumps(
        {
            "id": id or f"evt_{next(NUMBERS)}",
            "object": "event",
            "api_version": "2025-03-31.basil",
            "created": int(time.time()),
            "data": {"object": object},
            "livemode": False,
            "pending_webhooks": 1,
            "request": {"id": None, "idempotency_key": None},
            "type": type,
            **members,
        },
        indent=2,
    )


def signed(body, secret=SIGNING, at=None):
    """The value of Stripe-Signature for a body."""
    timestamp = None if at is None else int(time.time()) + at
    return stripe.WebhookSignature.generate_signature_header(body, secret, timestamp)


def deliver(server, body, signature=None):
    """Sends an event as Stripe does; returns the answer."""
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Stripe-Signature": signed(body) if signature is None else signature,
        "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
    }
    return server.request("POST", PATH, body=body.encode(), headers=headers)


def store(server, body, **options):
    answer = deliver(server, body, **options)
    assert answer.status == 200 and answer.data == {"result": "stored"}, answer
    return answer


TYPES = {
    "payment_intent.succeeded": (
        payment_intent,
        "payment_succeeded",
        "Payment Successful",
        "Your payment of 20.00 USD has been processed",
        {"amount": 2000, "currency": "usd", "status": "succeeded"},
    ),
    "payment_intent.payment_failed": (
        payment_intent,
        "payment_failed",
        "Payment Failed",
        "Your payment of 20.00 USD could not be processed",
        {"amount": 2000, "currency": "usd", "status": "failed"},
    ),
    "customer.subscription.created": (
        subscription,
        "subscription_created",
        "Subscription Created",
        "Your subscription has been created",
        {"amount": 3150, "currency": "eur", "status": "active"},
    ),
    "customer.subscription.updated": (
        subscription,
        "subscription_updated",
        "Subscription Updated",
        "Your subscription has changed",
        {"amount": 3150, "currency": "eur", "status": "active"},
    ),
    "customer.subscription.deleted": (
        subscription,
        "subscription_deleted",
        "Subscription Ended",
        "Your subscription has ended",
        {"amount": 3150, "currency": "eur", "status": "active"},
    ),
    "invoice.paid": (
        invoice,
        "invoice_paid",
        "Invoice Paid",
        "Your invoice ABC-0001 has been paid: 599 JPY",
        {"amount": 599, "currency": "jpy", "status": "paid"},
    ),
    "invoice.payment_failed": (
        invoice,
        "invoice_payment_failed",
        "Invoice Payment Failed",
        "The payment of your invoice ABC-0001 failed: 599 JPY",
        {"amount": 599, "currency": "jpy", "status": "paid"},
    ),
}


@pytest.mark.parametrize("type", TYPES)
def test_each_type_becomes_a_notification_and_an_update(server, fresh_user, type):
    make, notification_type, title, message, money = TYPES[type]
    user, other = fresh_user(), fresh_user()
    object = make(user)
    update = {"payment_id": object["id"], **money}
    with (
        TypedClient(server, user) as typed,
        StreamClient(server, user) as stream,
        PythonClient(server, user, namespace="/notifications") as socketio,
        TypedClient(server, other) as stranger,
    ):
        stream.until("unread_count")
        socketio.connected()
        store(server, body := event(type, object))
        frame, data = typed.frame()
        assert frame == "notification" and data["notification_type"] == notification_type
        assert (data["title"], data["message"]) == (title, message)
        assert {name: data["payload"][name] for name in update} == update
        # After the notification, because it is sent after the commit.
        assert typed.frame() == ("payment_update", update)
        assert stream.until("notification")["type"] == notification_type
        assert stream.until("payment_update") == update
        assert socketio.event("notification")["type"] == notification_type
        assert socketio.event("payment_update") == update
        stranger.receives_nothing()
        typed.receives_nothing()
    stored = server.inbox(user)[0]
    assert stored["type"] == notification_type
    assert stored["entity_type"] == notification_type.split("_")[0]
    assert stored["entity_id"] == object["id"]
    assert stored["data"]["customer_id"] == object["customer"]
    assert stored["data"]["stripe_event"] == json.loads(body)["id"]


def test_clients_without_a_message_about_payments_get_the_notification_alone(server, fresh_user):
    user = fresh_user()
    with (
        EventClient(server, user) as event_client,
        FlatClient(server, user) as flat,
        InboxClient(server, user) as inbox,
    ):
        store(server, event("payment_intent.succeeded", payment_intent(user)))
        assert event_client.expect("notification:new")["type"] == "payment_succeeded"
        assert flat.next()["type"] == "payment_succeeded"
        assert inbox.next()["notification"]["type"] == "payment_succeeded"
        event_client.expect("stats:updated")
        server.publish(user, "a mark")
        assert event_client.expect("notification:new")["title"] == "a mark"
        assert flat.next()["title"] == "a mark"
        assert inbox.next()["notification"]["title"] == "a mark"


def test_stripes_library_accepts_the_same_bodies_and_signatures():
    body = event("invoice.paid", invoice("u"))
    for secret in (SIGNING, ROTATED):
        made = stripe.Webhook.construct_event(body, signed(body, secret), secret)
        assert made["type"] == "invoice.paid"


def test_a_tampered_event_is_400(server, fresh_user):
    user, other = fresh_user(), fresh_user()
    body = event("payment_intent.succeeded", payment_intent(user))
    signature = signed(body)
    tampered = [
        body.replace(user, other),
        body.replace("2000", "9000"),
        body + " ",
        json.dumps(json.loads(body)),
    ]
    for each in tampered:
        answer = deliver(server, each, signature)
        assert answer.status == 400 and answer.error["code"] == "bad_signature", answer
        with pytest.raises(stripe.SignatureVerificationError):
            stripe.Webhook.construct_event(each, signature, SIGNING)
    time_of, code = signature.split(",")
    for wrong in ("", time_of, code, f"{time_of},v0={code[3:]}", f"{time_of},v1={'0' * 64}"):
        assert deliver(server, body, wrong).status == 400, wrong
    assert deliver(server, body, signed(body, "whsec_another_secret_of_one")).status == 400
    assert server.inbox(user) == [] and server.inbox(other) == []
    store(server, body, signature=signature)


def test_an_old_or_early_signature_is_400(server, fresh_user):
    user = fresh_user()
    body = event("payment_intent.succeeded", payment_intent(user))
    # Far enough from 300 s that the second in which the server reads it does not matter.
    for at in (-310, 310, -86_400, 86_400):
        answer = deliver(server, body, signed(body, at=at))
        assert answer.status == 400 and "300 s" in answer.error["message"], answer
    assert server.inbox(user) == []
    store(server, body, signature=signed(body, at=-280))
    assert deliver(server, body, signed(body, at=280)).data == {"result": "repeated"}


def test_during_a_rotation_both_secrets_sign(server, fresh_user):
    user = fresh_user()
    body = event("payment_intent.succeeded", payment_intent(user))
    both = signed(body) + "," + signed(body, ROTATED).split(",")[1]
    store(server, body, signature=both)
    store(server, later := event("invoice.paid", invoice(user)), signature=signed(later, ROTATED))
    assert [each["type"] for each in server.inbox(user)] == ["payment_succeeded", "invoice_paid"]


def test_a_repeated_event_is_stored_once_and_its_update_sent_once(server, fresh_user):
    user = fresh_user()
    with TypedClient(server, user) as typed:
        object = payment_intent(user)
        first = event("payment_intent.succeeded", object, id=f"evt_repeated_{user}")
        store(server, first)
        assert typed.frame()[0] == "notification"
        assert typed.frame()[0] == "payment_update"
        # A later attempt has other bytes, and a signature of its own.
        again = event(
            "payment_intent.succeeded", object, id=f"evt_repeated_{user}", pending_webhooks=0
        )
        for body in (first, again, first):
            answer = deliver(server, body)
            assert answer.status == 200 and answer.data == {"result": "repeated"}, answer
        typed.receives_nothing()
    assert [each["type"] for each in server.inbox(user)] == ["payment_succeeded", "info"]


@pytest.mark.parametrize("end", ["stop", "kill"])
def test_an_event_is_a_repeat_after_a_restart(make_server, end):
    server = make_server(environment={"STRIPE_WEBHOOK_SECRET": SIGNING})
    body = event("invoice.paid", invoice("u"))
    store(server, body)
    getattr(server, end)()
    server.start()
    with TypedClient(server, "u") as typed:
        assert deliver(server, body).data == {"result": "repeated"}
        typed.receives_nothing()
    assert [each["type"] for each in server.inbox("u")] == ["invoice_paid", "info"]


def test_an_event_of_no_interest_is_200_and_not_stored(server, fresh_user):
    user = fresh_user()
    bodies = [
        event("charge.succeeded", payment_intent(user)),
        event("payment_intent.created", payment_intent(user)),
        event("payment_intent.succeeded", payment_intent(user, metadata={})),
        event("customer.subscription.created", subscription(user, metadata={"user": user})),
        event("invoice.paid", invoice(user, parent=None)),
        event("invoice.paid", invoice(user, metadata={"user_id": "a secret\nvalue"})),
    ]
    for body in bodies:
        answer = deliver(server, body)
        assert answer.status == 200 and answer.data["result"] == "ignored", answer
        assert answer.data["reason"]
    assert server.inbox(user) == []
    wait_until("the log has the reason", lambda: "metadata.user_id is no user id" in server.log())
    assert "a secret" not in server.log() and user not in server.log()


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value.pop("id"),
        lambda value: value.pop("type"),
        lambda value: value.pop("data"),
        lambda value: value["data"]["object"].pop("currency"),
        lambda value: value["data"]["object"].update(amount=1.5, amount_received=None),
        lambda value: value["data"]["object"].update(amount=2**53, amount_received=None),
        lambda value: value["data"]["object"].update(id=7),
    ],
)
def test_a_signed_event_without_its_members_is_400(server, fresh_user, change):
    user = fresh_user()
    value = json.loads(event("payment_intent.succeeded", payment_intent(user)))
    change(value)
    answer = deliver(server, json.dumps(value))
    assert answer.status == 400 and answer.error["code"] == "malformed", answer
    assert server.inbox(user) == []


def test_a_long_event_is_stored_and_a_longer_one_is_413(server, fresh_user):
    user = fresh_user()
    lines = [{"id": f"il_{n}", "metadata": {"note": "x" * 500}} for n in range(300)]
    body = event("invoice.paid", invoice(user, lines={"object": "list", "data": lines}))
    assert 160 * 1024 < len(body) < 256 * 1024
    store(server, body)
    longer = body + " " * (256 * 1024 + 1 - len(body))
    answer = deliver(server, longer)
    assert answer.status == 413 and str(256 * 1024) in answer.error["message"]


def test_preferences_mute_the_notification_and_not_the_update(server, fresh_user):
    user = fresh_user()
    document = {"types": {"payment_succeeded": {"muted": True}}}
    answer = server.request("PUT", "/api/v1/preferences", user_token(user), document)
    assert answer.status == 200
    with TypedClient(server, user) as typed:
        store(server, event("payment_intent.succeeded", payment_intent(user)))
        assert typed.frame()[0] == "payment_update"
    assert [each["type"] for each in server.inbox(user)] == ["payment_succeeded"]


def test_without_the_setting_there_is_nothing_at_the_path(make_server):
    server = make_server()
    assert deliver(server, event("invoice.paid", invoice("u"))).status == 404


def test_only_post_is_allowed(server):
    answer = server.request("GET", PATH)
    assert answer.status == 405 and answer.headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    "value, message",
    [
        (",", "16 printable ASCII"),
        (f"{SIGNING},", "16 printable ASCII"),
        ("short", "16 printable ASCII"),
        ("sk_live_0123456789abcdefghij", "begins with whsec_"),
        (",".join([SIGNING] * 5), "1 to 4 secrets"),
    ],
)
def test_a_wrong_setting_starts_no_server_and_is_not_printed(value, message):
    environment = {"JWT_SECRET": SECRET, "STRIPE_WEBHOOK_SECRET": value}
    for command in (["check"], ["serve", "--port", "0", "--data", ":memory:"]):
        done = run_carillon(*command, environment=environment)
        assert done.returncode == 2, done
        assert "STRIPE_WEBHOOK_SECRET" in done.stderr and message in done.stderr
        assert SIGNING not in done.stderr and "0123456789" not in done.stderr


def test_check_shows_that_the_setting_is_set_and_not_its_value():
    environment = {"JWT_SECRET": SECRET, "STRIPE_WEBHOOK_SECRET": SIGNING}
    done = run_carillon("check", "--json", environment=environment)
    shown = json.loads(done.stdout)["settings"]["stripe-webhook-secret"]
    assert shown == {"value": "set", "source": "STRIPE_WEBHOOK_SECRET"}
    for arguments in (["check"], ["check", "--json"], ["check", "--limits"]):
        assert SIGNING not in run_carillon(*arguments, environment=environment).stdout
    done = run_carillon("serve", f"--stripe-webhook-secret={SIGNING}", environment=environment)
    assert done.returncode == 2 and "in the environment" in done.stderr
    assert SIGNING not in done.stderr
