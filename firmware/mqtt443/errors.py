"""Everything that can go wrong, as one tree. What each most likely means is said in `causes`.

    Mqtt443Error                    an OSError, so code written for umqtt catches it
    +-- ConfigError                 config.json: which key, what is wrong, what to write
    +-- ClockError                  the clock could not be set, or a certificate says that it is wrong
    +-- OutOfMemory                 no memory for a TLS connection
    +-- NetworkError                the way to the endpoint; try again soon
    |   +-- WifiError               no association, no address
    |   +-- DnsError                no address for the endpoint's name
    |   +-- ConnectFailed           no TCP connection
    |   +-- Timeout                 a step missed its deadline; `phase` names it
    |   |   +-- HandshakeTimeout    silence during the TLS handshake
    |   |   +-- ConnackTimeout      silence after CONNECT; slow
    |   |   +-- PeerVanished        silence on a connection that was up
    |   +-- ConnectionLost          closed or reset; `closed` is True if the server closed it in order
    +-- TlsError                    the handshake failed
    |   +-- NoAlpn                  no ALPN here, or the server picked none; slow
    |   +-- CertificateError        the server is not proven to be the endpoint; slow
    |       +-- WrongCa             not signed by a root in the CA file
    |       +-- WrongHost           issued for another name
    |       +-- CertificateExpired  past its last day, by this board's clock
    +-- ProtocolError               the server broke a protocol
    |   +-- WebSocketError          RFC 6455
    |   +-- MalformedPacket         MQTT 3.1.1
    +-- Refused                     the server said no; slow, each attempt costs a Lambda call
        +-- ClosedBeforeConnack     closed instead of answering CONNECT
        +-- ConnectRefused          CONNACK with return code `code` [MQTT-3.2.2-5]
        +-- UpgradeRefused          WebSocket upgrade answered with HTTP status `status`
        +-- SubscribeRefused        SUBACK 0x80 [MQTT-3.9.3-2]

Slow ones most likely end the same way at once: the reconnect loop gives them time.
"""


class Mqtt443Error(OSError):
    """Base of all.

    what: what happened. facts: the attributes named in the tree. `str()` adds likely causes and the next step.
    """

    slow = False
    closed = False
    phase = None
    code = None
    status = None

    def __init__(self, what, **facts):
        super().__init__(what)
        for name, fact in facts.items():
            setattr(self, name, fact)

    def __str__(self):
        # The texts are read on failure only: a board that works does not carry them.
        from .causes import explain

        return explain(self)


def __getattr__(name):
    """Make the class name of the tree when it is first asked for: a board that works needs few of them."""
    from ._port import forget
    from .tree import make

    try:
        return make(name, globals())
    finally:
        forget("tree")


def late(kind, phase, seconds):
    """Return the error of class kind for a deadline of seconds that passed in phase."""
    return kind("no answer within %d s: %s" % (seconds, phase), phase=phase)
