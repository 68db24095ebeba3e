"""Explains in one line why a TLS handshake failed, for those who set up the board."""

from __future__ import annotations

import ssl

from mqtt443_tools.localcore.front.tls import Handshake

KNOWN = {
    "UNKNOWN_CA": "the client does not trust this CA: give it ca.pem of the state folder",
    "BAD_CERTIFICATE": "the client refuses the certificate: does it have this CA and the right host name?",
    "CERTIFICATE_EXPIRED": "the client thinks the certificate has expired: look at its clock",
    "WRONG_VERSION_NUMBER": "these bytes are not TLS",
    "HTTP_REQUEST": "this is plain HTTP; the endpoint speaks TLS",
    "UNSUPPORTED_PROTOCOL": "the client offers no TLS 1.2 or 1.3",
    "NO_SHARED_CIPHER": "the client offers no cipher of AWS's default security policy",
}


def explain_failure(error: OSError, handshake: Handshake, name: str) -> tuple[str, str]:
    """Return AWS's reason, or ours if AWS has none, and the explanation. `name` is the name of the endpoint."""
    if handshake.name_refused:
        asked = f"the client asked for {handshake.name!r}" if handshake.name is not None else "the client sent no SNI"
        return "SNI_MISUSED", f"{asked}, this endpoint is {name!r}"
    if isinstance(error, ssl.SSLError) and error.reason == "CALLBACK_FAILED":  # Python passes on only ASCII names
        return "SNI_MISUSED", f"the client asked for a name that is not ASCII, this endpoint is {name!r}"
    if isinstance(error, ssl.SSLError):
        reason = error.reason or "the client closed during the handshake"
        return "TLS_ERROR", next((text for key, text in KNOWN.items() if key in reason), reason)
    if isinstance(error, ConnectionRefusedError):
        return "THROTTLED", "too many TLS handshakes were in progress, and this was the oldest"
    if isinstance(error, ConnectionAbortedError):
        return "TLS_ERROR", f"the handshake did not end in time: {error}"
    return "TLS_ERROR", f"the client closed during the handshake ({type(error).__name__})"
