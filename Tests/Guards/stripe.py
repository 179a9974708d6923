"""Guards of the intake of Stripe's webhooks."""

from edits import replace
from guard import Guard, unit

GUARDS = [
    Guard(
        None,
        "a key may have a longer life than others",
        "key-has-its-lifetime",
        replace("now + key.addedLifetime", "now"),
        (unit("IdempotencyTests/addedLifetime"),),
    ),
]
