"""The `ntptime` module, without the network: the host's clock is the time server, whatever the board's own says.

Keys of world.json: `ntp_offset_s` (how far the server is off), `ntp_error` (the query raises OSError with it).
"""

import time as _time

import _world
import machine

host = "pool.ntp.org"
timeout = 1


def time():
    """Return the server's time in seconds since this port's epoch."""
    error = _world.look("ntp_error", None)
    if error is not None:
        raise OSError(error)
    return int(_time.time()) - _world.clock_offset_s() + _world.look("ntp_offset_s", 0)


def settime():
    """Set the real-time clock to the server's time."""
    year, month, day, hour, minute, second = _time.gmtime(time())[:6]
    machine.RTC().datetime((year, month, day, 0, hour, minute, second, 0))
