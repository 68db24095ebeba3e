"""What differs between MicroPython and CPython, and nothing else.

Ticks, `const`, one non-blocking socket class (`Channel`), and modules that can be unloaded; TLS and ALPN are in `_tls`.
No other file of this package asks which interpreter it runs on; CPython's half is `_host`, which a board does not need.
Policy (deadlines, errors, retries) lives above.
"""

import os
import select
import sys
import time

READ = select.POLLIN
WRITE = select.POLLOUT

if sys.implementation.name == "micropython":
    import gc
    from time import sleep_ms, ticks_add, ticks_diff, ticks_ms

    from micropython import const

    def forget(*modules):
        """Give back the memory of modules of this package whose work is done; they load again when needed.

        What was made in such a module must not be used any more.
        """
        package = sys.modules["mqtt443"]
        for name in modules:
            module = sys.modules.pop("mqtt443." + name, None)
            if module:
                delattr(package, name)
                # A stale word on the stack may keep the module from the collector: so it keeps no more than the word.
                module.__dict__.clear()
        gc.collect()

    class Channel:
        """A connected socket made non-blocking: reads, writes and waits, and never more than asked.

        sock: a TLS socket, or a plain one. raw: the socket below it, which must be kept from the collector.
        """

        def __init__(self, sock, raw=None):
            self.sock = sock
            self._raw = raw
            sock.setblocking(False)
            # A count, 0 at the end, None if nothing is there or fits now.
            self.readinto = sock.readinto
            self.write = sock.write
            self._poll = select.poll()
            self._poll.register(sock, WRITE)
            # The system wakes us for the socket below TLS; a TLS socket is looked at once a millisecond.
            self._below = select.poll()
            self._below.register(raw or sock, READ)

        def wait(self, event, timeout_ms):
            """Wait up to timeout_ms for READ or WRITE; return whether it came.

            For READ only after a read that found nothing: what TLS holds decrypted is not seen from below.
            """
            return bool((self._below if event == READ else self._poll).poll(timeout_ms))

        def close(self):
            """Close the socket and what is below it; closing twice does nothing."""
            if self.sock is not None:
                self._poll = self._below = None
                self.sock.close()
                if self._raw is not None:
                    self._raw.close()
                self.sock = self._raw = self.readinto = self.write = None

else:
    from ._host import Channel, const, forget, sleep_ms, ticks_add, ticks_diff, ticks_ms  # noqa: F401

# No clock is right that is before this release. 2026-11-01 in unix seconds.
BUILD_DATE = 1793491200

# Unix time at which the port's own clock is 0: ESP32 counts from 2000, the unix port and CPython from 1970.
EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0


def unix_time():
    """Return the clock in whole seconds since 1970."""
    return int(time.time()) + EPOCH


def calendar(unix_s):
    """Return (year, month, day, hour, minute, second, weekday) in UTC."""
    return time.gmtime(unix_s - EPOCH)[:7]


def timestamp(unix_s):
    """Return unix_s as ISO 8601 UTC, to the second."""
    return "%04d-%02d-%02dT%02d:%02d:%02dZ" % calendar(unix_s)[:6]


def random_below(limit):
    """Return a random integer in 0..limit-1 from the system's generator (limit up to 2**32)."""
    # Not the `random` module: it starts from the same seed on some ports, and a fleet would move in step.
    return int.from_bytes(os.urandom(4), "little") % limit
