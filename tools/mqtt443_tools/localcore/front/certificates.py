"""The CA of the local endpoint, kept in its state folder, and the server certificates it signs at each start.

trustme creates them. The files of the CA have mode 0600 from their first byte; the key of a server is never written to
a file.
"""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import trustme
from mqtt443_authorizer.files import write_private

from mqtt443_tools.support.errors import CommandError

CA_FILE, CA_KEY_FILE = "ca.pem", "ca-key.pem"


class CertificateError(CommandError):
    """The CA in the state folder cannot be used; the text is one line with the next step."""


@dataclass(frozen=True, slots=True)
class LeafSpec:
    """Properties of a server certificate; tests ask for certificates that a client must refuse.

    Args:
        key: `ecdsa` is P-256, `rsa` is RSA 2048.
        valid_from_days, valid_until_days: validity, in days from now.
    """

    key: Literal["ecdsa", "rsa"] = "ecdsa"
    valid_from_days: float = -1
    valid_until_days: float = 397


GOOD_LEAF = LeafSpec()


def load_ca(state: Path) -> trustme.CA:
    """Return the CA of a state folder; create one if it has none. Raises CertificateError or OSError."""
    certificate, key = state / CA_FILE, state / CA_KEY_FILE
    if not certificate.exists() and not key.exists():
        ca = trustme.CA(organization_name="mqtt443", organization_unit_name="local endpoint, for tests only")
        write_private(key, ca.private_key_pem.bytes())
        write_private(certificate, ca.cert_pem.bytes())
        return ca
    try:
        return trustme.CA.from_pem(certificate.read_bytes(), key.read_bytes())
    except (ValueError, TypeError, FileNotFoundError) as error:
        raise CertificateError(
            f"the CA in {state} is broken ({type(error).__name__}): delete {CA_FILE} and {CA_KEY_FILE} and start again"
        ) from None


def local_ca(state: Path) -> Path:
    """Return the path of a state folder's CA certificate; create it if missing. Raises CertificateError or OSError."""
    load_ca(state)
    return state / CA_FILE


def issue_leaf(ca: trustme.CA, names: Sequence[str], spec: LeafSpec, now: float) -> trustme.LeafCert:
    """Return a server certificate for these host names and IP addresses; `now` is unix seconds."""
    today = datetime.datetime.fromtimestamp(now, datetime.UTC)
    return ca.issue_cert(
        *names,
        common_name=names[0] if len(names[0]) <= 64 else None,  # the limit of a common name in X.520
        organization_name="mqtt443",
        not_before=today + datetime.timedelta(days=spec.valid_from_days),
        not_after=today + datetime.timedelta(days=spec.valid_until_days),
        key_type=trustme.KeyType.RSA if spec.key == "rsa" else trustme.KeyType.ECDSA,
    )
