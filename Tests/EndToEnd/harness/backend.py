"""HTTP over one kept-alive connection in asyncio, with as little processor time as possible.

It is for tests that send tens of thousands of requests: `aiohttp` would use more of the machine
than the server does.
"""

import asyncio
import json

from harness.server import API_KEY

# Stands for a user in `publish`: every present and future user.
EVERYONE = object()


class Backend:
    """One connection, opened by the first request; one request at a time."""

    def __init__(self, server):
        self.server = server
        self.reader = self.writer = None

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exception):
        if self.writer is not None:
            self.writer.close()

    async def request(self, method, path, token=None, body=b"", kind="application/json"):
        """Returns the status and the body's bytes. Without a token it uses the publisher's key."""
        credentials = f"Authorization: Bearer {token}" if token else f"X-API-Key: {API_KEY}"
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{credentials}\r\n"
        if body:
            head += f"Content-Type: {kind}\r\n"
        if self.writer is None:
            # Connects only now: the server closes a connection that sends no request.
            self.reader, self.writer = await asyncio.open_connection(*self.server.address)
        self.writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        answer = await self.reader.readuntil(b"\r\n\r\n")
        status, length = int(answer[9:12]), None
        for line in answer.split(b"\r\n")[1:]:
            if line[:15].lower() == b"content-length:":
                length = int(line[15:])
        return status, await self.reader.readexactly(length)

    async def change(self, method, path, token, body=None):
        """Sends a user's request, which must succeed; returns its data."""
        sent = b"" if body is None else json.dumps(body).encode()
        status, answer = await self.request(method, path, token, sent)
        assert status == 200, (method, path, status, answer)
        return json.loads(answer)["data"]

    async def publish(self, users, title, **fields):
        """Publishes to one user (a string), several (a list) or everyone; returns the id or ids."""
        name = "user_ids" if isinstance(users, list) else "user_id"
        to = {name: users} if users != EVERYONE else {"audience": "everyone"}
        body = json.dumps({**to, "type": "info", "title": title, **fields}).encode()
        status, answer = await self.request("POST", "/api/v1/notifications", body=body)
        assert status == 201, (status, answer)
        data = json.loads(answer)["data"]
        return data["ids"] if isinstance(users, list) else data["id"]

    async def publish_batch(self, lines):
        """Publishes the objects in `lines` as one batch; returns the ids in their order."""
        status, answer = await self.request(
            "POST",
            "/api/v1/notifications/batch",
            body="".join(json.dumps(line) + "\n" for line in lines).encode(),
            kind="application/x-ndjson",
        )
        assert status == 200, (status, answer)
        answered = [json.loads(line) for line in answer.splitlines()]
        assert all(line["success"] for line in answered), answered
        return [line["data"]["id"] for line in answered]
