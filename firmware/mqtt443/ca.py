"""The CA file: one or more certificates, DER or PEM, split into single DER certificates.

PEM is decoded here because an mbedTLS built without PEM (stock boards before 1.29) takes DER only. TLS decides whether
the certificates are valid.
"""

import binascii

from . import errors
from ._port import const

_BEGIN = const(b"BEGIN CERTIFICATE")


def load(path):
    """Return the certificates in the file at path as a list of DER bytes.

    Raises ConfigError if the file is missing or holds anything but certificates.
    """
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError:
        raise errors.ConfigError("ca: there is no file %s; put the root certificate there" % path)
    try:
        certificates = _from_der(_from_pem(data) if _BEGIN in data else data)
    except (ValueError, IndexError):  # the latter: a file that was cut off
        certificates = None
    if not certificates:
        raise errors.ConfigError("ca: %s holds no certificate; it must be DER or PEM" % path)
    return certificates


def _from_pem(data):
    """Return the DER of all certificates, concatenated (RFC 7468)."""
    parts = data.split(b"-----")
    der = b""
    while _BEGIN in parts:
        parts = parts[parts.index(_BEGIN) + 1 :]
        der += binascii.a2b_base64(parts[0].strip())
    return der


def _from_der(data):
    """Split concatenated certificates, each a SEQUENCE (X.690 section 8.1.3)."""
    certificates = []
    while data:
        # 0x30 0x82 and two bytes of length: a certificate has over 255 bytes and under 64 KB.
        end = 4 + int.from_bytes(data[2:4], "big")
        if data[:2] != b"\x30\x82" or end > len(data):
            raise ValueError
        certificates.append(data[:end])
        data = data[end:]
    return certificates
