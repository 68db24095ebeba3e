"""What differs between MicroPython and CPython, and nothing else.

Ticks, `const`, the TLS context, ALPN, one non-blocking socket class (`Channel`), and modules that can be unloaded. No
other file of this package asks which interpreter it runs on. Policy (deadlines, errors, retries) lives above it.
"""

import gc
import os
import select
import sys
import time

try:
    from micropython import const
except ImportError:

    def const(value):
        """Return value: CPython has no compile-time constants to make of it."""
        return value


try:
    from time import sleep_ms, ticks_add, ticks_diff, ticks_ms
except ImportError:

    def ticks_ms():
        """Return a millisecond counter of arbitrary origin."""
        return int(time.monotonic() * 1000)

    def ticks_add(ticks, delta_ms):
        """Return the tick delta_ms after ticks."""
        return ticks + delta_ms

    def ticks_diff(later, earlier):
        """Return later - earlier in milliseconds."""
        return later - earlier

    def sleep_ms(ms):
        """Wait ms milliseconds."""
        time.sleep(ms / 1000)


try:
    # The C module: `ssl` on a board is a shim over it that starts at CERT_NONE and is absent from small builds.
    import tls
except ImportError:
    import ssl as tls

try:
    import alpn  # of our image; stock firmware has no ALPN in any form
except ImportError:
    alpn = None

_MICROPYTHON = sys.implementation.name == "micropython"

# Unix time at which the port's own clock is 0: ESP32 counts from 2000, the unix port and CPython from 1970.
EPOCH = 946684800 if time.gmtime(0)[0] == 2000 else 0

READ = select.POLLIN
WRITE = select.POLLOUT


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


def forget(*modules):
    """Give back the memory of modules of this package whose work is done; they load again when they are needed."""
    if not _MICROPYTHON:
        return
    package = sys.modules["mqtt443"]
    for name in modules:
        if sys.modules.pop("mqtt443." + name, None):
            delattr(package, name)
    gc.collect()


def tls_context(certificates):
    """Return a client context that verifies.

    certificates: the trusted roots, each DER bytes. Raises ValueError or OSError for bytes that are no certificate.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    # Set here whatever the module's default: the defaults differ, and only CERT_REQUIRED checks anything.
    context.verify_mode = tls.CERT_REQUIRED
    for der in certificates:
        if _MICROPYTHON:
            context.load_verify_locations(der)
        else:
            context.load_verify_locations(cadata=der)
    return context


def can_alpn():
    """Return whether this interpreter can send ALPN at all."""
    return alpn is not None or hasattr(tls.SSLContext, "set_alpn_protocols")


def set_alpn(context, protocols):
    """Offer protocols (a list of str) in every handshake of context."""
    if hasattr(context, "set_alpn_protocols"):
        context.set_alpn_protocols(protocols)
    else:
        alpn.set_protocols(context, protocols)


def selected_alpn(sock):
    """Return the protocol that the server picked, or None; sock is a TLS socket whose handshake is done."""
    if hasattr(sock, "selected_alpn_protocol"):
        return sock.selected_alpn_protocol()
    return alpn.selected(sock)


class Channel:
    """A connected socket made non-blocking: reads, writes and waits, and never more than asked.

    sock: a TLS socket, or a plain one. raw: the socket below it; MicroPython needs the reference kept.
    """

    def __init__(self, sock, raw=None):
        self.sock = sock
        self.raw = raw
        self._wanted = 0
        sock.setblocking(False)
        self._poll = select.poll()
        self._poll.register(sock, READ)

    if _MICROPYTHON:

        def readinto(self, view):
            """Read what is there into view; return the count, 0 at the end, None if nothing is there now."""
            return self.sock.readinto(view)

        def write(self, view):
            """Write what fits; return the count, None if nothing fits now."""
            return self.sock.write(view)

        def _pending(self):
            return False  # poll() on MicroPython's TLS socket knows of decrypted bytes by itself
    else:

        def readinto(self, view):
            """Read what is there into view; return the count, 0 at the end, None if nothing is there now."""
            return self._try(self.sock.recv_into, view)

        def write(self, view):
            """Write what fits; return the count, None if nothing fits now."""
            return self._try(self.sock.send, view)

        def _try(self, call, view):
            self._wanted = 0
            try:
                return call(view)
            except tls.SSLWantReadError:  # a write, too, waits for reading while the handshake runs
                self._wanted = READ
            except (tls.SSLWantWriteError, BlockingIOError):
                pass
            return None

        def _pending(self):
            return hasattr(self.sock, "pending") and self.sock.pending() > 0

    def wait(self, event, timeout_ms):
        """Wait up to timeout_ms for READ or WRITE; return whether it came."""
        if event == READ and self._pending():
            return True
        self._poll.modify(self.sock, self._wanted or event)
        return bool(self._poll.poll(timeout_ms))

    def close(self):
        """Close the socket and what is below it; closing twice does nothing."""
        if self.sock is None:
            return
        self._poll.unregister(self.sock)
        self.sock.close()
        if self.raw is not None:
            self.raw.close()
        self.sock = self.raw = None
