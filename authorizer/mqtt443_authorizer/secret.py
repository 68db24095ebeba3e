"""Secrets of devices: how they are stored, and how a password is compared with them.

A generated secret has at least 128 random bits, so that one salted SHA-256 is as hard to reverse as the
secret is to guess. A secret that a person chose is stored with scrypt. Making random passwords is left to
whoever registers devices.

Equal work: `match` looks at MAX_SECRETS slots, fills the empty ones, and lets every slot pay for both kinds of hash
whatever its own kind is. So an unknown user, a wrong password against any kind and number of secrets, and a right
password on a device that may not come in cost the same: MAX_SECRETS SHA-256 and MAX_SECRETS scrypt. This holds
exactly while stored secrets have the default scrypt cost, which everything that this project registers has. Only a
login that is let in stops early; with a generated secret it never gets to scrypt.
"""

import hashlib
from collections.abc import Callable
from hmac import compare_digest
from typing import NamedTuple

from mqtt443_authorizer.errors import DeviceError

MAX_SECRETS = 2
SALT_BYTES = 16
DIGEST_BYTES = 32
MAX_PASSWORD_BYTES = 1024

SHA256 = "sha256"
SCRYPT = "scrypt"


class ScryptCost(NamedTuple):
    """The work factors of scrypt (RFC 7914 section 2): n (a power of two), block size r, parallelism p."""

    n: int
    r: int
    p: int


# 16 MiB and some 50 ms on one core: what RFC 7914 and the OWASP list have as a floor for interactive logins,
# and small enough for two of them in a 256 MB Lambda within AWS's five seconds.
DEFAULT_COST = ScryptCost(n=2**14, r=8, p=1)
MAX_COST = ScryptCost(n=2**16, r=16, p=4)
MAX_SCRYPT_BYTES = 64 * 1024 * 1024


class Secret(NamedTuple):
    """One stored secret: `kind` is "sha256" or "scrypt", times are in Unix seconds, `expires_at` 0 is never."""

    kind: str
    salt: bytes
    digest: bytes
    created_at: int
    cost: ScryptCost = DEFAULT_COST
    expires_at: int = 0

    def __repr__(self) -> str:
        return f"Secret(kind={self.kind!r}, created_at={self.created_at})"


_EMPTY_SLOT = Secret("none", bytes(SALT_BYTES), bytes(DIGEST_BYTES), 0)


def _sha256(secret: Secret, password: bytes) -> bytes:
    return hashlib.sha256(secret.salt + password).digest()


def _scrypt(secret: Secret, password: bytes) -> bytes:
    n, r, p = secret.cost
    # OpenSSL counts its own small overhead into maxmem, hence twice the 128 * n * r of RFC 7914.
    return hashlib.scrypt(password, salt=secret.salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=DIGEST_BYTES)


# The cheap kind first, so that a generated secret is found before any scrypt runs.
_HASHES: tuple[tuple[str, Callable[[Secret, bytes], bytes]], ...] = ((SHA256, _sha256), (SCRYPT, _scrypt))


def make_secret(kind: str, password: bytes, salt: bytes, created_at: int) -> Secret:
    """Hash a password for storage.

    :param kind: "sha256" for a generated password of at least 128 random bits, "scrypt" for a chosen one
    :param password: 1..1024 bytes
    :param salt: 16 random bytes, new for every secret
    :param created_at: Unix seconds
    :raises DeviceError: the password is empty or too long
    """
    validate_password(password)
    unhashed = Secret(kind, salt, b"", created_at)
    return unhashed._replace(digest=dict(_HASHES)[kind](unhashed, password))


def match(secrets: tuple[Secret, ...], password: bytes, *, admit: bool) -> int | None:
    """Find the secret that a password belongs to, in constant time for everyone who stays outside.

    :param secrets: 0..2 secrets of one device; () for an unknown user
    :param admit: whether a match lets the client in; only then the search ends at the match
    :return: index of the secret that matches, or None
    """
    slots = secrets + (_EMPTY_SLOT,) * (MAX_SECRETS - len(secrets))
    found = None
    for kind, hashed in _HASHES:
        for index, slot in enumerate(slots):
            same = compare_digest(hashed(slot, password), slot.digest)
            if same and slot.kind == kind:
                found = index
                if admit:
                    return found
    return found


def validate_password(password: bytes) -> None:
    """Refuse a password of no bytes or of more than 1,024.

    :raises DeviceError: with the reason, without the password
    """
    if not 1 <= len(password) <= MAX_PASSWORD_BYTES:
        raise DeviceError(f"the password has {len(password)} bytes: 1 to {MAX_PASSWORD_BYTES} are allowed")


def validate_secret(secret: Secret) -> None:
    """Check a secret that comes from a store, so that a broken one can neither match nor exhaust memory.

    :raises DeviceError: the kind, a length or a scrypt parameter is out of bounds
    """
    if secret.kind not in (SHA256, SCRYPT):
        raise DeviceError("a secret is of an unknown kind: sha256 or scrypt is expected")
    if len(secret.salt) != SALT_BYTES or len(secret.digest) != DIGEST_BYTES:
        raise DeviceError(f"a secret needs a salt of {SALT_BYTES} and a digest of {DIGEST_BYTES} bytes")
    n, r, p = secret.cost
    in_bounds = all(low <= value <= high for low, value, high in zip(DEFAULT_COST, secret.cost, MAX_COST, strict=True))
    if not in_bounds or n & (n - 1) or 128 * n * r > MAX_SCRYPT_BYTES:
        raise DeviceError(f"the scrypt parameters n={n}, r={r}, p={p} are out of bounds")
