"""The demo page: its two users' panes, and publishing by its form."""

import json

from playwright.sync_api import expect

ALICE, BOB = 0, 1
BOTH = [ALICE, BOB]


def pane(page, index):
    return page.locator(".pane").nth(index)


def state(page, index):
    return pane(page, index).locator(".state")


def is_connected(page, index):
    expect(state(page, index)).to_have_text("Connected")


def titles(page, index):
    """Titles in the user's list, newest first."""
    return pane(page, index).locator("carillon-list carillon-item [part~=title]")


def shows(page, index, expected):
    expect(titles(page, index)).to_have_text(expected)


def badge(page, index):
    return pane(page, index).locator("carillon-bell [part~=badge]").first


def publish(page, to, title=None, **fields):
    form = page.locator("#publish")
    form.locator("[name=to]").select_option(to)
    form.locator("details").evaluate("(each) => { each.open = true }")
    for name, value in {"title": title, **fields}.items():
        if value is not None:
            form.locator(f"[name={name}]").fill(str(value))
    form.get_by_role("button", name="Publish", exact=True).click()
    count = fields.get("count", 1)
    expect(form.locator(".done")).to_contain_text(f"Published {count} of {count}")


def frames(page, index):
    """The texts of the frames, newest first."""
    return pane(page, index).locator(".frames code").all_inner_texts()


def frame(page, index, text):
    """Waits for the one frame with that text, and returns it."""
    found = pane(page, index).locator(".frames li").filter(has_text=text)
    expect(found).to_have_count(1)
    return found


def whole_frame(one):
    """Opens a frame, and returns its JSON."""
    one.locator("summary").click()
    # The browser dispatches the event that fills it later than the click.
    expect(one.locator("pre")).not_to_be_empty()
    return json.loads(one.locator("pre").inner_text())


def plug(page, index):
    pane(page, index).locator(".switch").click()
