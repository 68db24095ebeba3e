"""Every error of this package, in one tree. `hints` has the likely cause and the next step for each.

    Mqtt443Error                    an OSError, so that code written for umqtt catches it
    +-- ConfigError                 config.json: which key, what is wrong, what to write
    +-- ClockError                  the clock cannot be set, or a certificate shows that it is wrong
    +-- OutOfMemory                 not enough memory for a TLS connection
    +-- NetworkError                the way to the endpoint failed; try again soon
    |   +-- WifiError               no association or no address
    |   +-- DnsError                no address for the endpoint's name
    |   +-- ConnectFailed           no TCP connection
    |   +-- Timeout                 a step missed its deadline; `phase` names it
    |   |   +-- HandshakeTimeout    silence during the TLS handshake
    |   |   +-- ConnackTimeout      silence after CONNECT (refusal)
    |   |   +-- PeerVanished        silence on an established connection
    |   +-- ConnectionLost          closed or reset; `closed` is True if the server closed it cleanly, `code` is the
    |                               reason code if it said why (MQTT 5); some of those are refusals
    +-- TlsError                    the handshake failed
    |   +-- NoAlpn                  no ALPN here, or the server picked none (refusal)
    |   +-- CertificateError        the server did not prove that it is the endpoint (refusal)
    |       +-- WrongCa             not signed by a root in the CA file
    |       +-- WrongHost           issued for another name
    |       +-- CertificateExpired  past its last day, by this board's clock
    +-- ProtocolError               the server broke a protocol
    |   +-- WebSocketError          RFC 6455
    |   +-- MalformedPacket         MQTT
    +-- Refused                     the server said no (refusal); each attempt costs a Lambda call
        +-- ClosedBeforeConnack     closed instead of answering CONNECT
        +-- ConnectRefused          CONNACK with return code or reason code `code` (MQTT section 3.2.2)
        +-- UpgradeRefused          WebSocket upgrade answered with HTTP status `status`
        +-- SubscribeRefused        SUBACK with 0x80 or more, with MQTT 5 the reason code `code` (section 3.9.3)
        +-- PublishRefused          PUBACK with the reason code `code`, MQTT 5 alone (section 3.4.2.1)

Only errors that break a working link are defined here. `rare_errors` has the others; it is loaded when one of them is
first used, as `errors.NAME`, and stays.

A refusal (`is_refusal`) would most likely repeat at once, so the reconnect loop waits longer.
"""


class Mqtt443Error(OSError):
    """Base class of all errors of this package.

    what: what happened. facts: the attributes that the tree names. `str()` adds the likely causes and the next step.
    """

    is_refusal = False
    doubts_clock = False  # the clock may be wrong
    reset_helps = True  # a reset of the board may help if the error persists
    closed = False
    phase = None
    code = None
    status = None

    def __init__(self, what, **facts):
        super().__init__(what)
        for name, fact in facts.items():
            setattr(self, name, fact)

    def __str__(self):
        # A board without errors never loads these texts.
        from ._port import phase

        with phase():
            from .hints import explain

            return explain(self)


class OutOfMemory(Mqtt443Error):
    """There is not enough memory for a TLS connection."""


class NetworkError(Mqtt443Error):
    """The way to the endpoint failed; trying again soon may help."""


class WifiError(NetworkError):
    """The board got no Wi-Fi association or no address."""


class DnsError(NetworkError):
    """The endpoint's name has no address."""


class ConnectFailed(NetworkError):
    """No TCP connection to the endpoint."""


class Timeout(NetworkError):
    """A step missed its deadline; `phase` names the step."""


class HandshakeTimeout(Timeout):
    """The server was silent during the TLS handshake."""


class PeerVanished(Timeout):
    """The server was silent on an established connection."""


class ConnectionLost(NetworkError):
    """The connection was closed or reset; `closed` is True if the server closed it cleanly, as it does to refuse.

    With MQTT 5 the server may say why: `code` is its reason code, and `is_refusal` is True if it would most likely
    close the next connection for the same reason.
    """


def timeout_error(kind, phase, seconds):
    """Return an error of class kind: phase got no answer within its deadline of `seconds`."""
    return kind("no answer within %d s: %s" % (seconds, phase), phase=phase)


def __getattr__(name):
    return getattr(__import__("mqtt443.rare_errors", None, None, ("rare_errors",)), name)
