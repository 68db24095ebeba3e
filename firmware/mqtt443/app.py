"""The board's main loop: config, Wi-Fi, clock, connection, a reading every interval, and again for ever.

Everything it does is other files' work; here is the order, what happens after each error, and what feeds the watchdog.
Modules that are needed now and then only (config, wifi, clock, commands, error texts ...) are loaded for that moment
and forgotten.
"""

import gc
import json

from . import __version__, errors
from ._port import const, forget, random_below, sleep_ms, ticks_add, ticks_diff, ticks_ms, timestamp, unix_time
from .backoff import STABLE_MS, Backoff

# Waits are cut into pieces, so that `stop` is asked at least once a second.
_PIECE_MS = const(1000)
_SYNC_AGAIN_MS = const(86400000)
# Readings in memory go to flash at most so often while the link is down: flash wears, and a power cut costs no more.
_SAVE_AGAIN_MS = const(60000)
# Before deep sleep, how long a command that waited at the server may take to come.
_LISTEN_MS = const(500)
_DRAIN_MS = const(2000)
# So many failures in a row are not Wi-Fi's word against ours any more: it is restarted though it says it is up.
_DISTRUST = const(3)
# A server that closes at SUBSCRIBE so many times has no commands for this board, and telemetry is worth more.
_SUBSCRIBE_TRIES = const(2)
_AT_THE_PROMPT_S = const(3600)


class Uptime:
    """Time since this object was made, past the wrap of the tick counter (12 days on ESP32)."""

    def __init__(self, ticks=ticks_ms):
        self._ticks = ticks
        self._last = ticks()
        self._ms = 0

    def ms(self):
        """Return the uptime in milliseconds; to be asked at least once every six days."""
        now = self._ticks()
        self._ms += ticks_diff(now, self._last)
        self._last = now
        return self._ms


