"""The token signature that AWS checks before it calls the Lambda of an authorizer with signing.

RSA (2,048 bits or more), PKCS #1 v1.5, SHA-256 over the token's bytes; the signature in Base64 (AWS IoT Developer
Guide, "Connecting to AWS IoT Core by using custom authentication", "Signing the token").
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from mqtt443_tools.localcore.localcore_errors import Refused

MIN_KEY_BITS = 2048
MAX_TOKEN_CHARACTERS = 6144  # TestInvokeAuthorizer's limits; none is documented for a connection
MAX_SIGNATURE_CHARACTERS = 2560
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


class TokenVerifier:
    """Verifies token signatures against the public keys of one authorizer."""

    def __init__(self, public_keys: Mapping[str, str]) -> None:
        """Load the keys.

        Args:
            public_keys: key name -> PEM, as in CreateAuthorizer's tokenSigningPublicKeys; at least one.

        Raises:
            ValueError: there is no key, or one is not an RSA public key of at least 2,048 bits.
        """
        if not public_keys:
            raise ValueError("an authorizer with signing needs at least one public key")
        self._keys = [_load(name, pem) for name, pem in public_keys.items()]

    def verify(self, token: str | None, signature: str | None) -> None:
        """Check that one of the keys signed this token.

        Args:
            token: the text whose UTF-8 bytes were signed.
            signature: Base64 in the standard alphabet.

        Raises:
            Refused: SECURITY_TOKEN_INVALID where one is missing or too long, else SECURITY_TOKEN_SIGNATURE_MISMATCH.
        """
        if not token or len(token) > MAX_TOKEN_CHARACTERS:
            raise Refused(
                "SECURITY_TOKEN_INVALID", f"signing is on: send a token of 1..{MAX_TOKEN_CHARACTERS} characters"
            )
        if not signature or len(signature) > MAX_SIGNATURE_CHARACTERS:
            raise Refused(
                "SECURITY_TOKEN_INVALID",
                f"signing is on: send a token signature of 1..{MAX_SIGNATURE_CHARACTERS} characters",
            )
        raw = _decode(signature)
        # Non-ASCII bytes of a header arrive as lone surrogates.
        signed = token.encode("utf-8", "surrogateescape")
        if not any(_signed_by(key, raw, signed) for key in self._keys):
            raise Refused(
                "SECURITY_TOKEN_SIGNATURE_MISMATCH", "no public key of the authorizer fits the token signature"
            )


def _load(name: str, pem: str) -> rsa.RSAPublicKey:
    try:
        key = load_pem_public_key(pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError(f"public key {name} is not a PEM public key") from None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < MIN_KEY_BITS:
        raise ValueError(f"public key {name} must be RSA with at least {MIN_KEY_BITS} bits")
    return key


def _decode(signature: str) -> bytes:
    if not _BASE64.fullmatch(signature) or len(signature) % 4:
        raise Refused(
            "SECURITY_TOKEN_SIGNATURE_MISMATCH",
            "the token signature is not Base64 of the standard alphabet with padding (base64url is not accepted)",
        )
    return base64.b64decode(signature)


def _signed_by(key: rsa.RSAPublicKey, signature: bytes, signed: bytes) -> bool:
    try:
        key.verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
