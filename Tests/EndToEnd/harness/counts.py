"""The expected counts of an inbox: a model that follows the operations, and a recount of rows."""

import sqlite3
from pathlib import Path

PRIORITIES = ["low", "normal", "high", "urgent"]


class InboxModel:
    """A model of an inbox that keeps every state of its counts, in order.

    Counts are (total, unread, unseen, unread of each priority).
    """

    def __init__(self):
        # id: [priority, is unread, is unseen]
        self.rows, self.history = {}, [(0,) * 7]

    @property
    def counts(self):
        return self.history[-1]

    def _record(self):
        unread = [row for row in self.rows.values() if row[1]]
        unseen = sum(row[2] for row in self.rows.values())
        each = [sum(row[0] == name for row in unread) for name in PRIORITIES]
        self.history.append((len(self.rows), len(unread), unseen, *each))

    def publish(self, id, priority):
        self.rows[id] = [priority, True, True]
        self._record()

    def change(self, name, ids):
        """Applies one operation to some rows; one that changes no row adds no state."""
        before = len(self.rows), [list(row) for row in self.rows.values()]
        for id in ids:
            row = self.rows.get(id)
            if row is None:
                continue
            if name == "read":
                row[1:] = False, False
            elif name == "unread":
                row[1] = True
            elif name == "seen":
                row[2] = False
            else:
                del self.rows[id]
        if before != (len(self.rows), [list(row) for row in self.rows.values()]):
            self._record()


def counts_in(data):
    """Reads the counts from `stats` or from the answer to a change."""
    each = data["by_priority"]
    assert list(each) == PRIORITIES
    return data["total"], data["unread"], data["unseen"], *each.values()


def count_from(dialect, message):
    """Returns the counts in a message of a dialect: all of them, only the unread count, or None."""
    if dialect.name == "event":
        return counts_in(message["data"]) if message["event"] == "stats:updated" else None
    if dialect.name == "inbox":
        return message.get("unreadCount")
    return message["data"]["count"] if message["type"] == "unread_count" else None


def as_shown(dialect, counts):
    """Returns these counts in the form of a dialect."""
    return counts if dialect.name == "event" else counts[1]


def recount(directory, users):
    """Counts these users' rows in the database of a stopped server."""
    database = sqlite3.connect(f"file:{Path(directory) / 'carillon.db'}?mode=ro", uri=True)
    try:
        return {
            user: counted([*own_rows(database, user), *shared_rows(database, user)])
            for user in users
        }
    finally:
        database.close()


def counted(rows):
    """Returns the counts over rows of (priority, time of reading, time of seeing)."""
    unread = [priority for priority, read_at, _ in rows if read_at is None]
    unseen = sum(read_at is None and seen_at is None for _, read_at, seen_at in rows)
    return len(rows), len(unread), unseen, *(unread.count(number) for number in range(4))


def own_rows(database, user):
    return database.execute(
        "SELECT priority, read_at, seen_at FROM notification"
        " JOIN user ON user.key = notification.user WHERE user.id = ?",
        (user,),
    ).fetchall()


def shared_rows(database, user):
    """Yields the notifications for everyone, as this user's marks and states show them."""
    key, read, seen, deleted = database.execute(
        "SELECT key, everyone_read_through, everyone_seen_through, everyone_deleted_through"
        " FROM user WHERE id = ?",
        (user,),
    ).fetchone() or (None, 0, 0, 0)
    states = {
        offset: state
        for offset, *state in database.execute(
            "SELECT offset, read_at, seen_at, is_deleted FROM everyone_state WHERE user = ?", (key,)
        )
    }
    for offset, priority in database.execute("SELECT offset, priority FROM everyone").fetchall():
        # A row in `everyone_state` overrides the marks. Without one, each mark covers all
        # offsets up to it.
        read_at, seen_at, is_deleted = states.get(
            offset,
            (0 if offset <= read else None, 0 if offset <= seen else None, offset <= deleted),
        )
        if not is_deleted:
            yield priority, read_at, seen_at
