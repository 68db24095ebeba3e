"""The three transports into AWS IoT Core on port 443, and which one this board uses.

    alpn   MQTT, TLS, SNI, ALPN mqtt      default endpoint; needs an image with ALPN
    wss    MQTT over WebSocket, TLS, SNI  default endpoint; any firmware
    tls    MQTT, TLS, SNI, no ALPN        a domain configuration CUSTOM_AUTH + SECURE_MQTT; any firmware

Each verifies certificates; no setting turns that off. MQTT itself begins in `client`.
"""


class Transport:
    """Opens connections to the endpoint of a config, all with one TLS context.

    config: a `Config`. root: folder in front of the config's file names. alpn, context, connect: seams for
    tests (a bool, a TLS context, `connection.connect_tcp`). Raises ConfigError for an unusable CA file, NoAlpn as
    `connection.choose`.
    """

    def __init__(self, config, root="", alpn=None, context=None, connect=None):
        from ._tls import can_alpn
        from .connection import choose, new_context

        self.host = config.endpoint
        self.port = config.port
        self.connect = connect
        self.timeout_ms = config.timeout_s * 1000
        self.name, self.why = choose(config.transport, can_alpn() if alpn is None else alpn)
        self.path = root + config.ca
        self.context = context or new_context(self.path, self.name == "alpn")

    def connect_http(self):
        """Return a Stream over TLS for HTTP, whose first write does the handshake.

        Without ALPN mqtt, which would select MQTT; with the same verification.
        """
        from .connection import new_context, open_tls

        return open_tls(self, new_context(self.path) if self.name == "alpn" else self.context)

    def open(self):
        """Return a stream for MQTT packets: TLS, plus the upgrade for wss.

        Raises the errors of `stream`, and of `websocket` for wss.
        """
        from .connection import open_mqtt

        return open_mqtt(self)

    def check(self, stream):
        """Raise NoAlpn if ALPN was sent on stream and the server picked nothing; call it after the first write."""
        if self.name == "alpn":
            from .connection import check_alpn

            check_alpn(stream, self.host)
