"""What a board measures, as the JSON of one message; a sensor that fails is named in it and stops nothing else.

The user's `sensors.py` has a function `read() -> dict`. A value may be a function: it is called by itself, so that
one sensor's exception costs that reading alone. Without the file the board reports on itself.
"""

import gc
import json

from ._port import const, timestamp, unix_time

_MAX_DEPTH = const(5)
_MAX_BYTES = const(100000)  # AWS takes 131,072 (General Reference, AWS IoT Core); the rest is for `errors`
_RESERVED = ("time", "seq", "link", "errors")


def own_readings(uptime_ms):
    """Return the board's own readings, functions by name: those that this chip and interpreter have.

    uptime_ms: a function.
    """
    readings = {"uptime_s": lambda: uptime_ms() // 1000}
    if hasattr(gc, "mem_free"):
        readings["heap_free_bytes"] = gc.mem_free
    try:
        import network

        wlan = network.WLAN(network.STA_IF)
        if wlan.isconnected():
            readings["wifi_rssi_dbm"] = lambda: wlan.status("rssi")
    except (ImportError, AttributeError):
        pass  # no Wi-Fi here
    try:
        import esp32

        if hasattr(esp32, "mcu_temperature"):  # S2, S3, C3, C6
            readings["chip_temperature_c"] = esp32.mcu_temperature
        elif hasattr(esp32, "raw_temperature"):  # the first ESP32, in Fahrenheit
            readings["chip_temperature_c"] = lambda: round((esp32.raw_temperature() - 32) / 1.8, 1)
    except ImportError:
        pass  # no chip
    return readings


def user_sensors():
    """Return the function `read` of sensors.py on the board's root, or None if there is no such file.

    A file that cannot be imported or has no `read` gives a function that raises that error.
    """
    try:
        import sensors

        return sensors.read
    except BaseException as e:  # SystemExit, too
        if isinstance(e, KeyboardInterrupt):
            raise
        # Only the file's own absence is no error; a module that it misses is one.
        if isinstance(e, ImportError) and "'sensors'" in str(e):
            return None
        error = e

    def read():
        raise error

    return read


def reader(uptime_ms):
    """Return the function `read` of sensors.py, or one that gives the board's own readings; uptime_ms: a function."""
    return user_sensors() or (lambda: own_readings(uptime_ms))


class Readings:
    """Makes the payloads.

    read: a function -> dict of names to values or functions. link: a function -> dict that JSON can hold, of what there
    is to tell about the link. now: seam, unix seconds. seq: number of the last message; the next has one more.
    """

    def __init__(self, read, link, now=unix_time, seq=0):
        self.read = read
        self.link = link
        self.now = now
        self.seq = seq

    def payload(self):
        """Return the next message as JSON text: time (ISO 8601 UTC), seq, the readings, link if there is something
        to tell of it, and errors if there are any.

        Never raises for what a sensor does.
        """
        self.seq += 1
        errors = {}
        try:
            values = self.read()
            if not isinstance(values, dict):
                raise ValueError("read() must return a dict")
        except BaseException as e:
            values = {}
            errors["sensors"] = _reason(e)
        # Put together by hand: a dict has no order on MicroPython, and a person reads this.
        head = text = '{"time": "%s", "seq": %d' % (timestamp(self.now()), self.seq)
        for name in values:
            shown = "(not UTF-8)"
            try:
                shown = _utf8(str(name))
                if name in _RESERVED or not isinstance(name, str):
                    raise ValueError("not a name for a reading")
                value = values[name]
                if callable(value):
                    value = value()
                _check(value, _MAX_DEPTH)
                text += ", %s: %s" % (json.dumps(name), json.dumps(value))
            except BaseException as e:
                errors[shown] = _reason(e)
        if len(text.encode()) > _MAX_BYTES:
            text = head
            errors = {"sensors": "too much for one message"}
        link = self.link()
        if link:
            text += ', "link": ' + json.dumps(link)
        if errors:
            text += ', "errors": ' + json.dumps(errors)
        return text + "}"


def _reason(error):
    """Return what the user's code raised, as text for a message; raise KeyboardInterrupt again."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    name = type(error).__name__
    try:
        return _utf8("%s: %s" % (name, error))[:100]
    except Exception:
        return name  # its text fails as well


def _utf8(text):
    """Return text; raise ValueError if it is not UTF-8: MicroPython takes any bytes from a source file."""
    return str(text.encode(), "utf-8")


def _check(value, depth):
    """Raise ValueError for what JSON (RFC 8259) cannot hold; MicroPython's json writes it all the same."""
    if not depth:
        raise ValueError("nested too deep")
    # By exact type: MicroPython's json prints a namedtuple by its name.
    kind = type(value)
    if kind is dict:
        for key in value:
            if type(key) is not str:
                raise ValueError("a name must be text")
            _check(key, 1)
            _check(value[key], depth - 1)
    elif kind in (list, tuple):
        for item in value:
            _check(item, depth - 1)
    elif kind is str:
        _utf8(value)
    elif kind is float:
        if value - value != 0:  # NaN and the infinities
            raise ValueError("not a number")
    elif value is not None and kind not in (int, bool):
        raise ValueError("%s does not go into JSON" % kind.__name__)
