"""Sessions on every shard: the kernel deals connections out, so a test asks until all have one."""

import re

from harness.tokens import user_token

HUB = "/api/v1/websocket"


def sessions_by_shard(server):
    """How many sessions each shard has."""
    found = re.findall(r'carillon_sessions\{shard="\d+"\} (\d+)', server.metrics())
    return [int(count) for count in found]


def spread(stack, open_one, server, most=100):
    """Opens clients until every shard has two sessions; they are closed with `stack`."""
    opened = []
    while min(sessions_by_shard(server)) < 2:
        assert len(opened) < most, "the kernel gives one shard nothing"
        opened.append(stack.enter_context(open_one()))
    return opened


def own_connections(server, user, over=None):
    """The user's connections, as it is told of them itself."""
    path = f"{HUB}/connections/user"
    return server.request("GET", path, user_token(user), over=over).data["connections"]
