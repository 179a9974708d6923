"""All guards, in the order of the lists."""

import answers
import browser
import channels
import client
import extensions
import fairness
import floods
import framing
import history
import identity
import inboxes
import keys
import limits
import programs
import reactor
import realtime
import requests
import rooms
import sessions
import signatures
import storage
import stripe
import webhooks

GUARDS = (
    framing.GUARDS
    + requests.GUARDS
    + identity.GUARDS
    + keys.GUARDS
    + limits.GUARDS
    + floods.GUARDS
    + fairness.GUARDS
    + inboxes.GUARDS
    + reactor.GUARDS
    + realtime.GUARDS
    + rooms.GUARDS
    + sessions.GUARDS
    + history.GUARDS
    + browser.GUARDS
    + client.GUARDS
    + channels.GUARDS
    + extensions.GUARDS
    + answers.GUARDS
    + programs.GUARDS
    + signatures.GUARDS
    + storage.GUARDS
    + stripe.GUARDS
    + webhooks.GUARDS
)
