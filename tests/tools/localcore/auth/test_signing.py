"""Token signatures: RSA, SHA-256, checked before any Lambda runs."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.auth.signing import MAX_SIGNATURE_CHARACTERS, MAX_TOKEN_CHARACTERS, TokenVerifier
from mqtt443_tools.localcore.localcore_errors import Refused

from tests.support.aws.lambda_functions import public_pem, signing_key

TOKEN = "abc+/=1"


def sign(token: bytes = TOKEN.encode(), key: str = "key") -> str:
    return base64.b64encode(signing_key(key).sign(token, padding.PKCS1v15(), hashes.SHA256())).decode()


def verifier(*names: str) -> TokenVerifier:
    return TokenVerifier({name: public_pem(signing_key(name)) for name in names or ("key",)})


def reason(token: str | None, signature: str | None) -> str:
    with pytest.raises(Refused) as refused:
        verifier().verify(token, signature)
    assert not (token and token in refused.value.detail)
    assert not (signature and signature in refused.value.detail)
    return refused.value.reason


def test_signature_of_any_key_of_the_authorizer_is_taken() -> None:
    both = verifier("other", "key")
    both.verify(TOKEN, sign())
    both.verify(TOKEN, sign(key="other"))


def test_token_is_verified_as_utf8_bytes() -> None:
    verifier().verify("tökén", sign("tökén".encode()))
    verifier().verify("\udcff", sign(b"\xff"))


def test_signature_of_another_key_or_token_is_a_mismatch() -> None:
    assert reason(TOKEN, sign(key="other")) == "SECURITY_TOKEN_SIGNATURE_MISMATCH"
    assert reason(TOKEN + " ", sign()) == "SECURITY_TOKEN_SIGNATURE_MISMATCH"


def test_other_padding_or_hash_is_a_mismatch() -> None:
    key = signing_key()
    pss = key.sign(TOKEN.encode(), padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256())
    sha512 = key.sign(TOKEN.encode(), padding.PKCS1v15(), hashes.SHA512())
    for raw in (pss, sha512):
        assert reason(TOKEN, base64.b64encode(raw).decode()) == "SECURITY_TOKEN_SIGNATURE_MISMATCH"


@pytest.mark.parametrize("signature", ["AA", "A", "AA=", "!!!!", "AA==AA==", " AAAA", "AAAA\n", "-_-_", "ÄÄÄÄ"])
def test_text_that_is_not_plain_base64_is_a_mismatch(signature: str) -> None:
    assert reason(TOKEN, signature) == "SECURITY_TOKEN_SIGNATURE_MISMATCH"


def test_missing_or_oversized_token_or_signature_is_invalid() -> None:
    for token in (None, "", "x" * (MAX_TOKEN_CHARACTERS + 1)):
        assert reason(token, sign()) == "SECURITY_TOKEN_INVALID"
    for signature in (None, "", "A" * (MAX_SIGNATURE_CHARACTERS + 4)):
        assert reason(TOKEN, signature) == "SECURITY_TOKEN_INVALID"
    longest = "x" * MAX_TOKEN_CHARACTERS
    verifier().verify(longest, sign(longest.encode()))


@settings(deadline=None)
@given(
    st.text(min_size=1, max_size=20),
    st.text(max_size=30) | st.binary(max_size=300).map(base64.b64encode).map(bytes.decode),
)
def test_nothing_but_a_signature_passes(token: str, signature: str) -> None:
    with pytest.raises(Refused):
        verifier().verify(token, signature)


def test_unusable_keys_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one public key"):
        TokenVerifier({})
    for pem in ("text", public_pem(signing_key("short", 1024)), public_pem(ec.generate_private_key(ec.SECP256R1()))):
        with pytest.raises(ValueError, match="public key k "):
            TokenVerifier({"k": pem})
