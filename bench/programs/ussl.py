"""The module `ussl` that umqtt.simple 1.3.4 imports; the unix port has only the `tls` below it.

As MicroPython's own ssl.wrap_socket: nothing is added, so umqtt writes to the TLS socket itself, as on a board.
"""

import tls


def wrap_socket(sock, cadata, server_hostname):
    """Return a TLS socket over sock, its handshake done; the server is verified, as ours is."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_verify_locations(cadata)
    return context.wrap_socket(sock, server_hostname=server_hostname)
