"""A backend that publishes in the background of a test."""

import threading


class Publisher:
    """Publishes to one user until `stop`, and keeps the published ids."""

    def __init__(self, server, user, **fields):
        self.server, self.user, self.fields, self.ids = server, user, fields, []
        self.stopping = threading.Event()
        self.failure = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        connection = self.server.connection()
        try:
            while not self.stopping.is_set():
                title = f"n {len(self.ids)}"
                published = self.server.publish(self.user, title, over=connection, **self.fields)
                self.ids.append(published["id"])
        except Exception as failure:  # noqa: BLE001 The test's own thread raises it.
            self.failure = failure
        finally:
            connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *exception):
        self.stop()

    def stop(self):
        self.stopping.set()
        self.thread.join(30)
        assert not self.thread.is_alive()
        if self.failure is not None:
            raise self.failure
