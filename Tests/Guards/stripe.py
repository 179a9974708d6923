"""Guards of the intake of Stripe's webhooks."""

from edits import always, remove, replace, rewrite
from guard import Guard, unit, wire

GUARDS = [
    Guard(
        None,
        "the field with Stripe's signature is bounded",
        "stripe-signature-is-bounded",
        always(1),
        (unit("StripeSignatureTests/1,024 bytes"),),
    ),
    Guard(
        None,
        "a signature of Stripe has one time",
        "stripe-signature-has-one-time",
        always(1),
        (unit("StripeSignatureTests/malformed"),),
    ),
    Guard(
        None,
        "a signature of Stripe is refused outside of five minutes",
        "stripe-signature-tolerance",
        always(1),
        (
            unit("StripeSignatureTests/age"),
            unit("StripeTests/unsigned"),
            wire("test_stripe.py", "old_or_early"),
        ),
    ),
    Guard(
        None,
        "a code of Stripe must be that of the body and a secret",
        "stripe-signature-matches",
        replace("where @1", "where true || @1"),
        (
            unit("StripeSignatureTests/one bit changed"),
            unit("StripeTests/unsigned"),
            wire("test_stripe.py", "tampered"),
        ),
    ),
    Guard(
        None,
        "Stripe-Signature occurs once",
        "stripe-signature-occurs-once",
        replace("== 1", ">= 1"),
        (unit("StripeTests/unsigned"),),
    ),
    Guard(
        None,
        "a signature of another form or time is refused before the body is read",
        "stripe-head-before-body",
        remove(),
        (unit("StripeTests/before the body arrives"),),
    ),
    Guard(
        None,
        "there is no endpoint for Stripe without a secret",
        "stripe-needs-its-secret",
        rewrite("let hasStripe = @1", "let hasStripe = true"),
        (unit("StripeTests/without a secret"), wire("test_stripe.py", "without_the_setting")),
    ),
    Guard(
        None,
        "an empty or short secret of Stripe starts no server",
        "stripe-secret-is-a-secret",
        remove(),
        (wire("test_stripe.py", "wrong_setting"),),
    ),
    Guard(
        None,
        "the user id in an event of Stripe is checked like any other",
        "stripe-user-id-is-valid",
        always(1),
        (unit("StripeEventTests/unusable"), unit("StripeTests/ignored")),
    ),
    Guard(
        None,
        "the id of an event of Stripe is bounded and printable",
        "stripe-event-id-is-bounded",
        rewrite("let isValid = @1", "let isValid = true || @1"),
        (unit("StripeEventTests/envelope"),),
    ),
    Guard(
        None,
        "only messages about a card are shown to the user",
        "only-card-errors-are-shown",
        always(1),
        (unit("StripeEventTests/failure"),),
    ),
    Guard(
        None,
        "the sum of a subscription's items cannot overflow",
        "subscription-total-in-range",
        always(3),
        (unit("StripeEventTests/anyItem"),),
    ),
    Guard(
        None,
        "an event beside a publish is sent once, after the commit",
        "companion-of-a-first-publish-alone",
        always(2),
        (
            unit("StripeTests/repeated event"),
            unit("StripeTests/failed"),
            wire("test_stripe.py", "repeated"),
        ),
    ),
    Guard(
        None,
        "a key may have a longer life than others",
        "key-has-its-lifetime",
        replace("now + key.addedLifetime", "now"),
        (unit("IdempotencyTests/addedLifetime"),),
    ),
]
