"""python-socketio as its documentation shows it: a handler has one parameter for each argument.

So an event with a further argument is an error. `SimpleClient` runs the threaded client.
"""

import asyncio

import pytest
import socketio

from harness.raw import PATIENCE
from harness.tokens import user_token

SPACE = "/notifications"
TRANSPORTS = pytest.mark.parametrize("transports", [None, ["websocket"], ["polling"]], ids=str)


class Notifications(socketio.AsyncClientNamespace):
    """A namespace as a class: the names of its methods are the names of the events."""

    def __init__(self):
        super().__init__(SPACE)
        self.events = asyncio.Queue()

    async def on_unread_count(self, data):
        await self.events.put(("unread_count", data["count"]))

    async def on_notification(self, data):
        await self.events.put(("notification", data["title"]))

    async def on_ping(self):
        await self.events.put(("ping",))


@TRANSPORTS
def test_the_asynchronous_python_socketio_gets_pings_without_arguments(
    make_server, fresh_user, transports
):
    server = make_server(arguments=["--socketio-ping-interval", "300"])
    user = fresh_user()
    expected = {("unread_count", 0), ("notification", "one"), ("unread_count", 1), ("ping",)}

    async def visit():
        client, space = socketio.AsyncClient(), Notifications()
        client.register_namespace(space)
        auth = {"token": user_token(user)}
        await client.connect(server.url, auth=auth, transports=transports, wait_timeout=PATIENCE)
        arrived = [await space.events.get()]
        await asyncio.to_thread(server.publish, user, "one")
        while arrived.count(("ping",)) < 2 or not expected <= set(arrived):
            arrived.append(await space.events.get())
        assert await client.call("subscribe_notifications", namespace=SPACE) == {"success": True}
        await client.disconnect()
        return set(arrived)

    arrived = asyncio.run(asyncio.wait_for(visit(), PATIENCE))
    assert arrived == expected


@TRANSPORTS
def test_the_simple_python_socketio_gets_events_of_one_argument(server, fresh_user, transports):
    user = fresh_user()
    auth = {"token": user_token(user)}
    with socketio.SimpleClient() as client:
        client.connect(
            server.url,
            auth=auth,
            namespace=SPACE,
            transports=transports,
            wait_timeout=PATIENCE,
        )
        assert client.receive(timeout=PATIENCE) == ["unread_count", {"count": 0}]
        server.publish(user, "one")
        received = sorted(client.receive(timeout=PATIENCE) for _ in range(2))
        (first, shown), second = received
        assert (first, shown["title"], second) == (
            "notification",
            "one",
            ["unread_count", {"count": 1}],
        )


def test_the_simple_asynchronous_python_socketio_gets_events_of_one_argument(server, fresh_user):
    user = fresh_user()

    async def visit():
        async with socketio.AsyncSimpleClient() as client:
            await client.connect(
                server.url,
                auth={"token": user_token(user)},
                namespace=SPACE,
                wait_timeout=PATIENCE,
            )
            assert await client.receive(timeout=PATIENCE) == ["unread_count", {"count": 0}]
            await asyncio.to_thread(server.publish, user, "one")
            name, shown = await client.receive(timeout=PATIENCE)
            assert (name, shown["title"]) == ("notification", "one")

    asyncio.run(asyncio.wait_for(visit(), PATIENCE))
