"""The module `ussl` that umqtt.simple 1.3.4 imports and the unix port lacks; it has only `tls`.

Like MicroPython's own ssl.wrap_socket it adds nothing, so umqtt writes directly to the TLS socket, as on a board.
"""

import tls


def wrap_socket(sock, cadata, server_hostname):
    """Return a TLS socket over sock after the handshake; the server is verified, as ours is."""
    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED
    context.load_verify_locations(cadata)
    return context.wrap_socket(sock, server_hostname=server_hostname)
