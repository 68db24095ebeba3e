"""The board's main loop: config, Wi-Fi, clock, connection, a reading every interval, and again for ever.

Everything it does is other files' work; here is the order, what happens after each error, and what feeds the watchdog.
Modules that are needed now and then only (setup, prepare, commands, error texts ...) are loaded for that moment and
forgotten.
"""

from ._port import const, forget, ticks_add, ticks_diff, ticks_ms

# Waits are cut into pieces, so that `stop` is asked at least once a second.
_PIECE_MS = const(1000)
# Before deep sleep, how long a command that waited at the server may take to come.
_LISTEN_MS = const(500)


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

    kept: counters from before a reset. The other parts become attributes. config: a `Config`. client: a `Client`.
    outbox: an `Outbox`. readings: a `Readings`. uptime: an `Uptime`, which is the log, too. stop: a function, True ends
    the loop. feed: the watchdog's, called at each progress. root: folder in front of file names. cause: why the board
    started, for the next message.
    """

    def __init__(self, kept, **parts):
        from .setup import begin

        for name, part in parts.items():
            setattr(self, name, part)
        begin(self, kept)

    def run(self):
        """Connect and publish until `stop()` is True or Ctrl-C; an error means a wait and a new attempt."""
        drain = True
        try:
            while not self.over():
                try:
                    from .prepare import connect

                    connect(self)
                    forget("prepare")
                    while not self.over():
                        self._step()
                except Exception as e:
                    from .recovery import recover

                    recover(self, e)
                    forget("recovery")
        except KeyboardInterrupt:
            self.log("stopped by Ctrl-C")
            drain = False  # it may have come between the bytes of a packet: nothing more can be read
        from .recovery import goodbye

        goodbye(self, drain)

    def over(self):
        """Return whether the loop is to end."""
        return self.end is not None or self.stop()

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
        if not self.healthy:
            from .start import healthy

            self.healthy = True
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

    def published(self, payload):
        """Log payload (bytes), which was acknowledged, or of a backlog one in a hundred."""
        self.older += 1
        if self.outbox.empty() or self.older > 99:
            older = " and %d older" % (self.older - 1) if self.older > 1 else ""
            self.log("published %s%s" % (payload.decode()[:200], older))
            self.older = 0

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
            "refused": self.refused,
            "too_large": self.client.dropped,
            "failures": self.failures,
            "subscribed": self.subscribed,
            "seq": self.readings.seq,
        }

    def command(self, _, message):
        """Run the command in message (bytes), whose topic is the only one there is."""
        try:
            from .commands import run
            from .orders import Orders

            if self.client.retained:
                raise ValueError("retained: it would come again at each start")
            self.log(run(message, Orders(self)))
        except ValueError as e:
            self.refused += 1
            self.log("command refused: %s" % e)
        except MemoryError:
            self.refused += 1
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
