"""Notifications for everyone: publishing them, and reading their titles in any dialect."""

from harness.server import API_KEY

INBOX = "/api/v1/notifications"


def publish_for_everyone(server, title="for everyone", over=None, headers=None, **fields):
    body = {"audience": "everyone", "type": "info", "title": title, **fields}
    answer = server.request("POST", INBOX, body=body, key=API_KEY, over=over, headers=headers)
    assert answer.status == 201, answer
    return answer.data


def title_of(frame):
    """Returns the title of the notification in a frame of any dialect, or None."""
    for part in (frame, frame.get("data"), frame.get("notification")):
        if isinstance(part, dict) and "title" in part:
            return part["title"]
    return None


def next_titles(tab, count):
    """Returns the titles of the next `count` notifications."""
    titles = []
    while len(titles) < count:
        title = title_of(tab.next())
        if title is not None:
            titles.append(title)
    return titles
