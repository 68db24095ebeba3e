"""What a command may do to an `App`. Loaded with `commands`, for that moment."""

import json

from . import __version__, state
from ._port import forget, ticks_add, ticks_ms, timestamp, unix_time


class Orders:
    """The board as `commands.run` sees it. app: an `App`."""

    def __init__(self, app):
        self.app = app

    def set_interval(self, seconds):
        """Take a reading every so many seconds, also after a restart; None: as config.json says."""
        app = self.app
        path = app.root + "state"
        values = state.load(path, app.log)
        values["interval_s"] = seconds
        try:
            state.save(path, values)
        except OSError as e:
            app.log("state: %s" % e)
        forget("state", "files")
        app.interval_ms = (seconds or app.config.interval_s) * 1000
        app.due = ticks_add(ticks_ms(), app.interval_ms)

    def send_now(self):
        """Take a reading at once."""
        self.app.due = ticks_ms()

    def answer(self, request_id, key, value):
        """Queue a message of its own: value (that JSON can hold) under key.

        request_id: of the command, by which its sender knows the answer; None for a command without one.
        """
        message = {"time": timestamp(unix_time()), key: value}
        if request_id:
            message["request_id"] = request_id
        self.app.outbox.put(json.dumps(message).encode(), self.app.config.ttl_s)

    def report(self):
        """Return what there is to know about this board, its secrets apart."""
        app = self.app
        facts = app.counters()
        facts["version"] = __version__
        facts["transport"] = app.client.transport.name
        facts["uptime_s"] = app.uptime.ms() // 1000
        facts["interval_s"] = app.interval_ms // 1000
        return facts

    def restart(self, cause):
        """Reset the board once this command is acknowledged."""
        self.app.end = cause
