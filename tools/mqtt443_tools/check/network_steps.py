"""From a name to a verified TLS connection: DNS, TCP, certificate, clock, ALPN, as seen from this computer.

Uses the standard library's ssl, not the board's transport: only ssl tells which check of a certificate failed, when
the certificate expires, and what the server picked. MQTT and WebSocket are in mqtt_steps.py.
"""

import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from cryptography import x509

from mqtt443_tools.check.step import Broken, Skipped

ALPN = "mqtt"
AWS_HOST = re.compile(r"([a-z0-9]+)(-ats)?(\.iot\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?)$")
SKEW_S = 300.0
"""Largest clock error that passes; AWS's own signatures allow as much."""

# X509_V_ERR_... of OpenSSL's x509_vfy.h.
_NOT_YET_VALID, _EXPIRED, _WRONG_NAME, _WRONG_ADDRESS = 9, 10, 62, 64

Resolve = Callable[..., list[tuple[Any, ...]]]


@dataclass
class Endpoint:
    """The endpoint of a config, as far as it is known yet.

    Attributes:
        roots: the certificates of the ca file, DER.
        timeout_s: for TCP, and for TLS.
        now: unix seconds, by this computer.
        resolve: `socket.getaddrinfo`.
        addresses: once the name is resolved.
    """

    host: str
    port: int
    roots: Iterable[bytes]
    timeout_s: float
    now: Callable[[], float]
    resolve: Resolve = socket.getaddrinfo
    addresses: tuple[tuple[Any, ...], ...] = ()

    def dns(self) -> str:
        """Resolve the name."""
        try:
            found = self.resolve(self.host, self.port, 0, socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise Broken("wrong_endpoint", f"no address for {self.host} ({error})") from error
        self.addresses = tuple(found)
        return ", ".join(dict.fromkeys(str(address[-1][0]) for address in found))

    def tcp(self) -> str:
        """Connect."""
        with self._connect() as connected:
            address = connected.getpeername()
        return f"{address[0]} port {address[1]}"

    def tls(self) -> str:
        """Do a verified handshake."""
        with self._handshake(self._context()) as connection:
            certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
            ends = certificate.not_valid_after_utc
            days = (ends.timestamp() - self.now()) // 86400
            return f"{connection.version()}, certificate of {self.host} valid until {ends:%Y-%m-%d} ({days:.0f} days)"

    def clock(self) -> str:
        """Compare this computer's clock with the endpoint's."""
        date = self._date(self._context())
        if date is None:
            raise Skipped("the endpoint does not tell the time")
        ahead_s = self.now() - date
        shown = f"this computer is {_span(ahead_s)} the endpoint"
        if abs(ahead_s) > SKEW_S:
            raise Broken("clock_wrong", shown)
        return shown

    def alpn(self) -> str:
        """Offer ALPN mqtt, and see it picked."""
        context = self._context()
        context.set_alpn_protocols([ALPN])
        with self._handshake(context) as connection:
            picked = connection.selected_alpn_protocol()
        if picked != ALPN:
            raise Broken("no_alpn", f"SNI {self.host}; ALPN {ALPN} was offered, the server picked none")
        return f"SNI {self.host}, the server picked {picked}"

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies
        for root in self.roots:
            context.load_verify_locations(cadata=root)
        return context

    def _connect(self) -> socket.socket:
        failure: OSError | None = None
        for family, kind, protocol, _, address in self.addresses:
            connection = socket.socket(family, kind, protocol)
            try:
                connection.settimeout(self.timeout_s)
                connection.connect(address)
            except OSError as error:
                connection.close()
                failure = error
            else:
                return connection
        if isinstance(failure, ConnectionRefusedError):
            raise Broken("port_closed", f"{self.host}:{self.port} refuses TCP connections") from failure
        raise Broken("port_blocked", f"no TCP connection to {self.host}:{self.port} ({failure})") from failure

    def _handshake(self, context: ssl.SSLContext) -> ssl.SSLSocket:
        raw = self._connect()
        try:
            return context.wrap_socket(raw, server_hostname=self.host)
        except ssl.SSLCertVerificationError as error:
            raise self._certificate(error) from error
        except OSError as error:  # ssl.SSLError is one
            raise _no_handshake(self.host, error) from error
        finally:
            raw.close()

    def _certificate(self, error: ssl.SSLCertVerificationError) -> Broken:
        """Return what is wrong with the server's certificate; its dates are also checked by the endpoint's clock."""
        if error.verify_code in {_WRONG_NAME, _WRONG_ADDRESS}:
            return Broken("wrong_endpoint", f"the server's certificate is not for {self.host}")
        if error.verify_code not in {_NOT_YET_VALID, _EXPIRED}:
            return Broken(
                "wrong_ca",
                f"the certificate of {self.host} is issued by {self._issuer()}, which is not in the CA file"
                + _suspect(self.host),
            )
        date = self._date(_unverified())
        if date is not None and abs(self.now() - date) > SKEW_S:
            return Broken("clock_wrong", f"this computer is {_span(self.now() - date)} the endpoint")
        if error.verify_code == _NOT_YET_VALID:
            return Broken(
                "clock_wrong", f"by this computer's clock, {_day(self.now())}, the certificate is not valid yet"
            )
        return Broken("certificate_expired", f"the certificate of {self.host} has expired; today is {_day(self.now())}")

    def _issuer(self) -> str:
        """Return who issued the server's certificate, as the certificate says."""
        with self._handshake(_unverified()) as connection:
            certificate = x509.load_der_x509_certificate(connection.getpeercert(binary_form=True) or b"")
        return certificate.issuer.rfc4514_string() or "an issuer without a name"

    def _date(self, context: ssl.SSLContext) -> float | None:
        """Return the Date of an HTTP answer in Unix seconds; None if it has none."""
        # The connection is made here and handed over, so that it uses the address resolved before.
        http_connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
        try:
            with self._connect() as raw, context.wrap_socket(raw, server_hostname=self.host) as connection:
                http_connection.sock = connection
                http_connection.request("GET", "/")
                text = http_connection.getresponse().getheader("Date")
            return None if text is None else parsedate_to_datetime(text).timestamp()
        except (OSError, http.client.HTTPException, ValueError):
            return None


def _unverified() -> ssl.SSLContext:
    """Return a context for a look at a server that cannot be verified; nothing secret may go over it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _suspect(host: str) -> str:
    """Return why an endpoint of AWS shows a certificate of another issuer; nothing for other hosts."""
    aws = AWS_HOST.match(host)
    if aws is None:
        return ""
    if aws[2] is None:
        return f"; Amazon's roots are those of names with -ats alone: set endpoint to {aws[1]}-ats{aws[3]}"
    return "; a proxy or firewall on the way to AWS may inspect TLS: let this host through it"


def _no_handshake(host: str, error: OSError) -> Broken:
    reason = getattr(error, "reason", None) or str(error)
    if "UNRECOGNIZED_NAME" in reason:
        return Broken("wrong_endpoint", f"the server does not know the name {host} (SNI)")
    if isinstance(error, TimeoutError):
        return Broken("not_tls", f"{host} accepts TCP and does not answer the TLS handshake")
    return Broken("not_tls", f"the TLS handshake with {host} failed ({reason})")


def _span(seconds: float) -> str:
    """Return a time difference in words: "2.0 s ahead of"."""
    size, unit = abs(seconds), "s"
    for step, name in ((60, "min"), (60, "h"), (24, "days")):
        if size >= step * 2:
            size, unit = size / step, name
        else:
            break
    return f"{size:.1f} {unit} {'ahead of' if seconds >= 0 else 'behind'}"


def _day(unix_s: float) -> str:
    return f"{datetime.fromtimestamp(unix_s, UTC):%Y-%m-%d}"
