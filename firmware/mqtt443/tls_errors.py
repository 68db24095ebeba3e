"""Turns errors of sockets and TLS into this package's errors.

Texts and numbers differ between mbedTLS 2.28, 3.6, OpenSSL and the chips; only this file knows them. Imported when
something fails.
"""

import errno
import gc

from . import errors
from ._port import const, timestamp, unix_time

# mbedTLS's codes for no memory without their last 7 bits: SSL 0x7F00, X.509 0x2880, PK 0x3F80, ECP 0x4D80, MD 0x5180,
# cipher 0x6180, PEM 0x1180. MPI's 0x0010 stands in the low bits below another code (RSA 0x4310).
_ALLOC_FAILED = const((0xFE, 0x51, 0x7F, 0x9B, 0xA3, 0xC3, 0x23))

# The error, what is wrong with the certificate, and the words of mbedTLS and OpenSSL for it. In this order, because a
# clock that is behind makes the other checks fail too.
_CERTIFICATE = (
    ("ClockError", "is not valid yet, so this board's clock is behind", ("in the future", "not yet valid")),
    ("WrongCa", "has a root that is not in the ca file", ("not correctly signed", "issuer certificate", "self-signed")),
    ("WrongHost", "is for another name", ("common name", "mismatch")),
    ("CertificateExpired", "has expired, or the clock is wrong", ("expired",)),
    ("CertificateError", "was refused", ("",)),
)


# mbedTLS: CONN_EOF, PEER_CLOSE_NOTIFY.
_CLOSED = const((0x7280, 0x7880))
_BROKEN = const(("ECONNRESET", "EPIPE", "ECONNABORTED", "ENOTCONN"))


def heap_report():
    """Return a phrase on free memory; TLS takes its memory from the IDF heap, not from Python's."""
    gc.collect()
    text = "Python heap %d B free" % gc.mem_free() if hasattr(gc, "mem_free") else "host memory"
    try:
        import esp32

        # A region is (total, free, largest free block, least free ever).
        regions = esp32.idf_heap_info(esp32.HEAP_DATA)
    except (ImportError, AttributeError):
        return text
    free = sum(region[1] for region in regions)
    return "%s, IDF heap %d B free, largest block %d B" % (text, free, max(region[2] for region in regions))


def errno_name(error):
    """Return the errno name of an OSError ("ECONNRESET"), or its text if it has none."""
    number = error.args[0] if error.args else None
    # CPython's ssl has numbers of its own.
    if isinstance(number, int) and type(error).__name__[:3] != "SSL":
        # mbedTLS 3.6 negates them after the handshake; numbers differ from chip to chip, names do not.
        name = errno.errorcode.get(abs(number))
        if name:
            return name
    return str(error)


def fault(error, host, handshaking):
    """Return the error to raise for an error of a socket to host, during or after the handshake.

    error: None for the end of the stream.
    """
    if error is None:
        return (
            _closed(host, "end of stream")
            if handshaking
            else errors.ConnectionLost("the server closed the connection", closed=True)
        )
    code = error.args[0] if error.args else 0
    code = abs(code) if isinstance(code, int) else 0
    name = errno_name(error)
    if (
        isinstance(error, MemoryError)
        or name == "ENOMEM"
        or code >> 7 in _ALLOC_FAILED
        or (code > 255 and code & 0x7F == 0x10)
    ):
        return errors.OutOfMemory("out of memory (%s)" % heap_report())
    if isinstance(error, ValueError):  # MicroPython's, and ssl.SSLCertVerificationError is one too
        text = str(error)
        for kind, what, marks in _CERTIFICATE:  # noqa: B007 (the last fits all; used below)
            if any(mark in text.lower() for mark in marks):
                break
        return getattr(errors, kind)(
            "the certificate of %s %s; the clock says %s (%s)"
            % (host, what, timestamp(unix_time()), " ".join(text.split()))
        )
    if not handshaking:
        return errors.ConnectionLost("connection lost (%s)" % name)
    if "APPLICATION_PROTOCOL" in name.upper().replace(" ", "_"):
        return errors.NoAlpn("%s refused ALPN mqtt" % host)
    if code in _CLOSED or name in _BROKEN or type(error).__name__ == "SSLEOFError":
        return _closed(host, name)
    return errors.TlsError("the TLS handshake with %s failed (%s)" % (host, name))


def _closed(host, how):
    return errors.TlsError(
        "%s closed the connection in the TLS handshake (%s): this board was too slow for it, it is overloaded, or its "
        "certificate is too large for the free memory (%s)" % (host, how, heap_report())
    )
