"""The root certificates that AWS IoT's endpoints chain to, from certifi, in the form a board takes."""

import ssl
from pathlib import Path

import certifi
from mqtt443_authorizer.files import write_private

from mqtt443_tools.support.errors import CommandError

CA_FILE = "ca.der"
ROOTS = ("Amazon Root CA 1", "Amazon Root CA 3")
"""RSA and ECDSA; 2 and 4 are reserved (AWS IoT Developer Guide, "Server authentication")."""


def amazon_roots() -> bytes:
    """Return Amazon Root CA 1 and 3 in DER, one after the other.

    Raises:
        CommandError: certifi does not have them.
    """
    return b"".join(_roots())


def amazon_roots_pem() -> str:
    """Return the same as PEM. Raises CommandError."""
    return "".join(map(ssl.DER_cert_to_PEM_cert, _roots()))


def _roots() -> list[bytes]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    found = {}
    for described, der in zip(context.get_ca_certs(), context.get_ca_certs(binary_form=True), strict=True):
        subject: tuple[tuple[tuple[str, str], ...], ...] = described["subject"]  # type: ignore[assignment]
        found[dict(part[0] for part in subject).get("commonName", "")] = der
    if missing := [root for root in ROOTS if root not in found]:
        raise CommandError(f"certifi has no {' and no '.join(missing)}: run `pip install --upgrade certifi`")
    return [found[root] for root in ROOTS]


def write_amazon_roots(config: Path) -> str:
    """Write Amazon's roots beside a config file.

    Args:
        config: the config.json.

    Returns:
        The value of its key `ca`.

    Raises:
        CommandError: certifi does not have them, or the file cannot be written.
    """
    ca = config.parent / CA_FILE
    try:
        write_private(ca, amazon_roots())
    except OSError as error:
        raise CommandError(f"{ca}: {error.strerror}") from error
    return ca.name
