"""Sessions on every shard: the kernel picks a shard, so tests open clients until all have some."""

import re

from harness.tokens import user_token

HUB = "/api/v1/websocket"


def sessions_by_shard(server):
    """Returns the number of sessions of each shard."""
    found = re.findall(r'carillon_sessions\{shard="\d+"\} (\d+)', server.metrics())
    return [int(count) for count in found]


def spread(stack, open_one, server, most=100):
    """Opens clients until every shard has two sessions; `stack` closes them."""
    opened = []
    while min(sessions_by_shard(server)) < 2:
        assert len(opened) < most, "the kernel gives one shard no connections"
        opened.append(stack.enter_context(open_one()))
    return opened


def own_connections(server, user, over=None):
    """Returns the user's connections, as the server lists them to the user."""
    path = f"{HUB}/connections/user"
    return server.request("GET", path, user_token(user), over=over).data["connections"]
