"""Turns what sockets and TLS raise into this package's errors.

The texts and numbers differ between mbedTLS 2.28, 3.6, OpenSSL and the chips; they are known here and nowhere else.
Loaded when something fails.
"""

import errno
import gc

from . import errors
from ._port import timestamp, unix_time

# mbedTLS: SSL 0x7F00, X.509 0x2880, PK 0x3F80, ECP 0x4D80, MPI 0x0010, MD 0x5180, cipher 0x6180, PEM 0x1180. The
# last may stand in the low byte below another code (RSA 0x4310).
_ALLOC_FAILED = (0x7F00, 0x2880, 0x3F80, 0x4D80, 0x5180, 0x6180, 0x1180)

# TLS's words, mbedTLS's and OpenSSL's; the error; our words behind "the certificate of HOST". In this order, since a
# clock that is behind makes the other checks fail too.
_BEHIND = ("ClockError", "is not valid yet, so this board's clock is behind: it says ")
_WRONG_CA = ("WrongCa", "has a root that is not in the ca file")
_WRONG_HOST = ("WrongHost", "is for another name")
_CERTIFICATE = (
    ("in the future",) + _BEHIND,
    ("not yet valid",) + _BEHIND,
    ("not correctly signed",) + _WRONG_CA,
    ("issuer certificate",) + _WRONG_CA,
    ("self-signed",) + _WRONG_CA,
    ("common name",) + _WRONG_HOST,
    ("mismatch",) + _WRONG_HOST,
    ("expired", "CertificateExpired", "has expired, or the clock is wrong: it says "),
    ("", "CertificateError", "was refused: "),
)


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
    """Return the errno name of an OSError ("ECONNRESET"), or its text where it has none."""
    number = error.args[0] if error.args else None
    # CPython's ssl numbers its errors by itself.
    if isinstance(number, int) and type(error).__name__[:3] != "SSL":
        # mbedTLS 3.6 gives them negative after the handshake; numbers differ from chip to chip, names do not.
        name = errno.errorcode.get(abs(number))
        if name:
            return name
    return str(error)


def _is_alloc_failure(error):
    if isinstance(error, MemoryError):
        return True
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    code = abs(code)
    return errno.errorcode.get(code) == "ENOMEM" or code & 0xFF80 in _ALLOC_FAILED or (code > 255 and code & 0x7F == 16)


def certificate_fault(text, host):
    """Return the error for a certificate that was refused; text is what TLS said of it."""
    lower = text.lower()
    kind, what = next(row[1:] for row in _CERTIFICATE if row[0] in lower)
    if what[-6:] == " says ":
        what += timestamp(unix_time())
    elif what[-2:] == ": ":
        what += text.strip()
    return getattr(errors, kind)("the certificate of %s %s" % (host, what))


def fault(error, host, handshaking):
    """Return the error to raise for what a socket of host raised, before or after the end of the handshake."""
    if _is_alloc_failure(error):
        return errors.OutOfMemory("out of memory (%s)" % heap_report())
    if isinstance(error, ValueError):  # MicroPython's, and ssl.SSLCertVerificationError is one too
        return certificate_fault(str(error), host)
    name = errno_name(error)
    if not handshaking:
        return errors.ConnectionLost("connection lost (%s)" % name)
    if "APPLICATION_PROTOCOL" in name.upper().replace(" ", "_"):
        return errors.NoAlpn("%s refused ALPN mqtt" % host)
    return errors.TlsError("the TLS handshake with %s failed (%s)" % (host, name))
