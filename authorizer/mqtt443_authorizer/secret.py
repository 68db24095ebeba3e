"""Secrets of devices: how they are stored, and how a password is compared with them.

A generated secret has at least 128 random bits, so reversing one salted SHA-256 is as hard as guessing the secret. A
secret chosen by a person is stored with scrypt. The tools generate passwords; this module only hashes them.

Equal work: `match` always checks MAX_SECRETS slots, fills the empty ones with a dummy, and computes both hashes for
every slot. An unknown user, a wrong password against any number and kind of secrets, and the right password of a
device that is not admitted therefore all cost MAX_SECRETS times SHA-256 and MAX_SECRETS times scrypt. This is exact as
long as the stored secrets have the default scrypt cost, which is the only one that this project writes. Only an
admitted login stops early; with a generated secret it never runs scrypt.
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


# 16 MiB and about 50 ms on one core: the minimum that RFC 7914 and OWASP recommend for interactive logins, and small
# enough for two of them in a Lambda of 256 MB within AWS's five seconds.
DEFAULT_COST = ScryptCost(n=2**14, r=8, p=1)
MAX_COST = ScryptCost(n=2**16, r=16, p=4)
MAX_SCRYPT_BYTES = 64 * 1024 * 1024


class Secret(NamedTuple):
    """One stored secret: `kind` is "sha256" or "scrypt", times are Unix seconds, `expires_at` 0 means never."""

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
    # maxmem includes a small overhead of OpenSSL, hence twice the 128 * n * r of RFC 7914.
    return hashlib.scrypt(password, salt=secret.salt, n=n, r=r, p=p, maxmem=256 * n * r, dklen=DIGEST_BYTES)


# The cheap hash comes first, so a generated secret matches before scrypt runs.
_HASHES: tuple[tuple[str, Callable[[Secret, bytes], bytes]], ...] = ((SHA256, _sha256), (SCRYPT, _scrypt))


def make_secret(kind: str, password: bytes, salt: bytes, created_at: int) -> Secret:
    """Hash a password for storage.

    Args:
        kind: "sha256" for a generated password of at least 128 random bits, "scrypt" for a chosen one.
        password: 1..1024 bytes.
        salt: 16 random bytes, new for every secret.
        created_at: Unix seconds.

    Raises:
        DeviceError: the password is empty or too long.
    """
    validate_password(password)
    unhashed = Secret(kind, salt, b"", created_at)
    return unhashed._replace(digest=dict(_HASHES)[kind](unhashed, password))


def match(secrets: tuple[Secret, ...], password: bytes, *, admit: bool) -> int | None:
    """Find the secret that a password matches, with the same work for every login that is refused.

    Args:
        secrets: 0..2 secrets of one device; () for an unknown user.
        password: from the login.
        admit: whether a match admits the client; only then does the search stop at the match.

    Returns:
        Index of the matching secret, or None.
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
    """Check that a password has 1..1024 bytes.

    Raises:
        DeviceError: it has not; the text does not contain the password.
    """
    if not 1 <= len(password) <= MAX_PASSWORD_BYTES:
        raise DeviceError(f"the password has {len(password)} bytes: 1 to {MAX_PASSWORD_BYTES} are allowed")


def validate_secret(secret: Secret) -> None:
    """Check a secret from a store, so that a broken one can neither match nor exhaust memory.

    Raises:
        DeviceError: the kind, a length or a scrypt parameter is out of range.
    """
    if secret.kind not in (SHA256, SCRYPT):
        raise DeviceError("the kind of a secret is unknown: expected sha256 or scrypt")
    if len(secret.salt) != SALT_BYTES or len(secret.digest) != DIGEST_BYTES:
        raise DeviceError(f"a secret needs a salt of {SALT_BYTES} bytes and a digest of {DIGEST_BYTES} bytes")
    n, r, p = secret.cost
    in_bounds = all(low <= value <= high for low, value, high in zip(DEFAULT_COST, secret.cost, MAX_COST, strict=True))
    if not in_bounds or n & (n - 1) or 128 * n * r > MAX_SCRYPT_BYTES:
        raise DeviceError(f"the scrypt parameters n={n}, r={r}, p={p} are out of range")
