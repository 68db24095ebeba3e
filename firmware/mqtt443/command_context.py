"""What a command may ask of the board, and what then changes. Imported on demand.

`commands` knows the commands. A command only tells this context what it wants: an immediate restart would come before
the PUBACK of its command, and the command would come again after every reset.
"""

import json

from . import errors
from ._port import VERSION, const, phase, ticks_add, timestamp
from .readings import TOO_LARGE

# After this many refusals of SUBSCRIBE the board does without that topic; telemetry is worth more.
_SUBSCRIBE_TRIES = const(2)
_NOT_AUTHORIZED = const(0x87)  # reason code of MQTT 5


def subscribe(app):
    """Subscribe to this board's commands and jobs, if its config asks for them; return (subscribed, error).

    app: an `App`. subscribed: the new value of its attribute: 1 for commands plus 2 for jobs, plus 4 for each time that
    the server denied commands, plus 16 for each time that it denied jobs. error: what ends the connection, or None.
    """
    config = app.config
    subscribed = app.subscribed & ~3
    for bit, denial, wanted, topic, what in (
        (1, 4, config.commands, "commands/%s", "commands"),
        # Not notify-next: that has the job document, and may be larger than max_message_bytes.
        (2, 16, config.updates, "$aws/things/%s/jobs/notify", "updates"),
    ):
        if not wanted or subscribed // denial & 3 >= _SUBSCRIBE_TRIES:
            continue
        try:
            app.client.subscribe(topic % config.client_id, 1)
            subscribed |= bit
            if bit == 1:  # the server may still deny jobs when the board asks for one
                subscribed &= ~12
        except OSError as e:
            if getattr(e, "code", None) == _NOT_AUTHORIZED and not isinstance(e, errors.ConnectionLost):
                # With MQTT 5 the connection survives the refusal.
                app.log("no %s: %s" % (what, e))
                subscribed = subscribed & ~(3 * denial) | _SUBSCRIBE_TRIES * denial
                continue
            # AWS refuses by an orderly close; a reset comes from the network.
            if getattr(e, "closed", False) or getattr(e, "is_refusal", False):
                subscribed += denial
                if subscribed // denial & 3 == _SUBSCRIBE_TRIES:
                    app.log("no %s: the server does not let this board subscribe to %s" % (what, topic % "<client id>"))
            return subscribed, e
    return subscribed, None


def execute(app, message):
    """Run the command in message (bytes); return (refused, interval_ms, next_reading_at, shutdown).

    app: an `App`. The result holds the new values of its attributes.
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
        self.max_bytes = app.readings.max_bytes
        self.interval_ms = app.interval_ms
        self.next_reading_at = app.next_reading_at
        self.shutdown = app.shutdown

    def answer(self, request_id, key, value):
        """Publish value (that JSON can hold) under key, in a message of its own.

        request_id: of the command, so that its sender recognizes the answer; None for a command without one.
        Raises ValueError for an answer that is too large.
        """
        message = {"time": timestamp(self._app.now()), key: value}
        if request_id:
            message["request_id"] = request_id
        payload = json.dumps(message).encode()
        if len(payload) > self.max_bytes:
            raise ValueError(TOO_LARGE % self.max_bytes)
        self._app.accept(payload)

    def set_interval(self, seconds):
        """Take a reading at this interval in seconds, after a restart too; None: the interval of config.json."""
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
        """Return a report on this board, without its secrets."""
        app = self._app
        facts = app.counters()
        facts["subscribed"] &= 3
        facts["version"] = VERSION
        facts["transport"] = app.client.transport.name
        facts["uptime_s"] = app.uptime.ms() // 1000
        facts["interval_s"] = app.interval_ms // 1000
        return facts
