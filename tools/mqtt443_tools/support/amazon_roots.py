"""The root certificates that AWS IoT's endpoints chain to, from certifi, in the form a board takes."""

import ssl

import certifi

from mqtt443_tools.support.errors import CommandError

ROOTS = ("Amazon Root CA 1", "Amazon Root CA 3")
"""RSA and ECDSA; 2 and 4 are reserved (AWS IoT Developer Guide, "Server authentication")."""


def amazon_roots() -> bytes:
    """Give Amazon Root CA 1 and 3 in DER, one behind the other.

    :raises CommandError: certifi has not got them
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    found = {}
    for described, der in zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=True):
        subject: tuple[tuple[tuple[str, str], ...], ...] = described["subject"]  # type: ignore[assignment]
        found[dict(part[0] for part in subject).get("commonName", "")] = der
    if missing := [root for root in ROOTS if root not in found]:
        raise CommandError(f"certifi has no {' and no '.join(missing)}: run `pip install --upgrade certifi`")
    return b"".join(found[root] for root in ROOTS)
