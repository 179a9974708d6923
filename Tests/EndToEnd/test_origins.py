"""RFC 6455, 10.2: the origins of the pages that a browser may connect from."""

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH
from harness.raw import RawConnection, RawWebSocket, exchange, upgrade_request
from harness.server import run_carillon
from harness.tokens import SECRET, user_token

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
    ("https://ours.com:443", True),  # The port of the scheme is filled in.
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


def test_a_refused_page_learns_its_origin_and_the_option(make_server):
    server = make_server(environment={"WEBSOCKET_CORS_ORIGINS": ",".join(OURS)})
    target = f"{FLAT_PATH}?token={user_token('u')}"
    for path in (target, "/socket.io/?EIO=4&transport=websocket"):
        refused = exchange(server, upgrade_request(path, [("Origin", "https://theirs.com")]))
        assert refused.status == 403
        assert "https://theirs.com" in refused.bytes.decode()
        assert "--cors-origins" in refused.bytes.decode()


@pytest.mark.parametrize(
    "entry, remedy",
    [
        ("https://a.example/", "without a path"),
        ("https://a.example/app", "without a path"),
        ("https://user@a.example", "without a path"),
        ("https://*.a.example", "list each one"),
        ("*.a.example", "begins with its scheme"),
        ("a.example", "begins with its scheme"),
        ("a.example:8443", "begins with its scheme"),
        ("null", "begins with its scheme"),
        ("https://münchen.example", "xn--"),
        ("https://a.example:https", "scheme://host:port"),
        ("https://a.example https://b.example", "without a path"),
        ("https://", "scheme://host:port"),
        ("wss://a.example", "http or https"),
    ],
)
def test_an_entry_that_is_the_origin_of_no_page_is_refused_at_start(entry, remedy):
    for arguments, environment, source in (
        (["--cors-origins", f"https://ok.example,{entry}"], {}, "--cors-origins"),
        ([], {"WEBSOCKET_CORS_ORIGINS": entry}, "WEBSOCKET_CORS_ORIGINS"),
    ):
        given = {"JWT_SECRET": SECRET, **environment}
        for command in ("serve", "check"):
            done = run_carillon(command, *arguments, environment=given)
            assert done.returncode == 2 and not done.stdout, done
            assert f"{source}: '{entry}' is the origin of no page: " in done.stderr
            assert remedy in done.stderr


def test_an_entry_in_capitals_or_with_the_port_of_its_scheme_is_the_same_origin(make_server):
    server = make_server(
        environment={"WEBSOCKET_CORS_ORIGINS": "HTTPS://A.Example:443 , ,capacitor://localhost"}
    )
    target = f"{FLAT_PATH}?token={user_token('u')}"
    for origin in ("https://a.example", "capacitor://localhost"):
        request = upgrade_request(target, headers=[("Origin", origin)])
        assert status_of(server, request) == 101, origin


def test_a_page_behind_a_proxy_that_ends_tls_may_connect(make_server):
    server = make_server()
    target = f"{FLAT_PATH}?token={user_token('u')}"
    for origin, host, status in (
        ("https://app.example", "app.example", 101),
        ("https://app.example", "app.example:443", 101),
        ("https://app.example:8443", "app.example:8443", 101),
        ("http://app.example", "app.example", 101),
        ("https://app.example:8443", "app.example", 403),
        ("https://other.example", "app.example", 403),
    ):
        request = upgrade_request(
            target, drop=("Host",), headers=[("Host", host), ("Origin", origin)]
        )
        assert status_of(server, request) == status, (origin, host)


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
