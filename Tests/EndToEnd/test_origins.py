"""RFC 6455, 10.2: the origins of the pages that a browser may connect from."""

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH
from harness.raw import RawConnection, RawWebSocket, exchange, upgrade_request
from harness.tokens import user_token

OURS = ["https://ours.com", "http://ours.com:8080"]
ORIGINS = [
    ("https://ours.com", True),
    ("http://ours.com:8080", True),
    ("HTTPS://OURS.COM", True),  # Scheme and host are case-insensitive (RFC 6454, 4).
    (None, True),  # Not a browser: a command-line client sends none.
    ("null", False),
    ("NULL", False),
    ("", False),
    ("https://evil.com", False),
    ("https://evil-ours.com", False),
    ("https://evilours.com", False),
    ("https://ours.com.evil", False),
    ("https://ours.com.evil.com", False),
    ("https://ours.com-evil.com", False),
    ("https://sub.ours.com", False),
    ("https://ours.com.", False),
    ("https://ours.co", False),
    ("https://ours.comm", False),
    ("http://ours.com", False),
    ("https://ours.com:8080", False),
    ("https://ours.com:443", False),
    ("https://ours.com:444", False),
    ("http://ours.com:80", False),
    ("http://ours.com:80800", False),
    ("http://ours.com:08080", False),
    ("http://ours.com:8080.evil.com", False),
    ("https://ours.com/", False),
    ("https://ours.com?", False),
    ("https://ours.com@evil.com", False),
    ("https://user@ours.com", False),
    ("https://evil.com#https://ours.com", False),
    ("https://evil.com/https://ours.com", False),
    ("https://ours.com\\.evil.com", False),
    ("https://ours.com%2eevil.com", False),
    ("https:ours.com", False),
    ("https:///ours.com", False),
    ("https://ours.com, https://evil.com", False),
    ("https://ours.com https://evil.com", False),
    ("wss://ours.com", False),
    ("ours.com", False),
    ("*", False),
    ("file://", False),
    ("http://localhost:3000", False),  # Allowed only where no origins are listed.
]
assert len(ORIGINS) >= 40


def status_of(server, request):
    with RawConnection(server) as connection:
        connection.send(request)
        return int(connection.read_until(b"\r\n\r\n").split(b" ")[1])


@pytest.mark.parametrize("path", [EVENT_PATH, FLAT_PATH])
def test_a_foreign_page_is_refused_before_the_upgrade(make_server, path):
    # Case 53.
    server = make_server(environment={"WEBSOCKET_CORS_ORIGINS": ",".join(OURS)})
    target = f"{path}?token={user_token('u')}"
    for origin, is_ours in ORIGINS:
        headers = [] if origin is None else [("Origin", origin)]
        status = status_of(server, upgrade_request(target, headers=headers))
        assert status == (101 if is_ours else 403), (origin, status)
    own = [("Origin", f"http://127.0.0.1:{server.port}")]
    hosted = [("Host", f"127.0.0.1:{server.port}"), *own]
    assert status_of(server, upgrade_request(target, drop=("Host",), headers=hosted)) == 101
    both = [("Origin", OURS[0]), ("Origin", "https://evil.com")]
    for headers in (both, both[::-1], both[:1] * 2):
        answer = exchange(server, upgrade_request(target, headers))
        assert answer.status in (400, 403), answer


def test_a_cookie_is_no_authentication(make_server):
    # Case 53: a browser sends cookies by itself, so they prove nothing, from any page.
    server = make_server(environment={"WEBSOCKET_CORS_ORIGINS": ",".join(OURS)})
    for name in ("token", "access_token", "Authorization", "jwt", "session"):
        cookie = ("Cookie", f"{name}={user_token('u')}")
        for origin, is_ours in ((OURS[0], True), ("https://evil.com", False)):
            headers = [cookie, ("Origin", origin)]
            status = status_of(server, upgrade_request(FLAT_PATH, headers))
            assert status == (401 if is_ours else 403), (name, origin)
            if is_ours:
                with RawWebSocket(server, EVENT_PATH, headers) as connection:
                    connection.expect_close(4001)
            else:
                assert status_of(server, upgrade_request(EVENT_PATH, headers)) == 403