class App:
    """One board. `run()` sets one up from config.json; tests pass their own parts.

    config: a `Config`. client: a `Client`. outbox: an `Outbox`. prepare: brings up network and clock; its arguments
    tell whether the clock is known to be good (None: leave it), and whether to distrust a Wi-Fi that says it is up.
    readings: a `Readings`. backoff: a `Backoff`. log: takes a line. uptime: an `Uptime`. stop: a function, True ends
    the loop. feed: the watchdog's, called at each progress. root: folder in front of file names. cause: why the board
    started, for the next message. kept: counters from before a reset. sleep_ms: seam.
    """

    def __init__(
        self, config, client, outbox, *, prepare, readings, backoff, log, uptime, stop, feed, root, cause, kept,
        sleep_ms=sleep_ms,
    ):  # fmt: skip
        from .sender import Sender

        self._config = config
        self._client = client
        self._outbox = outbox
        self._prepare = prepare
        self._readings = readings
        self._backoff = backoff
        self._log = log
        self._uptime = uptime
        self._stop = stop
        self._feed = feed
        self._root = root
        self._cause = cause
        self._sleep_ms = sleep_ms
        self._sender = Sender(client, outbox, config, self._published)
        self._interval_ms = config.interval_s * 1000
        self._due = ticks_ms()
        self._connected_at_ms = None
        self._sync_at_ms = 0
        self._saved_at_ms = -_SAVE_AGAIN_MS
        self._clock_good = False
        self._healthy = False
        self._end = None  # why the loop is to end: a reset's cause, or "" for deep sleep
        self._subscribe = _SUBSCRIBE_TRIES if config.commands else 0
        self._subscribed = kept.get("subscribed", 0)
        self._refused = kept.get("refused", 0)
        self._failures = kept.get("failures", 0)
        self._older = 0  # published and not told of
        outbox.dropped = kept.get("dropped", 0)
        outbox.expired = kept.get("expired", 0)
        readings.seq = kept.get("seq", 0)
        for _ in range(min(self._failures, 9)):
            backoff.delay_ms(True)
            backoff.delay_ms(False)
        client.set_callback(self._command)

    def run(self):
        """Connect and publish until `stop()` is True or Ctrl-C; an error means a wait and a new attempt."""
        try:
            while not self._over():
                try:
                    self._connect()
                    while not self._over():
                        self._step()
                except Exception as e:
                    self._recover(e)
        except KeyboardInterrupt:
            self._log("stopped by Ctrl-C")
        self._goodbye()

    def _over(self):
        return self._end is not None or self._stop()

    def _connect(self):
        began_ms = self._uptime.ms()
        distrust = self._failures >= _DISTRUST
        if self._clock_good and began_ms < self._sync_at_ms:
            self._prepare(None, distrust)
        else:
            self._prepare(self._clock_good, distrust)
            self._clock_good = True
            self._sync_at_ms = began_ms + _SYNC_AGAIN_MS
        session = self._client.connect()
        self._feed()
        self._connected_at_ms = self._uptime.ms()
        self._log("connected to %s%s" % (self._config.endpoint, ", session kept" if session else ""))
        self._sender.begin(session)
        if self._subscribe and not (session and self._subscribed):
            try:
                self._client.subscribe("commands/" + self._config.client_id, 1)
            except (errors.SubscribeRefused, errors.ConnectionLost):
                self._subscribe -= 1
                if not self._subscribe:
                    self._log("no commands: the server does not let this board subscribe to commands/<client id>")
                raise
            self._subscribe = _SUBSCRIBE_TRIES
            self._subscribed = 1
        self._failures = 0

    def _step(self):
        """Do what is due on a connection that is up, then wait for what comes next."""
        left_ms = min(self._measure(), _PIECE_MS)
        again_ms = self._sender.pump()
        if again_ms is not None:
            left_ms = min(left_ms, again_ms)
        left_ms = min(self._client.keep_alive(), left_ms)
        drained = self._config.deep_sleep and self._outbox.empty()
        came = self._client.wait(_LISTEN_MS if drained else left_ms)
        # Progress: something came, or nothing is owed. What is owed has its deadline, and that raises.
        if came or not (self._outbox.flying or self._client.pinged):
            self._progress()
        if drained and not came and self._end is None:
            self._end = ""

    def _progress(self):
        self._feed()
        if not self._healthy:
            from .start import healthy

            self._healthy = True
            healthy()
            forget("start", "state", "files")

    def _measure(self):
        """Take a reading if one is due; return how many ms are left to the next."""
        left_ms = ticks_diff(self._due, ticks_ms())
        if left_ms <= 0:
            payload = self._readings.payload()
            self._feed()
            self._outbox.put(payload.encode(), self._config.ttl_s)
            if self._connected_at_ms is None:
                self._log("kept " + payload[:200])
            # From the last due time, not from now: no drift. After a long stop from now: nothing is made up.
            now = ticks_ms()
            self._due = ticks_add(self._due if left_ms > -self._interval_ms else now, self._interval_ms)
            left_ms = max(ticks_diff(self._due, now), 0)
        return left_ms

    def _published(self, payload):
        self._older += 1
        if self._outbox.empty() or self._older > 99:
            older = " and %d older" % (self._older - 1) if self._older > 1 else ""
            self._log("published %s%s" % (payload.decode()[:200], older))
            self._older = 0

    def link(self):
        """Return what the next message tells of the link, by name: what was lost, and why the board started."""
        facts = {}
        for name, count in self._counters().items():
            if count and name not in ("seq", "subscribed"):
                facts[name] = count
        if self._cause:
            facts["started"] = self._cause
            self._cause = None
        return facts

    def _counters(self):
        return {
            "dropped": self._outbox.dropped,
            "expired": self._outbox.expired,
            "refused": self._refused,
            "too_large": self._client.dropped,
            "failures": self._failures,
            "subscribed": self._subscribed,
            "seq": self._readings.seq,
        }

    # What a command may do; see `commands`.

    def _command(self, _, message):
        try:
            from .commands import run

            self._log(run(message, self))
        except ValueError as e:
            self._refused += 1
            self._log("command refused: %s" % e)
        except MemoryError:
            self._refused += 1
        forget("commands")

    def set_interval(self, seconds):
        """Take a reading every so many seconds, also after a restart; None: as config.json says."""
        from . import state

        path = self._root + "state"
        values = state.load(path, self._log)
        values["interval_s"] = seconds
        try:
            state.save(path, values)
        except OSError as e:
            self._log("state: %s" % e)
        forget("state", "files")
        self.use_interval(seconds)
        self._due = ticks_add(ticks_ms(), self._interval_ms)

    def use_interval(self, seconds):
        """As set_interval, for this run."""
        self._interval_ms = (seconds or self._config.interval_s) * 1000

    def send_now(self):
        """Take a reading at once."""
        self._due = ticks_ms()

    def post(self, values):
        """Queue a message of its own: values (a dict that JSON can hold) under "report"."""
        report = {"time": timestamp(unix_time()), "report": values}
        self._outbox.put(json.dumps(report).encode(), self._config.ttl_s)

    def report(self):
        """Return what there is to know about this board, its secrets apart."""
        facts = self._counters()
        facts["version"] = __version__
        facts["transport"] = self._client.transport.name
        facts["uptime_s"] = self._uptime.ms() // 1000
        facts["interval_s"] = self._interval_ms // 1000
        return facts

    def restart(self, cause):
        """Reset the board once this command is acknowledged."""
        self._end = cause

    # After an error, and at the end.

    def _recover(self, error):
        """Log error, close, and wait as long as the error and the time connected call for; readings go on."""
        self._client.close()
        connected_ms = 0
        if self._connected_at_ms is not None:
            connected_ms = self._uptime.ms() - self._connected_at_ms
            self._connected_at_ms = None
        if isinstance(error, (errors.ClockError, errors.CertificateExpired)):
            self._clock_good = False
        # Anything that is not ours is a mistake in the program, or no memory: a board in the field goes on, later.
        refused = getattr(error, "slow", True)
        # A server that accepts and soon closes in order refuses what the board does (AWS: policy too small).
        if getattr(error, "closed", False) and connected_ms < STABLE_MS:
            refused = True
        text = "%s: %s" % (type(error).__name__, error)
        self._log(text)
        forget("faults", "causes")
        self._failures += 1
        wait_ms = self._backoff.delay_ms(refused, connected_ms)
        # A server that answers, and refuses, is no reason: a reset cannot mend that.
        if not isinstance(error, errors.Refused) and self._failures == self._config.reset_after:
            self._end = "%d failures; %s" % (self._failures, text[:100])
            self._failures = 0
        elif self._config.deep_sleep:
            self._measure()
            self._due = ticks_add(ticks_ms(), max(ticks_diff(self._due, ticks_ms()), wait_ms))
            self._end = ""
        else:
            self._log("next attempt in %d.%d s" % (wait_ms // 1000, wait_ms % 1000 // 100))
        while wait_ms > 0 and not self._over():
            piece_ms = min(max(self._measure(), 1), wait_ms, _PIECE_MS)
            self._save()
            self._sleep_ms(piece_ms)
            wait_ms -= piece_ms
            self._progress()

    def _save(self):
        now_ms = self._uptime.ms()
        if now_ms - self._saved_at_ms >= _SAVE_AGAIN_MS and self._outbox.unsaved():
            self._saved_at_ms = now_ms
            self._outbox.save()

    def _goodbye(self):
        if self._connected_at_ms is not None:
            try:
                left_ms = _DRAIN_MS
                while self._outbox.flying and left_ms > 0:
                    self._sender.pump()
                    self._client.wait(100)
                    left_ms -= 100
                self._client.disconnect()
                self._log("disconnected")
            except errors.Mqtt443Error as e:
                self._log("disconnect: %s" % e)
        self._outbox.save()
        if self._end is None:
            return
        from .ending import deep_sleep, reset

        if self._end:
            self._log("reset: " + self._end)
            reset(self._root, self._end, self._counters(), self._log)
        else:
            left_ms = max(ticks_diff(self._due, ticks_ms()), 1000)
            self._log("asleep for %d s" % (left_ms // 1000))
            deep_sleep(left_ms, self._counters())
        self._log("not possible here")


def run(path="config.json", root="", stop=None, write=print):
    """Run the board with the config in the file root + path; what main.py calls.

    root: folder in front of file names. stop: a function, True ends the loop. write: takes one line of the log.
    Returns True after a clean end, False if the board stays at the prompt: one line says why, nothing is tried again.
    """
    uptime = Uptime()

    def log(text):
        ms = uptime.ms()
        write("[%5d.%03d] %s" % (ms // 1000, ms % 1000, text))

    from . import start, state

    reason, cause, kept = start.begin(root, log)
    if not reason:
        try:
            config, client = _from_config(root, path, log)
            if config.safe_pin is not None and start.pin_held(config.safe_pin):
                reason = "safe mode: pin %d is held. Let go and press RESET" % config.safe_pin
        except (errors.ConfigError, errors.NoAlpn) as e:
            reason = str(e)
    if reason:
        start.healthy()
        log(reason)
        return False
    interval_s = state.load(root + "state", log).get("interval_s")
    transport = client.transport
    log("transport %s: %s" % (transport.name, transport.why))
    forget("start", "state", "files")
    feed = _watchdog(config.watchdog_s)

    def connect():
        feed()  # the search for the time is many connections
        return transport.connect_http()

    def prepare(clock_good, distrust):
        if config.wifi_ssid is not None:
            import network

            from .wifi import join

            join(network, config.wifi_ssid, config.wifi_password, distrust=distrust)
            feed()
        if clock_good is not None:
            from .clock import rtc_setter, set_clock

            set_clock(config.ntp_server, config.endpoint, connect, log, sure=clock_good, set_rtc=rtc_setter())
        forget("wifi", "clock", "http")

    from .outbox import Outbox
    from .readings import Readings, own_readings, user_sensors

    read = user_sensors() or (lambda: own_readings(uptime.ms))
    gc.collect()
    app = App(
        config,
        client,
        Outbox(root + "outbox", config.outbox_bytes, log),
        prepare=prepare,
        readings=Readings(read, lambda: app.link()),  # noqa: PLW0108 (app is made below)
        backoff=Backoff(random_below),
        log=log,
        uptime=uptime,
        stop=stop or (lambda: False),
        feed=feed,
        root=root,
        cause=cause,
        kept=kept,
    )
    if isinstance(interval_s, int):
        app.use_interval(interval_s)
    app.run()
    if config.watchdog_s:
        _watchdog(_AT_THE_PROMPT_S)  # it cannot be stopped, only put off
    from .start import healthy

    healthy()
    return True


def _watchdog(seconds):
    """Start the watchdog, which resets the board after so many seconds without progress; return what feeds it."""
    if seconds:
        try:
            from machine import WDT

            return WDT(timeout=seconds * 1000).feed
        except ImportError:
            pass  # a host without a board around it
    return lambda: None


def _from_config(root, path, log):
    """Return (Config, Client) made from the config file, its modules forgotten again."""
    from .config import load

    config = load(root + path, keep=True)
    forget("config", "files")
    if config.said:
        log(config.said)
    if config.wifi_ssid is not None:
        try:
            import network  # noqa: F401 (only whether it is there)
        except ImportError:
            raise errors.ConfigError("wifi: this board has no module network; leave wifi out")
    from .client import Client
    from .transport import Transport

    return config, Client(config, Transport(config, root))
