"""Tokens on their way to the Lambda: found, decoded, verified first where signing is on."""

from __future__ import annotations

import base64
import dataclasses
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from tests.support.aws.authorizers import REQUEST, ask, chosen
from tests.support.aws.lambda_functions import public_pem, signing_key

TOKEN = "abc+/=1"
SIGNATURE = base64.b64encode(signing_key().sign(TOKEN.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()
SIGNING = {
    "name": "signed",
    "signing_disabled": False,
    "token_key_name": "tok",
    "public_keys": {"k1": public_pem(signing_key())},
}


def signed(token: str = TOKEN, signature: str = SIGNATURE) -> str:
    return f"dev?x-amz-customauthorizer-name=signed&x-amz-customauthorizer-signature={signature}&tok={token}"


@pytest.mark.parametrize(
    "username",
    [
        signed(signature=quote(SIGNATURE)),  # as the SDK sends it: `/` stays, the token is not encoded
        signed(signature=quote(SIGNATURE, safe="")),
        signed(signature=SIGNATURE),
        signed(token=quote(TOKEN, safe="")),
        signed() + "&SDK=IoTDeviceSDK/Python&Metadata=(CRTVersion=0.36.1;X=F/3,G/A)",
    ],
)
def test_signed_token_is_verified_and_handed_on(tmp_path: Path, username: str) -> None:
    outcome, (event,) = ask(tmp_path, dataclasses.replace(REQUEST, mqtt_username=username), SIGNING)
    assert chosen(outcome) == "signed"
    assert event["token"] == TOKEN
    assert event["signatureVerified"] is True
    assert event["protocolData"]["mqtt"]["username"] == username


def test_signed_token_may_come_in_http_headers_or_query_string(tmp_path: Path) -> None:
    headers = {"x-amz-customauthorizer-name": "signed", "X-Amz-CustomAuthorizer-Signature": SIGNATURE, "Tok": TOKEN}
    bare = dataclasses.replace(REQUEST, protocols=("tls", "http"), mqtt_username=None, http_headers={}, http_query="")
    by_header = dataclasses.replace(bare, http_headers=headers)
    by_query = dataclasses.replace(bare, http_query=signed().removeprefix("dev"))
    for request in (by_header, by_query):
        outcome, (event,) = ask(tmp_path, request, SIGNING)
        assert chosen(outcome) == "signed"
        assert event["token"] == TOKEN


@pytest.mark.parametrize(
    ("username", "reason"),
    [
        ("dev?x-amz-customauthorizer-name=signed", "SECURITY_TOKEN_INVALID"),
        (signed(token=""), "SECURITY_TOKEN_INVALID"),
        (signed(signature=""), "SECURITY_TOKEN_INVALID"),
        (signed(token="abc+/=2"), "SECURITY_TOKEN_SIGNATURE_MISMATCH"),
        (signed(signature="AAAA"), "SECURITY_TOKEN_SIGNATURE_MISMATCH"),
        (
            signed(signature=SIGNATURE.replace("+", "-").replace("/", "_").rstrip("=")),
            "SECURITY_TOKEN_SIGNATURE_MISMATCH",
        ),
    ],
)
def test_lambda_is_not_called_without_a_good_signature(tmp_path: Path, username: str, reason: str) -> None:
    outcome, events = ask(tmp_path, dataclasses.replace(REQUEST, mqtt_username=username), SIGNING)
    assert chosen(outcome) == reason
    assert events == []


def test_token_is_handed_on_unverified_where_signing_is_off(tmp_path: Path) -> None:
    plain = {"name": "a", "token_key_name": "tok"}
    outcome, (event,) = ask(tmp_path, dataclasses.replace(REQUEST, mqtt_username="dev?tok=a%2Bb+c"), plain, default="a")
    assert chosen(outcome) == "a"
    assert (event["token"], event["signatureVerified"]) == ("a+b+c", False)
    _, (event,) = ask(tmp_path, REQUEST, plain, default="a")
    assert "token" not in event


def test_token_can_be_left_url_encoded(tmp_path: Path) -> None:
    plain = {"name": "a", "token_key_name": "tok"}
    request = dataclasses.replace(REQUEST, mqtt_username="dev?tok=a%2Bb+c")
    _, (event,) = ask(tmp_path, request, plain, default="a", decode_token=False)
    assert event["token"] == "a%2Bb+c"
