"""CPython's side of `_port`; a board does not need this file."""

import json
import select
import ssl as tls
import time

alpn = None


def const(value):
    """Return value: CPython has no compile-time constants."""
    return value


# Ticks wrap as on MicroPython, so that CPython runs the same arithmetic.
_PERIOD = 1 << 30


def ticks_ms():
    """Return a millisecond counter of arbitrary origin that wraps after 12 days."""
    return int(time.monotonic() * 1000) % _PERIOD


def ticks_add(ticks, delta_ms):
    """Return the tick delta_ms after ticks."""
    return (ticks + delta_ms) % _PERIOD


def ticks_diff(later, earlier):
    """Return later - earlier in milliseconds, at most half a period either way."""
    return (later - earlier + _PERIOD // 2) % _PERIOD - _PERIOD // 2


def sleep_ms(ms):
    """Wait ms milliseconds."""
    time.sleep(ms / 1000)


def utf8(data):
    """Return data (bytes) as text. Raises UnicodeError for what is not UTF-8."""
    return str(data, "utf-8")


def write_json(value, out):
    """Write value as JSON to out, a stream of bytes."""
    out.write(json.dumps(value).encode())


def load_root(context, der):
    """Trust the root certificate der in context."""
    context.load_verify_locations(cadata=der)


def unload(*names):
    """Do nothing: a host has enough memory."""


class phase:
    """Do nothing: a host has enough memory."""

    def __enter__(self):
        return None

    def __exit__(self, *_):
        return None


class Channel:
    """A connected socket made non-blocking, like `_port.Channel` on MicroPython.

    sock: a TLS socket, or a plain one. raw: the socket below it, for MicroPython alone.
    """

    def __init__(self, sock, raw=None):  # noqa: ARG002 (MicroPython's signature)
        self.sock = sock
        self._wanted = 0
        sock.setblocking(False)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def readinto(self, view):
        """Read available bytes into view; return the count, 0 at the end, None if there are none yet."""
        return self._try(self.sock.recv_into, view)

    def write(self, buf, offset, size):
        """Write as much of buf[offset : offset + size] as fits; return the count, None if nothing fits now."""
        return self._try(self.sock.send, memoryview(buf)[offset : offset + size])

    def _try(self, call, view):
        self._wanted = 0
        try:
            return call(view)
        except tls.SSLWantReadError:  # during the handshake, a write waits for input as well
            self._wanted = select.POLLIN
        except (tls.SSLWantWriteError, BlockingIOError):
            pass
        return None

    def wait(self, event, timeout_ms):
        """Wait up to timeout_ms for READ or WRITE; return whether it came."""
        if event == select.POLLIN and hasattr(self.sock, "pending") and self.sock.pending():
            return True  # already decrypted, so poll() does not see it
        self._poll.modify(self.sock, self._wanted or event)
        return bool(self._poll.poll(timeout_ms))

    def close(self):
        """Close the socket; closing twice does nothing."""
        if self.sock is not None:
            self._poll.unregister(self.sock)
            self.sock.close()
            self.sock = None
