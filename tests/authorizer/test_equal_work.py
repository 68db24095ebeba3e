"""Every refusal costs the same hashing, whatever its cause; counted, not timed."""

import base64
import hashlib
from typing import Any

import pytest
from mqtt443_authorizer.secret import Secret

from tests.support.aws.logins import CHOSEN, GENERATED, OTHER_CHOSEN, OTHER_GENERATED, Desk, device, event


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Record every call of scrypt, with its parameters, and of SHA-256."""
    calls: list[object] = []
    scrypt, sha256 = hashlib.scrypt, hashlib.sha256

    def counting_scrypt(password: bytes, **parameters: Any) -> Any:
        calls.append(("scrypt", parameters["n"], parameters["r"], parameters["p"]))
        return scrypt(password, **parameters)

    def counting_sha256(content: bytes) -> Any:
        calls.append("sha256")
        return sha256(content)

    monkeypatch.setattr(hashlib, "scrypt", counting_scrypt)
    monkeypatch.setattr(hashlib, "sha256", counting_sha256)
    return calls


REFUSAL = ["sha256"] * 2 + [("scrypt", 16384, 8, 1)] * 2


def login(username: str = "dev1", password: bytes = b"p@ss", client_id: str = "sensor-1") -> Any:
    recorded = event("mqtt")
    recorded["protocolData"]["mqtt"] = {
        "username": username,
        "password": base64.b64encode(password).decode(),
        "clientId": client_id,
    }
    return recorded


SECRETS = [
    (GENERATED,),
    (CHOSEN,),
    (GENERATED, OTHER_GENERATED),
    (OTHER_CHOSEN, CHOSEN),
    (OTHER_CHOSEN, GENERATED),
    (OTHER_GENERATED, CHOSEN),
]


@pytest.mark.parametrize("secrets", SECRETS)
@pytest.mark.parametrize(
    ("attempt", "enabled", "reason"),
    [
        (login(password=b"wrong"), True, "wrong password"),
        (login(password=b"wrong"), False, "wrong password"),
        (login(), False, "the device is disabled"),
        (login(client_id="sensor-2"), True, "the client id is not that of the user name"),
        (login(password=b"wrong", client_id="sensor-2"), True, "wrong password"),
        (login(username="nobody"), True, "unknown user name"),
    ],
)
def test_every_refusal_hashes_the_same(
    hashed: list[Any], secrets: tuple[Secret, ...], attempt: dict[str, Any], enabled: bool, reason: str
) -> None:
    desk = Desk(device(secrets=secrets, enabled=enabled))
    answer = desk.decide(attempt)
    assert (answer["isAuthenticated"], desk.reason) == (False, reason)
    assert hashed == REFUSAL


@pytest.mark.parametrize("secrets", [(GENERATED,), (OTHER_CHOSEN, GENERATED), (GENERATED, OTHER_CHOSEN)])
def test_matching_generated_secret_runs_no_scrypt(hashed: list[Any], secrets: tuple[Secret, ...]) -> None:
    assert Desk(device(secrets=secrets)).decide(login())["isAuthenticated"]
    assert [call for call in hashed if call != "sha256"] == []
