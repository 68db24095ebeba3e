"""The `machine` module of an ESP32, as far as a board of ours uses it.

Resets, deep sleep and the watchdog are real: the supervisor ends this process and starts it again with the reset cause
that a chip would report. RTC memory outlives all of them but a power cut.

Key of world.json: `pace` (how many times faster than the host the board lives, by libfaketime; what the supervisor
waits for it is that much shorter).
"""

import time

import _ntp  # noqa: F401 - a chip's program asks for the time once it knows its machine
import _world

PWRON_RESET = 1
HARD_RESET = 2
WDT_RESET = 3
DEEPSLEEP_RESET = 4
SOFT_RESET = 5

_RTC_MEMORY_BYTES = 2048  # MICROPY_HW_RTC_USER_MEM_MAX of the ESP32 port


def _host_ms(ms):
    """Return how long the host waits for `ms` of the board's time; 0 stays 0."""
    return -(-ms // _world.look("pace", 1))


def reset_cause():
    """Return why the board started: one of the *_RESET constants."""
    return _world.look("reset_cause", PWRON_RESET)


def unique_id():
    """Return the six bytes of the base MAC address."""
    return b"\x02mq443"


def freq():
    """Return the processor's clock in Hz."""
    return 160_000_000


def reset():
    """Start again with HARD_RESET."""
    _world.tell(b"reset\n")
    _world.wait_for_the_end()


def soft_reset():
    """Start again with SOFT_RESET."""
    _world.tell(b"soft_reset\n")
    _world.wait_for_the_end()


def deepsleep(time_ms=0):
    """Sleep `time_ms` (0: until somebody wakes the board) and start again with DEEPSLEEP_RESET."""
    _world.tell(b"deepsleep %d\n" % _host_ms(time_ms))
    _world.wait_for_the_end()


def lightsleep(time_ms=0):
    """Sleep `time_ms` and continue."""
    time.sleep(time_ms / 1000)


def idle():
    """Give the processor a moment's rest."""
    time.sleep(0.001)


class WDT:
    """A watchdog that the supervisor keeps, so that it fires even when this interpreter is stuck."""

    def __init__(self, id=0, timeout=5000):
        if id != 0:
            raise ValueError("WDT(%d) doesn't exist" % id)
        if timeout <= 0:
            raise ValueError("WDT timeout too short")
        self._line = b"watchdog %d\n" % _host_ms(timeout)
        self.feed()

    def feed(self):
        """Postpone the reset by another `timeout` ms."""
        _world.tell(self._line)


class RTC:
    """The real-time clock. It sets this process's clock where that is libfaketime's, and never the host's."""

    def datetime(self, fields=None):
        """Return or set (year, month, day, weekday, hours, minutes, seconds, microseconds)."""
        if fields is None:
            year, month, day, hour, minute, second, weekday = time.gmtime()[:7]
            return (year, month, day, weekday, hour, minute, second, 0)
        year, month, day, _, hour, minute, second, _ = fields
        wanted_s = _seconds((year, month, day, hour, minute, second))
        _world.move_clock(wanted_s - _seconds(time.gmtime()))
        return None

    def memory(self, data=None):
        """Return or set the memory that outlives deep sleep and resets."""
        if data is None:
            return _world.kept("rtc.bin") or b""
        if len(data) > _RTC_MEMORY_BYTES:
            raise ValueError("buffer too long")
        _world.keep("rtc.bin", bytes(data))
        return None


def _seconds(moment):
    """Return seconds since a fixed day; the civil calendar as a day count, months from March on."""
    year, month, day, hour, minute, second = moment[:6]
    if month < 3:
        year, month = year - 1, month + 12
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day
    return ((days * 24 + hour) * 60 + minute) * 60 + second


class Pin:
    """A pin; its level is what the surroundings say (`pins` in world.json), pulled up otherwise."""

    IN = 1
    OUT = 3
    PULL_UP = 2
    PULL_DOWN = 1

    def __init__(self, id, mode=IN, pull=None, value=None):
        self._id = id
        self._level = 0 if pull == Pin.PULL_DOWN else 1
        if value is not None:
            self._level = value

    def value(self, level=None):
        """Return or set the level, 0 or 1."""
        if level is None:
            return _world.look("pins", {}).get(str(self._id), self._level)
        self._level = 1 if level else 0
        return None

    __call__ = value


def __getattr__(name):
    """Load what few boards need from a file of its own, so that its names take no heap of the others."""
    try:
        return getattr(__import__("_" + name.lower()), name)
    except ImportError:
        raise AttributeError(name) from None
