"""Token signing: without a token signed by our key, AWS closes the connection before it calls the Lambda.

The key pair is made on this machine, and the private key never leaves it. A token is random and belongs to one
config.json; it proves that its bearer was given one. The password still proves who that is.
"""

import base64
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from mqtt443_authorizer.files import write_private

from mqtt443_tools.support.errors import CommandError

KEY_BITS = 2048  # "RSA key with at least 2048 bits": AWS IoT Developer Guide, "Signing the token"
TOKEN_BYTES = 16
TOKEN_KEY = "mqtt443-token"  # noqa: S105  a name: TokenKeyName in authorizer/mqtt443_authorizer/template.yaml
MAX_KEY_BYTES = 64 * 1024


class Token(NamedTuple):
    """A token and its signature: RSA, PKCS #1 v1.5, SHA-256, in Base64."""

    token: str
    signature: str

    def config(self) -> dict[str, object]:
        """Return the keys for config.json."""
        return {"token": self.token, "token_key": TOKEN_KEY, "token_signature": self.signature}


class SigningKey:
    """A private key that signs tokens."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key

    @classmethod
    def load(cls, path: Path) -> "SigningKey":
        """Read a key from a file. Raises CommandError for an unusable key, FileNotFoundError without a file."""
        try:
            with path.open("rb") as file:
                content = file.read(MAX_KEY_BYTES + 1)
            if len(content) > MAX_KEY_BYTES:
                raise CommandError(f"{path}: larger than {MAX_KEY_BYTES:,} bytes: not a private key in PEM")
            key = load_pem_private_key(content, None)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CommandError(f"{path}: not a private key in PEM without a pass phrase") from error
        if not isinstance(key, rsa.RSAPrivateKey) or key.key_size < KEY_BITS:
            raise CommandError(f"{path}: AWS accepts RSA keys of at least {KEY_BITS} bits")
        return cls(key)

    @classmethod
    def make(cls, path: Path) -> "SigningKey":
        """Make a key and keep it in a file, mode 0600. Raises CommandError if it cannot be written."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
        try:
            write_private(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        except OSError as error:
            raise CommandError(f"{path}: {error.strerror}") from error
        return cls(key)

    @property
    def public_pem(self) -> str:
        """The public key, as AWS takes it."""
        return self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()

    def issue(self, random_text: Callable[[int], str] = secrets.token_urlsafe) -> Token:
        """Make a token of 128 random bits and sign it."""
        token = random_text(TOKEN_BYTES)
        signature = self._key.sign(token.encode(), padding.PKCS1v15(), hashes.SHA256())
        return Token(token, base64.b64encode(signature).decode())


def key_path(state: Path, stack: str, account: str, region: str) -> Path:
    """Return the file that holds the private key of a stack."""
    return state / "signing" / f"{account}-{region}-{stack}.pem"
