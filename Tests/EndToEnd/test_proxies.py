"""Requests through proxies: the client's address in limits, lists and logs, and local callers."""

import json

import pytest

from harness.clients import EVENT_PATH, FLAT_PATH
from harness.raw import RawConnection, RawWebSocket, exchange
from harness.server import run_carillon
from harness.tokens import SECRET, user_token
from harness.waiting import wait_until

CLIENT = "203.0.113.9"
HOP = ("X-Forwarded-For", f"198.51.100.1, {CLIENT}")
WARNING = "is not in --trusted-proxies"
TRUSTING = ["--trusted-proxies", "127.0.0.0/8, 10.0.0.0/8"]


def connections(server, user):
    path = "/api/v1/websocket/connections/user"
    return server.request("GET", path, user_token(user)).data["connections"]


def metrics(server, *fields):
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields)
    request = f"GET /metrics HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n"
    return exchange(server, request.encode()).status


def test_lists_and_logs_have_the_address_of_a_trusted_proxys_client(make_server, fresh_user):
    server = make_server(arguments=TRUSTING, environment={"LOG_LEVEL": "debug"})
    user = fresh_user()
    target = f"{FLAT_PATH}?token={user_token(user)}"
    with RawWebSocket(server, target, [HOP]):
        (one,) = connections(server, user)
        assert one["remote_address"] == CLIENT
    with RawWebSocket(server, f"{EVENT_PATH}?token=x.y.z", [HOP]) as refused:
        refused.expect_close(4002)

    def lines(about):
        return [line for line in server.log().splitlines() if about in line]

    for about in (" began: ", " ended after ", "credential refused"):
        wait_until(about, lambda about=about: lines(about))
        assert all(line.endswith(CLIENT) for line in lines(about)), lines(about)
    assert WARNING not in server.log()


def test_an_untrusted_header_changes_no_address_and_is_logged_once(make_server, fresh_user):
    server, user = make_server(arguments=["--shards", "2"]), fresh_user()
    target = f"{FLAT_PATH}?token={user_token(user)}"
    with RawWebSocket(server, target, [HOP]):
        (one,) = connections(server, user)
        assert one["remote_address"] == "127.0.0.1"
    for _ in range(10):
        assert metrics(server, HOP) == 401
    assert server.log().count(WARNING) == 1
    assert "a request from 127.0.0.1 has a forwarding header" in server.log()


@pytest.mark.parametrize("arguments", [[], TRUSTING])
def test_metrics_are_for_direct_callers_on_this_machine(make_server, arguments):
    server = make_server(arguments=arguments)
    assert metrics(server) == 200
    for field in ("Forwarded: for=127.0.0.1", "X-Real-IP: 127.0.0.1", "X-Forwarded-For: 127.0.0.1"):
        assert metrics(server, tuple(field.split(": "))) == 401
    # The address of a client is not taken from its own header.
    assert metrics(server, ("X-Forwarded-For", f"127.0.0.1, {CLIENT}")) == 401


def test_a_limit_is_each_clients_own_behind_a_trusted_proxy(make_server):
    server = make_server(arguments=[*TRUSTING, "--connections-per-address", "3"])
    open_connections = []

    def ask(client):
        connection = RawConnection(server)
        open_connections.append(connection)
        head = f"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: {client}\r\n\r\n"
        connection.send(head.encode())
        return connection.read_answer().status

    try:
        assert [ask(CLIENT) for _ in range(4)] == [200, 200, 200, 429]
        assert ask("203.0.113.10") == 200
    finally:
        for connection in open_connections:
            connection.close()


def test_a_proxy_header_names_the_client(make_server, fresh_user):
    server, user = make_server(arguments=TRUSTING), fresh_user()
    with RawConnection(server) as connection:
        connection.send(f"PROXY TCP4 {CLIENT} 192.0.2.1 4711 80\r\n".encode())
        connection.send(
            f"GET /api/v1/websocket/connections/user HTTP/1.1\r\nHost: x\r\n"
            f"Authorization: Bearer {user_token(user)}\r\n\r\n".encode()
        )
        assert connection.read_answer().status == 200
        connection.send(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert connection.read_answer().status == 401
    untrusting = make_server()
    line = f"PROXY TCP4 {CLIENT} 192.0.2.1 4711 80\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    refused = exchange(untrusting, line.encode())
    assert refused.status == 400 and "--trusted-proxies" in refused.error["message"]


def test_the_setting_is_shown_and_a_mistake_is_refused():
    def check(*arguments, **environment):
        given = {"JWT_SECRET": SECRET, **environment}
        return run_carillon("check", "--json", *arguments, environment=given)

    def shown(*arguments, **environment):
        return json.loads(check(*arguments, **environment).stdout)["settings"]["trusted-proxies"]

    assert shown() == {"value": "none", "source": "default"}
    given = shown(CARILLON_TRUSTED_PROXIES="10.0.0.0/8,::1")
    assert given == {"value": "10.0.0.0/8,::1", "source": "CARILLON_TRUSTED_PROXIES"}
    for entry in ("10.0.0.1/8", "proxy.local", "10.0.0.0/33", "*"):
        done = check("--trusted-proxies", f"::1,{entry}")
        assert done.returncode == 2 and not done.stdout
        assert f"--trusted-proxies: '{entry}' is no address and no network" in done.stderr
