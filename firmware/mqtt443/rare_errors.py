"""The errors that a healthy board never raises; a part of `errors`, which has the tree and the rules."""

from .errors import Mqtt443Error, Timeout


class ConfigError(Mqtt443Error):
    """config.json cannot be used: the text names the key, what is wrong, and what to write."""


class ClockError(Mqtt443Error):
    """The clock cannot be set, or a certificate shows that it is wrong."""

    doubts_clock = True


class ConnackTimeout(Timeout):
    """The server did not answer CONNECT in time."""

    is_refusal = True


class TlsError(Mqtt443Error):
    """The TLS handshake failed."""


class NoAlpn(TlsError):
    """This image cannot send ALPN, or the server picked no protocol."""

    is_refusal = True


class CertificateError(TlsError):
    """The server did not prove that it is the endpoint."""

    is_refusal = True


class WrongCa(CertificateError):
    """No root in the CA file signed the server's certificate."""


class WrongHost(CertificateError):
    """The server's certificate was issued for another name."""


class CertificateExpired(CertificateError):
    """By this board's clock, the server's certificate has expired."""

    doubts_clock = True


class ProtocolError(Mqtt443Error):
    """The server broke a protocol."""


class WebSocketError(ProtocolError):
    """The server broke RFC 6455."""


class MalformedPacket(ProtocolError):
    """The server sent a packet that MQTT forbids."""


class Refused(Mqtt443Error):
    """The server said no."""

    is_refusal = True
    reset_helps = False


class ClosedBeforeConnack(Refused):
    """The server closed the connection instead of answering CONNECT."""


class ConnectRefused(Refused):
    """CONNACK carried `code`: a return code of MQTT 3.1.1, or a reason code of MQTT 5, 0x80 or more."""


class UpgradeRefused(Refused):
    """The server answered the WebSocket upgrade with HTTP status `status`."""


class SubscribeRefused(Refused):
    """SUBACK carried 0x80 or more [MQTT-3.9.3-2]; with MQTT 5 `code` is its reason code."""


class PublishRefused(Refused):
    """PUBACK carried the reason code `code`, 0x80 or more (MQTT 5). The connection stays open."""
