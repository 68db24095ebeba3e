"""TLS and ALPN, where MicroPython and CPython differ. Not in `_port`: only opening a connection needs it."""

import sys

if sys.implementation.name == "micropython":
    # The C module: `ssl` on a board is a shim over it that starts at CERT_NONE and is absent from small builds.
    import tls

    try:
        import alpn  # of our image; stock firmware has no ALPN in any form
    except ImportError:
        alpn = None

    def load_root(context, der):
        """Trust the root certificate der in context."""
        context.load_verify_locations(der)

else:
    from ._host import alpn, load_root, tls


def tls_context(certificates):
    """Return a client context that verifies.

    certificates: the trusted roots, each DER bytes. Raises ValueError or OSError for bytes that are not a certificate.
    """
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    # Set here whatever the module's default: the defaults differ, and only CERT_REQUIRED checks anything.
    context.verify_mode = tls.CERT_REQUIRED
    for der in certificates:
        load_root(context, der)
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
