"""What differs between MicroPython and CPython, and nothing else.

Ticks, `const`, one non-blocking socket class (`Channel`), and `phase`, which unloads modules; TLS and ALPN are in
`_tls`. No other file of this package asks which interpreter it runs on. CPython's half is `_host`, which boards do not
need. Deadlines, errors and retries are decided elsewhere.
"""

import os
import select
import sys
import time

READ = select.POLLIN
WRITE = select.POLLOUT

if sys.implementation.name == "micropython":
    import gc
    from json import dump as write_json
    from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

    from micropython import const

    # Modules that stay in memory once imported; `phase` unloads all others. `rare_errors` and `backoff` are imported at
    # the first error that needs them, `own_readings` if there is no sensors.py, `flash_log` while readings wait on
    # flash (the outbox unloads it).
    RESIDENT = (
        "_port",
        "errors",
        "rare_errors",
        "app",
        "client",
        "config",
        "packets",
        "packets5",
        "transport",
        "stream",
        "websocket",
        "outbox",
        "sender",
        "readings",
        "own_readings",
        "backoff",
        "flash_log",
    )

    def _on_demand():
        """Return the names of the modules that are loaded and not resident."""
        names = []
        for name in sys.modules:
            if name[:8] == "mqtt443." and name[8:] not in RESIDENT:
                names.append(name[8:])
        return names

    def unload(*names):
        """Free the memory of these modules of the package; nothing that they define may be used afterwards."""
        for name in names:
            module = sys.modules.pop("mqtt443." + name)
            delattr(sys.modules["mqtt443"], name)
            # The collector may take a stale word on the stack for a reference to the module; empty it, so that such a
            # word keeps only the empty module alive.
            module.__dict__.clear()
        gc.collect()

    def utf8(data):
        """Return data (bytes) as text. Raises UnicodeError, a ValueError, for what is not UTF-8 (RFC 3629)."""
        text = str(data, "utf-8")  # checks no more than how many bytes each character has
        if data and max(data) > 0x7F:
            for i in range(len(data) - 1):
                pair = data[i] << 8 | data[i + 1]
                # Overlong forms, surrogates, and code points beyond U+10FFFF.
                if pair >= 0xC000 and (
                    pair < 0xC200
                    or 0xE000 <= pair < 0xE0A0
                    or 0xEDA0 <= pair < 0xEE00
                    or 0xF000 <= pair < 0xF090
                    or pair >= 0xF490
                ):
                    raise UnicodeError
        return text

    class phase:
        """Unload, at the end of a `with` block, the modules of this package that were imported inside it.

        Resident modules stay. Nothing that an unloaded module defines may be used afterwards: no class, no function,
        no object of its classes. Blocks may be nested; the inner one unloads only what it imported.
        """

        def __enter__(self):
            self._before = _on_demand()

        def __exit__(self, *_):
            unload(*[name for name in _on_demand() if name not in self._before])

    class Channel:
        """A connected socket made non-blocking. sock: a TLS or plain socket. raw: the socket below TLS, kept from the
        garbage collector.
        """

        def __init__(self, sock, raw=None):
            self.sock = sock
            self.raw = raw
            sock.setblocking(False)
            # readinto(view) and write(buf, offset, size) return a count, 0 at the end, None if nothing can be read or
            # written now.
            self.readinto = sock.readinto
            self.write = sock.write
            # The system wakes us for the socket below TLS; MicroPython polls a TLS socket once a millisecond.
            self._below = select.poll()
            self._below.register(raw or sock, READ)

        def wait(self, event, timeout_ms):
            """Wait up to timeout_ms for READ or WRITE; return whether it came.

            Wait for READ only after a read that returned None: the socket below does not show bytes that TLS has
            decrypted.
            """
            poll = self._below
            if event == WRITE:  # rare, so no poll object is kept
                poll = select.poll()
                poll.register(self.sock, WRITE)
            for _ in poll.ipoll(timeout_ms):  # poll() would make a list and a tuple
                return True
            return False

        def close(self):
            """Close the socket and what is below it; closing twice does nothing."""
            if self.sock is not None:
                self._below = None
                self.sock.close()
                if self.raw is not None:
                    self.raw.close()
                self.sock = self.raw = self.readinto = self.write = None

else:
    from ._host import Channel, const, phase, sleep_ms, ticks_add, ticks_diff, ticks_ms, unload, utf8, write_json  # noqa: F401

VERSION = "0.1.0"

# A clock set to before this release is wrong. 2026-11-01 in unix seconds.
BUILD_DATE = 1793491200

# Unix time at which the port's own clock reads 0: ESP32 counts from 2000, the unix port and CPython from 1970.
EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0


def unix_time():
    """Return the clock in whole seconds since 1970."""
    return int(time.time()) + EPOCH


def timestamp(seconds):
    """Return unix seconds as ISO 8601 UTC, to the second."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % time.gmtime(seconds - EPOCH)[:6]


def random_below(limit):
    """Return a random integer in 0..limit-1 from the system's generator (limit up to 2**32)."""
    # Not the `random` module: on some ports it starts from the same seed, and a fleet would move in step.
    return int.from_bytes(os.urandom(4), "little") % limit
