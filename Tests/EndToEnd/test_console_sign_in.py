"""Signing in to the operator's console, in Chromium."""

import re

from playwright.sync_api import expect

from harness.console import is_live, sign_in
from harness.pages import assert_fit, open_own_page, wait_for
from harness.tokens import publisher_token, user_token
from harness.waiting import wait_until


def test_only_a_publisher_can_sign_in(open_console):
    # The browser logs an error for each rejected sign-in.
    page = open_console(signs_in=False, unreachable=True)
    error = page.locator("#sign-in-error")
    for token, words in [
        ("nonsense", "does not accept this token"),
        (publisher_token(ttl=-3_600), "does not accept this token"),
        (user_token("alice"), "not a publisher token"),
    ]:
        sign_in(page, token)
        expect(error).to_contain_text(words)
        expect(page.locator("#board")).to_be_hidden()
        assert page.evaluate("sessionStorage.length") == 0
    assert_fit(page)
    sign_in(page, publisher_token())
    expect(page.locator("#board")).to_be_visible()


def test_a_late_answer_to_an_earlier_sign_in_changes_nothing(open_console, server):
    page = open_console(signs_in=False, unreachable=True)
    held = []
    page.route("**/users/online*", lambda route: held.append(route), times=1)
    sign_in(page, "nonsense")
    wait_until("the first sign-in waits for its answer", lambda: page.evaluate("1") and held)
    # Until the answer comes, the form takes no second token.
    expect(page.get_by_label("Publisher token")).to_be_disabled()
    token = publisher_token()
    page.evaluate("(token) => { location.hash = `token=${token}`; }", token)
    expect(page.locator("#board")).to_be_visible()
    with page.expect_response(lambda response: response.status == 401) as refused:
        held[0].continue_()
    assert refused.value.finished() is None
    # A later request of the page has its answer after the refused one.
    page.evaluate("fetch('/healthz').then((response) => response.text())")
    expect(page.locator("#board")).to_be_visible()
    assert page.evaluate("sessionStorage.getItem('carillon-console-token')") == token


def test_a_link_signs_in_and_leaves_no_token_in_the_address(open_console, server):
    requested = []
    token = publisher_token()
    page = open_console(signs_in=False, fragment=f"#token={token}")
    expect(page.locator("#board")).to_be_visible()
    expect(page.locator("#gate")).to_be_hidden()
    expect(page).to_have_url(f"{server.url}/console")
    page.context.on("request", lambda request: requested.append(request.url))
    page.reload()
    expect(page.locator("#board")).to_be_visible()
    # By then the page has made each of its requests.
    is_live(page)
    expect(page.locator("#online-total")).to_have_text(re.compile(r"^\d+$"))
    assert any(url.endswith("/stream") for url in requested)
    assert not any(token in url for url in requested)


def test_a_link_opened_in_the_console_replaces_the_token(open_console, server):
    page = open_console()
    other = publisher_token(user="another-publisher")
    page.goto(f"{server.url}/console#token={other}")
    wait_for(page, f"() => Object.values(sessionStorage).includes('{other}')")
    expect(page).to_have_url(f"{server.url}/console")
    expect(page.locator("#board")).to_be_visible()
    page.goto(f"{server.url}/console#token=nonsense")
    expect(page.locator("#sign-in-error")).to_contain_text("does not accept this token")
    page.said[:] = [each for each in page.said if "the server responded with" not in each]
    assert page.evaluate("sessionStorage.length") == 0


def test_the_token_stays_in_the_tab_and_out_of_the_address(open_console, server):
    page = open_console()
    is_live(page)
    expect(page).to_have_url(f"{server.url}/console")
    page.reload()
    expect(page.locator("#board")).to_be_visible()
    assert page.evaluate("localStorage.length") == 0
    assert page.context.cookies() == []
    # Another tab of the same browser asks for the token again.
    other = open_own_page(page.context, "/console", server=server)
    expect(other.locator("#gate")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#gate")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0
    page.reload()
    expect(page.locator("#gate")).to_be_visible()
    expect(page.get_by_label("Publisher token")).to_have_value("")
