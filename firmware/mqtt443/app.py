"""The board's main loop: connects, takes a reading every interval, publishes, and recovers from every error.

`App` owns all state of a running board. What is rarely needed (connecting, commands, recovery, saving) lives in modules
that are imported in a `phase()` and return what they found; only App assigns to its attributes. `boot` makes the App.
"""

from ._port import const, phase, random_below, sleep_ms, ticks_add, ticks_diff, ticks_ms, unix_time
from .sender import Sender

_LISTEN_MS = const(500)  # before deep sleep, for a command that the server has kept
_SYNC_AGAIN_MS = const(86400000)  # the clock is set once a day


class Uptime:
    """Time since this object was made, past the wrap of the tick counter (12 days on ESP32). Also the log.

    write: takes one line of the log. ticks: a millisecond counter.
    """

    def __init__(self, write=print, ticks=ticks_ms):
        self.write = write
        self._ticks = ticks
        self._last = ticks()
        self._ms = 0

    def ms(self):
        """Return the uptime in milliseconds; call it at least once every six days."""
        now = self._ticks()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms

    def log(self, text, rest=""):
        """Write a line: the uptime, text and rest."""
        ms = self.ms()
        self.write("[%5d.%03d] %s%s" % (ms // 1000, ms % 1000, text, rest))


class App:
    """One board: its state and its loop.

    config: a `Config`. client: a `Client`. outbox: an `Outbox`. readings: a `Readings`. uptime: an `Uptime`.
    handlers: the user's functions by command name. root: folder in front of file names. cause: why the board started,
    for the next message, or None. restored: counters from before a reset, by name. interval_s: seconds between
    readings, None for the one in the config. stop: a function; the loop ends when it returns True. feed: feeds the
    watchdog. ticks, sleep, random, now: seams for the millisecond counter, for waiting (ms), for a random integer below
    a limit, and for unix time in seconds. path: of config.json, behind root. trial_s: seconds that whatever is on trial
    has to get a message acknowledged, or None.
    """

    PIECE_MS = 1000  # waits are cut into pieces, so that `stop` is asked at least once a second
    SLEEP = 0  # a value of `shutdown`: end with deep sleep until the next reading

    def __init__(
        self,
        config,
        client,
        outbox,
        readings,
        uptime,
        *,
        handlers=None,
        root="",
        cause=None,
        restored=None,
        interval_s=None,
        stop=bool,  # bool() is False
        feed=int,
        ticks=ticks_ms,
        sleep=sleep_ms,
        random=random_below,
        now=unix_time,
        path="config.json",
        trial_s=None,
    ):
        restored = restored or {}
        self.config = config
        self.client = client
        self.outbox = outbox
        self.readings = readings
        self.uptime = uptime
        self.sender = Sender(client, outbox, config, self.note_published, ticks)
        self.handlers = {} if handlers is None else handlers  # the same dict: commands may be registered later
        self.root = root
        self.path = path
        self.stop = stop
        self.feed = feed
        self.ticks = ticks
        self.sleep = sleep
        self.random = random
        self.now = now
        self.news = {"started": cause} if cause else {}  # reported once, in the next message, by name
        self.interval_ms = (interval_s or config.interval_s) * 1000
        self.next_reading_at = ticks()  # tick
        # No attempt to connect before this tick: the rest of a wait that deep sleep interrupted.
        self.retry_at = ticks_add(ticks(), restored.get("wait_s", 0) * 1000)
        self.connected_at_ms = None  # uptime at CONNACK; None while there is no connection
        self.saved_at_ms = None  # uptime when readings were last saved to flash; None for never
        self.next_sync_ms = 0  # uptime at which the clock is set again
        self.clock_ok = False  # the clock was set; None: a certificate contradicts it
        self.boot_ok = False  # this start no longer counts as a crash
        self.shutdown = None  # why the loop ends: None (it does not), SLEEP, or the reason for a reset
        self.backoff = None  # a `Backoff`, made at the first error
        self.jobs_waiting = False  # a job may be pending, or something is on trial
        self.trial_end_ms = trial_s and uptime.ms() + trial_s * 1000  # on trial until this uptime; None: no trial
        self.unreported = 0  # messages acknowledged since the last log line about it
        self.subscribed = restored.get("subscribed", 0)  # 1 for commands, 2 for jobs, refusals: see command_context
        self.refused = restored.get("refused", 0)  # commands that the board refused, messages that the server refused
        self.failures = restored.get("failures", 0)  # failed connections in a row
        outbox.dropped = restored.get("dropped", 0)
        outbox.expired = restored.get("expired", 0)
        readings.seq = restored.get("seq", 0)
        readings.link = self.link
        client.set_callback(self.receive)

    def run(self):
        """Connect and publish until `stop()` is True or Ctrl-C; after an error wait, then connect again."""
        drain = True
        try:
            if self.config.deep_sleep and ticks_diff(self.retry_at, self.ticks()) > 0:
                self.take_reading_if_due()
                self.shutdown = self.SLEEP
            while not self.should_stop():
                try:
                    self._connect()
                    while not self.should_stop():
                        self.step()
                        if self.jobs_waiting:
                            with phase():
                                from .jobs import run

                                self.jobs_waiting = run(self)
                except Exception as e:
                    try:
                        self._recover(e)
                    except MemoryError:  # a reset gives it back
                        self.shutdown = "out of memory"
        except KeyboardInterrupt:
            self.log("stopped by Ctrl-C")
            drain = False  # it may have come in the middle of a packet, so nothing more can be read
        with phase():
            from .power import leave

            leave(self, drain)

    def log(self, text):
        """Write a line of the log."""
        self.uptime.log(text)

    def should_stop(self):
        """Return whether the loop must end."""
        return self.shutdown is not None or self.stop()

    def _connect(self):
        began_ms = self.uptime.ms()
        sync = not self.clock_ok or began_ms >= self.next_sync_ms
        with phase():
            from .network import up

            up(self, sync)
        if sync:
            self.clock_ok = True
            self.next_sync_ms = began_ms + _SYNC_AGAIN_MS
        session = self.client.connect()
        self.feed()
        self.connected_at_ms = self.uptime.ms()
        kept = ", session kept" if session else ""
        self.log("connected to %s%s%s" % (self.config.endpoint, kept, self.client.notice))
        self.sender.begin(session)
        wanted = self.config.commands + 2 * self.config.updates
        if wanted and not (session and self.subscribed & 3 == wanted):
            with phase():
                from .command_context import subscribe

                self.subscribed, error = subscribe(self)
            if error:
                raise error
        self.jobs_waiting = self.subscribed & 2 or self.trial_end_ms is not None
        self.failures = 0

    def step(self):
        """Do what is due on an established connection, then wait for input or the next task."""
        left_ms = min(self.take_reading_if_due(), self.PIECE_MS)
        again_ms = self.sender.pump()
        if again_ms is not None:
            left_ms = min(left_ms, again_ms)
        left_ms = min(self.client.keep_alive(), left_ms)
        drained = self.config.deep_sleep and self.outbox.empty()
        came = self.client.wait(_LISTEN_MS if drained else left_ms)
        # Progress means that data arrived or no answer is pending. A pending answer has its own deadline, which raises.
        if came or not (self.outbox.in_flight or self.client.pinged):
            self.feed_watchdog()
        if drained and not came and self.shutdown is None and not self.jobs_waiting:
            self.shutdown = self.SLEEP

    def feed_watchdog(self):
        """Feed the watchdog. The first call also clears the crash counter."""
        self.feed()
        if not self.boot_ok:
            self.boot_ok = True
            with phase():
                from .power import mark_boot_ok

                mark_boot_ok()

    def take_reading_if_due(self):
        """Queue a reading if one is due; return the milliseconds left to the next."""
        left_ms = ticks_diff(self.next_reading_at, self.ticks())
        if left_ms <= 0:
            payload = self._take_reading()
            self.feed()
            if payload and self.connected_at_ms is None:
                self.log("kept " + payload.decode()[:200])
            # From the last due time: no drift. After a long stop from now: missed readings are not made up.
            now = self.ticks()
            on_time = left_ms > -self.interval_ms
            self.next_reading_at = ticks_add(self.next_reading_at if on_time else now, self.interval_ms)
            left_ms = max(ticks_diff(self.next_reading_at, now), 0)
        return left_ms

    def _take_reading(self):
        """Queue a reading and return its payload; without memory for it, count it as lost and return None."""
        failure = None
        for _ in range(2):
            try:
                payload = self.readings.payload(failure)
                self.accept(payload)
                self.news = {}
                return payload
            except MemoryError:
                payload, failure = None, "MemoryError: no room for this message"
        self.outbox.dropped += 1
        return None

    def accept(self, payload):
        """Queue payload (bytes). Raises MemoryError if there is no memory to send it."""
        self.client.reserve(len(self.sender.topic) + len(payload))
        self.outbox.put(payload, self.config.ttl_s)

    def note_published(self, payload, refusal=None):
        """Log payload (bytes), which the server acknowledged or refused; of a backlog, one in a hundred."""
        self.unreported += 1
        if refusal:
            self.refused += 1
        if self.outbox.empty() or self.unreported > 99:
            older = " and %d older" % (self.unreported - 1) if self.unreported > 1 else ""
            if len(payload) > 200:
                end = 200
                while payload[end] & 0xC0 == 0x80:  # never in the middle of a character
                    end -= 1
                payload = payload[:end]
            self.uptime.log("%s " % refusal if refusal else "published ", payload.decode() + older)
            self.unreported = 0

    def link(self):
        """Return what the next message reports under "link": losses, why the board started, and the last job."""
        facts, outbox = dict(self.news), self.outbox
        # Asked for every message, and usually there is nothing to report, so no dict of counters is made.
        if outbox.dropped or outbox.expired or self.refused or self.client.discarded or self.failures:
            for name, count in self.counters().items():
                if count and name not in ("seq", "subscribed"):
                    facts[name] = count
        return facts

    def counters(self):
        """Return the counters that survive a reset and deep sleep, by name."""
        return {
            "dropped": self.outbox.dropped,
            "expired": self.outbox.expired,
            "refused": self.refused,
            "too_large": self.client.discarded,
            "failures": self.failures,
            "subscribed": self.subscribed,
            "seq": self.readings.seq,
        }

    def receive(self, topic, message):
        """Run the command in message, or note that a job waits. topic, message: bytes."""
        if topic[:1] == b"$":
            self.jobs_waiting = True
            return
        try:
            with phase():
                from .command_context import execute

                self.refused, self.interval_ms, self.next_reading_at, self.shutdown = execute(self, message)
        except MemoryError:  # an error would end the connection, and the command would come again
            self.refused += 1

    def _recover(self, error):
        """Log error, close, and wait as long as the error requires; readings continue meanwhile."""
        self.client.close()
        connected_ms = 0 if self.connected_at_ms is None else self.uptime.ms() - self.connected_at_ms
        self.connected_at_ms = None
        with phase():
            from .reconnect import plan, wait

            wait_ms, self.backoff, self.clock_ok, self.failures, self.shutdown = plan(self, error, connected_ms)
            self.retry_at = ticks_add(self.ticks(), wait_ms)
            self.saved_at_ms = wait(self, wait_ms)
