"""One command and the board: what it may ask for, and what then changes. Imported on demand.

`commands` knows the commands. A command only tells this context what it wants: a restart at once would come before the
PUBACK of its command, and the command would then come again after every reset.
"""

import json

from ._port import VERSION, const, phase, ticks_add, timestamp

# A server that refuses SUBSCRIBE this often has no commands for this board; telemetry is worth more.
_SUBSCRIBE_TRIES = const(2)


def subscribe(app):
    """Subscribe to the commands of this board; return (subscribed, subscribe_refusals, error).

    app: an `App`. The first two are its attributes of those names, as they are from now on; error ends the connection.
    """
    refusals = app.subscribe_refusals
    if refusals >= _SUBSCRIBE_TRIES:
        return app.subscribed, refusals, None
    try:
        app.client.subscribe("commands/" + app.config.client_id, 1)
        return 1, 0, None
    except OSError as e:
        # AWS refuses by closing in order; a reset comes from the network.
        if getattr(e, "closed", False) or getattr(e, "is_refusal", False):
            refusals += 1
        if refusals == _SUBSCRIBE_TRIES:
            app.log("no commands: the server does not let this board subscribe to commands/<client id>")
        return app.subscribed, refusals, e


def execute(app, message):
    """Run the command in message (bytes); return (refused, interval_ms, next_reading_at, shutdown).

    app: an `App`. The result holds its attributes of those names, as they are from now on.
    """
    context = CommandContext(app)
    refused = app.refused
    try:
        if app.client.retained:
            raise ValueError("retained: it would come again at each start")
        from .commands import run

        app.log(run(message, context))
    except ValueError as e:
        refused += 1
        app.log("command refused: %s" % e)
    return refused, context.interval_ms, context.next_reading_at, context.shutdown


class CommandContext:
    """The board as `commands.run` sees it. app: an `App`."""

    def __init__(self, app):
        self._app = app
        self.handlers = app.handlers
        self.interval_ms = app.interval_ms
        self.next_reading_at = app.next_reading_at
        self.shutdown = app.shutdown

    def answer(self, request_id, key, value):
        """Publish a message of its own: value (that JSON can hold) under key.

        request_id: of the command, by which its sender knows the answer; None for a command without one.
        """
        message = {"time": timestamp(self._app.now()), key: value}
        if request_id:
            message["request_id"] = request_id
        self._app.outbox.put(json.dumps(message).encode(), self._app.config.ttl_s)

    def set_interval(self, seconds):
        """Take a reading every that many seconds, also after a restart; None: as config.json says."""
        app = self._app
        with phase():
            from .storage import load_state, save_state

            path = app.root + "state"
            values = load_state(path, app.log)
            values["interval_s"] = seconds
            try:
                save_state(path, values)
            except OSError as e:
                app.log("state: %s" % e)
        self.interval_ms = (seconds or app.config.interval_s) * 1000
        self.next_reading_at = ticks_add(app.ticks(), self.interval_ms)

    def send_now(self):
        """Take a reading at once."""
        self.next_reading_at = self._app.ticks()

    def restart(self, reason):
        """Reset the board once this command is acknowledged."""
        self.shutdown = reason

    def report(self):
        """Return what there is to know about this board, its secrets excepted."""
        app = self._app
        facts = app.counters()
        facts["version"] = VERSION
        facts["transport"] = app.client.transport.name
        facts["uptime_s"] = app.uptime.ms() // 1000
        facts["interval_s"] = app.interval_ms // 1000
        return facts
