"""The rooms of the demo page, as a person evaluating Carillon would use them.

They are the manual test of rooms-hub's HTML client: connect, a token, a room, typing, presence.
"""

from playwright.sync_api import expect

from harness.demo import (
    ALICE,
    BOB,
    frame,
    frames,
    is_connected,
    pane,
    plug,
    publish,
    shows,
    state,
)
from harness.pages import wait_for
from harness.waiting import wait_until


def test_a_room_with_typing_and_presence(open_demo):
    page = open_demo()
    alice, bob = pane(page, ALICE), pane(page, BOB)
    expect(alice.get_by_label("Say in the room")).to_be_disabled()
    for each in (alice, bob):
        each.get_by_role("button", name="Join").click()
        expect(each.get_by_role("button", name="Leave")).to_be_visible()
    for each in (alice, bob):
        expect(each.locator(".person")).to_have_count(2)
    bob.get_by_label("Presence").select_option("busy")
    expect(alice.locator(".person.busy")).to_have_text("bob busy")
    said = bob.get_by_label("Say in the room")
    said.press_sequentially("Hello")
    expect(alice.locator(".typing")).to_have_text("bob is typing…")
    said.press("Enter")
    expect(said).to_have_value("")
    expect(alice.locator(".said")).to_have_text(["Hello"])
    expect(bob.locator(".line.own .said")).to_have_text(["Hello"])
    expect(alice.locator(".typing")).to_have_text("")
    # A user does not see its own typing, which was before its message.
    frame(page, BOB, "Hello")
    assert not any('"typing"' in text for text in frames(page, BOB))
    # Typing ends by timeout when the user stops, without another message.
    said.press_sequentially("x")
    expect(alice.locator(".typing")).to_have_text("bob is typing…")
    expect(alice.locator(".typing")).to_have_text("")
    # A user that left the room receives nothing.
    alice.get_by_role("button", name="Leave").click()
    expect(alice.get_by_label("Say in the room")).to_be_disabled()
    is_connected(page, ALICE)
    said.fill("Are you there?")
    said.press("Enter")
    expect(bob.locator(".said")).to_have_text(["Hello", "Are you there?"])
    publish(page, "user:alice", "later than that")
    shows(page, ALICE, ["later than that"])
    expect(alice.locator(".said")).to_have_text(["Hello"])
    # The client joins the room again by itself after the cable was out.
    joined = bob.locator(".frames code").filter(has_text='"room:joined"')
    before = joined.count()
    plug(page, BOB)
    expect(state(page, BOB)).to_have_text("Reconnecting…")
    plug(page, BOB)
    is_connected(page, BOB)
    # The server joins the room later than it greets the client.
    expect(joined).to_have_count(before + 1)
    publish(page, "room", "a title", room="lobby", message="from the backend")
    expect(bob.locator(".said").last).to_have_text("from the backend")


def test_a_room_over_the_event_stream_and_none_by_polling(open_demo):
    page = open_demo()
    alice = pane(page, ALICE)
    alice.get_by_label("Transport").select_option("sse")
    is_connected(page, ALICE)
    alice.get_by_role("button", name="Join").click()
    expect(alice.locator(".person")).to_have_text(["alice online"])
    publish(page, "room", "a title", room="lobby", message="over the stream")
    expect(alice.locator(".said")).to_have_text(["over the stream"])
    alice.get_by_label("Transport").select_option("poll")
    is_connected(page, ALICE)
    expect(alice.get_by_role("button", name="Join")).to_be_disabled()
    expect(alice.locator(".people")).to_have_text("Long-polling does not receive room messages.")


def test_a_late_answer_does_not_hide_that_a_message_was_refused(open_demo):
    page = open_demo()
    alice = pane(page, ALICE)
    alice.get_by_role("button", name="Join").click()
    expect(alice.locator(".person")).to_have_count(1)
    held, refusal = [], {"success": False, "error": {"code": "unavailable", "message": "later"}}
    page.route("**/realtime/typing", lambda route: held.append(route))
    page.route("**/send/room", lambda route: route.fulfill(status=503, json=refusal))
    said = alice.get_by_label("Say in the room")
    said.press_sequentially("x")
    said.press("Enter")
    error = alice.locator(".room-error")
    expect(error).to_have_text("later")
    # One request for the start of typing and one for its end.
    wait_until("both are sent", lambda: page.evaluate("1") and len(held) == 2)
    page.evaluate("recordAnswers()")
    for route in held:
        route.continue_()
    wait_for(page, "() => answers.filter((each) => each.endsWith('/typing')).length === 2")
    expect(error).to_have_text("later")
    page.said[:] = [each for each in page.said if "503" not in each]
