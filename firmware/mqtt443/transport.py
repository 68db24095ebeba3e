"""The three doors into AWS IoT Core on 443, and which one this board takes.

    alpn   MQTT, TLS, SNI, ALPN mqtt      default endpoint; needs an image with ALPN
    wss    MQTT over WebSocket, TLS, SNI  default endpoint; any firmware
    tls    MQTT, TLS, SNI, no ALPN        a domain configuration CUSTOM_AUTH + SECURE_MQTT; any firmware

Certificates are verified on each of them; there is no switch for that. MQTT itself begins in `client`.
"""

from . import errors
from ._port import can_alpn, forget, selected_alpn, set_alpn, tls_context
from .stream import Stream, connect_tcp, wrap_tls

_ALPN = "mqtt"


def choose(wanted, alpn_here):
    """Return (transport, why) for the `transport` key wanted; alpn_here: whether ALPN can be sent here.

    Raises NoAlpn if `alpn` is wanted and impossible.
    """
    if wanted != "auto":
        if wanted == "alpn" and not alpn_here:
            raise errors.NoAlpn("transport alpn: this image cannot send ALPN (stock MicroPython)")
        return wanted, "as config.json says"
    if alpn_here:
        return "alpn", "this image can send ALPN mqtt"
    return "wss", "this image has no ALPN (stock MicroPython); MQTT over WebSocket needs none"


class Transport:
    """Opens connections to the endpoint of a config, all with one TLS context.

    config: a `Config`. root: folder in front of the config's file names. alpn, context, connect: seams for
    tests (a bool, a TLS context, `connect_tcp`). Raises ConfigError for an unusable CA file, NoAlpn as `choose`.
    """

    def __init__(self, config, root="", alpn=None, context=None, connect=connect_tcp):
        self._host = config.endpoint
        self._port = config.port
        self._connect = connect
        self.timeout_ms = config.timeout_s * 1000
        self.name, self.why = choose(config.transport, can_alpn() if alpn is None else alpn)
        self._ca = root + config.ca
        self._context = context or self._new_context()
        if self.name == "alpn":
            set_alpn(self._context, [_ALPN])

    def _new_context(self):
        from .ca import load

        certificates = load(self._ca)
        forget("ca")
        try:
            return tls_context(certificates)
        except (OSError, ValueError) as e:
            raise errors.ConfigError("ca: TLS does not take %s (%s)" % (self._ca, e))

    def _tls(self, context):
        sock = self._connect(self._host, self._port, self.timeout_ms)
        stream = Stream(wrap_tls(sock, context, self._host), self._host)
        stream.deadline(self.timeout_ms, "the TLS handshake")
        return stream

    def connect_http(self):
        """Return a Stream over TLS for HTTP, its handshake to be done by the first write.

        Without ALPN mqtt, which would lead to MQTT; with the same verification.
        """
        return self._tls(self._new_context() if self.name == "alpn" else self._context)

    def open(self):
        """Return a stream that takes MQTT packets: TLS, and for wss the upgrade.

        Raises the errors of `stream`, and of `websocket` for wss.
        """
        stream = self._tls(self._context)
        if self.name != "wss":
            return stream
        from .upgrade import upgrade
        from .websocket import WebSocket

        try:
            stream.deadline(self.timeout_ms, "the WebSocket upgrade")
            upgrade(stream, self._host, self._port)
            forget("upgrade", "http")
            return WebSocket(stream)
        except Exception:
            stream.close()
            raise

    def check(self, stream):
        """Raise NoAlpn if ALPN was sent on stream and the server picked nothing; call it after the first write."""
        # Such a server does not break the handshake off, it only never understands MQTT.
        if self.name == "alpn" and selected_alpn(stream.tls_socket()) != _ALPN:
            raise errors.NoAlpn("%s picked no ALPN protocol, so it will not speak MQTT" % self._host)
