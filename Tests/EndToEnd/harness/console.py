"""The console's page: signing in, and its figures."""


def sign_in(page, token):
    page.get_by_label("Publisher token").fill(token)
    page.get_by_label("Publisher token").press("Enter")


def tile(page, name):
    """Returns the figure of the tile with that name."""
    return page.locator(".tile", has=page.locator("dt", has_text=name)).locator(".figure")
