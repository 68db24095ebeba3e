"""The board's main loop: config, Wi-Fi, clock, connection, a reading every interval, and again for ever.

Everything it does is other files' work; here is the order, and what happens after each error. Modules that are needed
now and then only (config, wifi, clock, error texts) are loaded for that moment and forgotten.
"""

import gc

from . import errors
from ._port import const, forget, random_below, sleep_ms, ticks_add, ticks_diff, ticks_ms
from .backoff import STABLE_MS, Backoff

# Waits are cut into pieces, so that `stop` is asked at least once a second.
_PIECE_MS = const(1000)
_SYNC_AGAIN_MS = const(86400000)


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

    config: a `Config`. client: a `Client`. prepare: brings up network and clock; its argument tells whether the clock
    is known to be good. readings: a `Readings`. backoff: a `Backoff`. log: takes a line. uptime: an `Uptime`.
    stop: a function, True ends the loop. sleep_ms: seam.
    """

    def __init__(self, config, client, *, prepare, readings, backoff, log, uptime, stop, sleep_ms=sleep_ms):
        self._config = config
        self._client = client
        self._prepare = prepare
        self._readings = readings
        self._backoff = backoff
        self._log = log
        self._uptime = uptime
        self._stop = stop
        self._sleep_ms = sleep_ms
        self._connected_at_ms = None
        self._sync_at_ms = 0
        self._clock_good = False

    def run(self):
        """Connect and publish until `stop()` is True or Ctrl-C; an error means a wait and a new attempt."""
        try:
            while not self._stop():
                try:
                    self._connect()
                    self._publish_for_ever()
                except Exception as e:
                    self._recover(e)
        except KeyboardInterrupt:
            self._log("stopped by Ctrl-C")
        self._goodbye()

    def _connect(self):
        began_ms = self._uptime.ms()
        if self._clock_good and began_ms < self._sync_at_ms:
            self._prepare(None)
        else:
            self._prepare(self._clock_good)
            self._clock_good = True
            self._sync_at_ms = began_ms + _SYNC_AGAIN_MS
        session = self._client.connect()
        self._connected_at_ms = self._uptime.ms()
        self._log("connected to %s%s" % (self._config.endpoint, ", session kept" if session else ""))

    def _publish_for_ever(self):
        interval_ms = self._config.interval_s * 1000
        due = ticks_ms()
        while not self._stop():
            left_ms = ticks_diff(due, ticks_ms())
            if left_ms <= 0:
                self._publish()
                # From the last due time, not from now: no drift. After a long stop from now: nothing is made up.
                due = ticks_add(due, interval_ms) if left_ms > -interval_ms else ticks_add(ticks_ms(), interval_ms)
                left_ms = max(ticks_diff(due, ticks_ms()), 0)
            self._client.wait(min(self._client.keep_alive(), left_ms, _PIECE_MS))

    def _publish(self):
        payload = self._readings.payload()
        self._client.publish(self._config.topic, payload, False, self._config.qos)
        self._log("published " + payload[:200])

    def _recover(self, error):
        """Log error, close, and wait as long as the error and the time connected call for."""
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
        self._log("%s: %s" % (type(error).__name__, error))
        forget("faults", "causes")
        wait_ms = self._backoff.delay_ms(refused, connected_ms)
        self._log("next attempt in %d.%d s" % (wait_ms // 1000, wait_ms % 1000 // 100))
        while wait_ms > 0 and not self._stop():
            piece_ms = min(wait_ms, _PIECE_MS)
            self._sleep_ms(piece_ms)
            wait_ms -= piece_ms

    def _goodbye(self):
        if self._connected_at_ms is None:
            return
        try:
            self._client.disconnect()
            self._log("disconnected")
        except errors.Mqtt443Error as e:
            self._log("disconnect: %s" % e)


def run(path="config.json", root="", stop=None, write=print):
    """Run the board with the config in the file root + path; what main.py calls.

    root: folder in front of file names. stop: a function, True ends the loop. write: takes one line of the log.
    Returns True after a clean end, False if the config cannot be used: one line says why, nothing is tried again.
    """
    uptime = Uptime()

    def log(text):
        ms = uptime.ms()
        write("[%5d.%03d] %s" % (ms // 1000, ms % 1000, text))

    try:
        config, client = _from_config(root, path)
    except (errors.ConfigError, errors.NoAlpn) as e:
        log(str(e))
        return False
    transport = client.transport
    log("transport %s: %s" % (transport.name, transport.why))

    def prepare(clock_good):
        if config.wifi_ssid is not None:
            import network

            from .wifi import join

            join(network, config.wifi_ssid, config.wifi_password)
        if clock_good is not None:
            from .clock import rtc_setter, set_clock

            http = transport.connect_http
            set_clock(config.ntp_server, config.endpoint, http, log, sure=clock_good, set_rtc=rtc_setter())
        forget("wifi", "clock", "http")

    from .readings import Readings, own_readings, user_sensors

    read = user_sensors() or (lambda: own_readings(uptime.ms))
    gc.collect()
    App(
        config,
        client,
        prepare=prepare,
        readings=Readings(read),
        backoff=Backoff(random_below),
        log=log,
        uptime=uptime,
        stop=stop or (lambda: False),
    ).run()
    return True


def _from_config(root, path):
    """Return (Config, Client) made from the config file, its modules forgotten again."""
    from .config import load

    config = load(root + path)
    forget("config")
    if config.wifi_ssid is not None:
        try:
            import network  # noqa: F401 (only whether it is there)
        except ImportError:
            raise errors.ConfigError("wifi: this board has no module network; leave wifi out")
    from .client import Client
    from .transport import Transport

    return config, Client(config, Transport(config, root))
