"""The console's page: signing in, its figures, and the lookup of a user."""

from playwright.sync_api import expect


def sign_in(page, token):
    page.get_by_label("Publisher token").fill(token)
    page.get_by_label("Publisher token").press("Enter")


def tile(page, name):
    """Returns the figure of the tile with that name."""
    return page.locator(".tile", has=page.locator("dt", has_text=name)).locator(".figure")


def is_live(page):
    expect(page.locator("#feed-state")).to_have_text("Live")


def look_up(page, user):
    page.get_by_label("User id").fill(user)
    page.get_by_role("button", name="Look up").click()
