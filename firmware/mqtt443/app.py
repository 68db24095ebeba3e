"""The board's main loop: config, Wi-Fi, clock, connection, a reading every interval, and again for ever.

Everything it does is other files' work; here is the order, what happens after each error, and what feeds the watchdog.
Modules that are needed now and then only (setup, prepare, commands, error texts ...) are loaded for that moment and
forgotten.
"""

from . import errors
from ._port import const, forget, sleep_ms, ticks_add, ticks_diff, ticks_ms
from .sender import Sender

# Waits are cut into pieces, so that `stop` is asked at least once a second.
_PIECE_MS = const(1000)
_SYNC_AGAIN_MS = const(86400000)
# Before deep sleep, how long a command that waited at the server may take to come.
_LISTEN_MS = const(500)
# So many failures in a row are not Wi-Fi's word against ours any more: it is restarted though it says it is up.
_DISTRUST = const(3)
# A server that closes at SUBSCRIBE so many times has no commands for this board, and telemetry is worth more.
_SUBSCRIBE_TRIES = const(2)


class Uptime:
    """Time since this object was made, past the wrap of the tick counter (12 days on ESP32); the log's clock, too.

    write: takes one line of the log.
    """

    def __init__(self, write=print, ticks=ticks_ms):
        self._write = write
        self._ticks = ticks
        self._last = ticks()
        self._ms = 0

    def ms(self):
        """Return the uptime in milliseconds; to be asked at least once every six days."""
        now = self._ticks()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms

    def log(self, text):
        """Write a line with the uptime in front."""
        ms = self.ms()
        self._write("[%5d.%03d] %s" % (ms // 1000, ms % 1000, text))


class App:
    """One board. `run()` sets one up from config.json; tests pass their own parts.

    config: a `Config`. client: a `Client`. outbox: an `Outbox`. readings: a `Readings`. backoff: a `Backoff`.
    uptime: an `Uptime`, which is the log, too. stop: a function, True ends the loop. feed: the watchdog's, called at
    each progress. root: folder in front of file names. cause: why the board started, for the next message. kept:
    counters from before a reset. prepare, sleep_ms: seams.
    """

    def __init__(
        self, config, client, outbox, readings, *, backoff, uptime, stop, feed, root, cause, kept, prepare=None,
        sleep_ms=sleep_ms,
    ):  # fmt: skip
        self.config = config
        self.client = client
        self.outbox = outbox
        self.readings = readings
        self.backoff = backoff
        self.uptime = uptime
        self.log = uptime.log
        self.stop = stop
        self.feed = feed
        self.root = root
        self.cause = cause
        self.prepare = prepare
        self.sleep_ms = sleep_ms
        self.sender = Sender(client, outbox, config, self._published)
        self.interval_ms = config.interval_s * 1000
        self.due = ticks_ms()
        self.connected_at_ms = None
        self._sync_at_ms = 0
        self.saved_at_ms = None
        self.clock_good = False
        self._healthy = False
        self.end = None  # why the loop is to end: a reset's cause, or "" for deep sleep
        self._subscribe = _SUBSCRIBE_TRIES if config.commands else 0
        self._subscribed = kept.get("subscribed", 0)
        self._refused = kept.get("refused", 0)
        self.failures = kept.get("failures", 0)
        self._older = 0  # published and not told of
        outbox.dropped = kept.get("dropped", 0)
        outbox.expired = kept.get("expired", 0)
        readings.seq = kept.get("seq", 0)
        readings.link = self.link
        for _ in range(min(self.failures, 9)):
            backoff.delay_ms(True)
            backoff.delay_ms(False)
        client.set_callback(self._command)

    def run(self):
        """Connect and publish until `stop()` is True or Ctrl-C; an error means a wait and a new attempt."""
        try:
            while not self.over():
                try:
                    self._connect()
                    while not self.over():
                        self._step()
                except Exception as e:
                    from .recovery import recover

                    recover(self, e)
                    forget("recovery")
        except KeyboardInterrupt:
            self.log("stopped by Ctrl-C")
        from .recovery import goodbye

        goodbye(self)

    def over(self):
        """Return whether the loop is to end."""
        return self.end is not None or self.stop()

    def _connect(self):
        prepare = self.prepare
        if not prepare:
            from .prepare import prepare
        began_ms = self.uptime.ms()
        sync = not self.clock_good or began_ms >= self._sync_at_ms
        prepare(self, sync, self.clock_good, self.failures >= _DISTRUST)
        forget("prepare")
        if sync:
            self.clock_good = True
            self._sync_at_ms = began_ms + _SYNC_AGAIN_MS
        session = self.client.connect()
        self.feed()
        self.connected_at_ms = self.uptime.ms()
        self.log("connected to %s%s" % (self.config.endpoint, ", session kept" if session else ""))
        self.sender.begin(session)
        if self._subscribe and not (session and self._subscribed):
            try:
                self.client.subscribe("commands/" + self.config.client_id, 1)
            except (errors.SubscribeRefused, errors.ConnectionLost) as e:
                self._subscribe -= e.closed or e.slow  # AWS refuses by closing; a reset is the network's
                if not self._subscribe:
                    self.log("no commands: the server does not let this board subscribe to commands/<client id>")
                raise
            self._subscribe = _SUBSCRIBE_TRIES
            self._subscribed = 1
        self.failures = 0

    def _step(self):
        """Do what is due on a connection that is up, then wait for what comes next."""
        left_ms = min(self.measure(), _PIECE_MS)
        again_ms = self.sender.pump()
        if again_ms is not None:
            left_ms = min(left_ms, again_ms)
        left_ms = min(self.client.keep_alive(), left_ms)
        drained = self.config.deep_sleep and self.outbox.empty()
        came = self.client.wait(_LISTEN_MS if drained else left_ms)
        # Progress: something came, or nothing is owed. What is owed has its deadline, and that raises.
        if came or not (self.outbox.flying or self.client.pinged):
            self.progress()
        if drained and not came and self.end is None:
            self.end = ""

    def progress(self):
        """Feed the watchdog; from the first time on, this start is none that crashed."""
        self.feed()
        if not self._healthy:
            from .start import healthy

            self._healthy = True
            healthy()
            forget("start", "state", "files")

    def measure(self):
        """Take a reading if one is due; return how many ms are left to the next."""
        left_ms = ticks_diff(self.due, ticks_ms())
        if left_ms <= 0:
            payload = self.readings.payload()
            self.feed()
            self.outbox.put(payload.encode(), self.config.ttl_s)
            if self.connected_at_ms is None:
                self.log("kept " + payload[:200])
            # From the last due time, not from now: no drift. After a long stop from now: nothing is made up.
            now = ticks_ms()
            self.due = ticks_add(self.due if left_ms > -self.interval_ms else now, self.interval_ms)
            left_ms = max(ticks_diff(self.due, now), 0)
        return left_ms

    def _published(self, payload):
        self._older += 1
        if self.outbox.empty() or self._older > 99:
            older = " and %d older" % (self._older - 1) if self._older > 1 else ""
            self.log("published %s%s" % (payload.decode()[:200], older))
            self._older = 0

    def link(self):
        """Return what the next message tells of the link, by name: what was lost, and why the board started."""
        facts = {}
        for name, count in self.counters().items():
            if count and name not in ("seq", "subscribed"):
                facts[name] = count
        if self.cause:
            facts["started"] = self.cause
            self.cause = None
        return facts

    def counters(self):
        """Return what is counted and outlives deep sleep, by name."""
        return {
            "dropped": self.outbox.dropped,
            "expired": self.outbox.expired,
            "refused": self._refused,
            "too_large": self.client.dropped,
            "failures": self.failures,
            "subscribed": self._subscribed,
            "seq": self.readings.seq,
        }

    def _command(self, _, message):
        try:
            from .commands import run
            from .orders import Orders

            if self.client.retained:
                raise ValueError("retained: it would come again at each start")
            self.log(run(message, Orders(self)))
        except ValueError as e:
            self._refused += 1
            self.log("command refused: %s" % e)
        except MemoryError:
            self._refused += 1
        forget("commands", "orders")


def run(path="config.json", root="", stop=None, write=print):
    """Run the board with the config in the file root + path; what main.py calls.

    root: folder in front of file names. stop: a function, True ends the loop. write: takes one line of the log.
    Returns True after a clean end, False if the board stays at the prompt: one line says why, nothing is tried again.
    """
    from .setup import make

    app = make(path, root, stop, Uptime(write))
    del make
    forget("setup", "start", "state", "files", "config", "causes")
    if app:
        app.run()
    from .setup import finish

    finish(app)
    return app is not None
