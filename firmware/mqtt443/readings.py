"""The readings of a board as the JSON of one message, which names each failed sensor; the others are not affected.

The user's `sensors.py` has a function `read() -> dict`. A value may be a function: it is called separately, so that one
sensor's exception costs only its own reading. Without the file the board reports on itself. `reason` and `check_json`
contain all errors of the user's code, in commands too.
"""

from io import BytesIO

from ._port import const, phase, timestamp, unix_time, utf8, write_json

MAX_DEPTH = const(5)
_RESERVED = const(("time", "seq", "link", "errors"))
TOO_LARGE = "does not fit: a message has %d bytes at most (max_payload_bytes)"
_MOST_ERRORS = const(24)
_ERRORS_BYTES = const(256)  # of each message, reserved for the names of failed readings


class Readings:
    """Makes the payloads.

    read: a function -> dict of names to values or functions. link: a function -> dict that JSON can hold, news about
    the link. now: seam, unix seconds. seq: number of the last message.
    max_bytes: of one payload, 1024 or more. failure: instead of read, why sensors.py cannot be used.
    """

    def __init__(self, read, link, now=unix_time, seq=0, max_bytes=4096, failure=None):
        self.read = read
        self.link = link
        self.max_bytes = max_bytes
        self.failure = failure
        self.now = now
        self.seq = seq

    def payload(self, failure=None):
        """Return the next message as JSON, bytes: time (ISO 8601 UTC), seq, the readings, link if there is news, and
        errors if there are any. failure: why this message has no readings.

        Never raises, whatever a sensor does, and whether or not the readings fit into max_bytes and memory.
        """
        self.seq += 1
        link = self.link()
        with BytesIO() as out:
            tail = b"}"
            if link:
                out.write(b', "link": ')
                write_json(link, out)
                tail = out.getvalue() + tail
                out.seek(0)
            # Put together by hand: a dict has no order on MicroPython, and people read this.
            out.write(b'{"time": "')
            out.write(timestamp(self.now()).encode())
            out.write(b'", "seq": ')
            write_json(self.seq, out)
            end = self.max_bytes - len(tail)
            errors = []
            failure = failure or self.failure
            if not failure:
                try:
                    self._measure(out, errors, end - _ERRORS_BYTES)
                except BaseException as e:
                    failure = reason(e)
            if failure:
                errors.append(("sensors", failure))
            if errors:
                with phase():
                    from .reading_errors import member

                    out.write(member(errors, end - out.tell()).encode())
            out.write(tail)
            end = out.tell()  # a reading that failed may have left more behind it
            out.seek(0)
            return out.read(end)

    def _measure(self, out, errors, end):
        """Write each reading to out, up to position end, or append (name, why) to errors if it fails."""
        values = self.read()
        if not isinstance(values, dict):
            raise ValueError("read() must return a dict")
        for name in values:
            at = out.tell()
            try:
                if type(name) is not str or name in _RESERVED:
                    raise ValueError("not a name for a reading")
                value = values[name]
                if callable(value):
                    value = value()
                left = check_json(value, MAX_DEPTH, check_json(name, 1, end - at))
                if left >= 0:
                    out.write(b", ")
                    write_json(name, out)
                    out.write(b": ")
                    write_json(value, out)
                if left < 0 or out.tell() > end:
                    raise ValueError(TOO_LARGE % self.max_bytes)
            except BaseException as e:
                out.seek(at)
                errors.append((name, reason(e)) if len(errors) < _MOST_ERRORS else None)


def reason(error):
    """Return an exception of the user's code as text for a message; raise KeyboardInterrupt again."""
    if isinstance(error, KeyboardInterrupt):
        raise error
    name = type(error).__name__
    try:
        return utf8(("%s: %s" % (name, error)).encode())[:100]
    except KeyboardInterrupt:
        raise
    except BaseException:  # its text raises as well
        return name


def check_json(value, depth, left):
    """Return left minus a lower bound of the size of value as JSON; below 0, it does not fit.

    Raises ValueError for values that JSON (RFC 8259) cannot hold; MicroPython's json writes them anyway.
    """
    if left < 0:
        return left
    if not depth:
        raise ValueError("nested too deep")
    # By exact type: MicroPython's json prints a namedtuple by its name.
    kind = type(value)
    if kind is str:
        left -= len(value) + 2
        if left >= 0:
            utf8(value.encode())  # MicroPython accepts any bytes in a source file
        return left
    if kind is dict or kind is list or kind is tuple:
        left -= 2
        for item in value:
            inner = item
            if kind is dict:
                if type(item) is not str:
                    raise ValueError("a name must be text")
                left = check_json(item, 1, left)
                inner = value[item]
            left = check_json(inner, depth - 1, left)
        return left
    if kind is float and value - value != 0:  # NaN and the infinities
        raise ValueError("not a number")
    if kind is int:
        if value >> 64 not in (0, -1):
            raise ValueError("over 64 bits")
    elif value is not None and kind is not bool and kind is not float:
        raise ValueError("JSON cannot hold %s" % kind.__name__)
    return left - 1
