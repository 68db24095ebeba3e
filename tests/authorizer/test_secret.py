"""Hashing, comparing and checking of secrets."""

import hashlib
from typing import Any

import pytest
from mqtt443_authorizer.errors import DeviceError
from mqtt443_authorizer.secret import SCRYPT, SHA256, ScryptCost, Secret, make_secret, match, validate_secret

from tests.support.aws.logins import CHOSEN, GENERATED, OTHER_CHOSEN, OTHER_GENERATED

SALT = bytes(range(16))


def test_generated_secret_is_sha256_of_salt_and_password() -> None:
    assert GENERATED.digest == hashlib.sha256(SALT + b"p@ss").digest()


def test_chosen_secret_is_scrypt_with_16384_8_1() -> None:
    assert CHOSEN.digest == hashlib.scrypt(b"p@ss", salt=SALT, n=16384, r=8, p=1, dklen=32)


@pytest.mark.parametrize("admit", [True, False])
@pytest.mark.parametrize(
    ("secrets", "index"),
    [
        ((GENERATED,), 0),
        ((CHOSEN,), 0),
        ((OTHER_GENERATED, GENERATED), 1),
        ((OTHER_CHOSEN, GENERATED), 1),
        ((OTHER_GENERATED, CHOSEN), 1),
        ((GENERATED, OTHER_CHOSEN), 0),
        ((OTHER_GENERATED, OTHER_CHOSEN), None),
        ((), None),
    ],
)
def test_match_returns_the_index_of_the_secret(secrets: tuple[Secret, ...], index: int | None, admit: bool) -> None:
    assert match(secrets, b"p@ss", admit=admit) == index


def test_digest_of_one_kind_never_matches_as_the_other() -> None:
    confused = GENERATED._replace(kind=SCRYPT)
    assert match((confused,), b"p@ss", admit=True) is None


def test_repr_of_a_secret_hides_the_digest() -> None:
    assert GENERATED.digest.hex() not in repr(GENERATED)
    assert repr(GENERATED.digest) not in repr(GENERATED)


@pytest.mark.parametrize("password", [b"", b"p" * 1025])
def test_password_of_invalid_length_is_refused(password: bytes) -> None:
    with pytest.raises(DeviceError, match="1 to 1024"):
        make_secret(SHA256, password, SALT, 0)


@pytest.mark.parametrize("cost", [(2**16, 8, 1), (2**15, 8, 4), (2**14, 16, 1)])
def test_scrypt_cost_in_range_is_valid(cost: tuple[int, int, int]) -> None:
    validate_secret(CHOSEN._replace(cost=ScryptCost(*cost)))


@pytest.mark.parametrize(
    "cost",
    [
        (2, 8, 1),
        (2**14 + 1, 8, 1),
        (2**17, 8, 1),
        (2**16, 16, 1),
        (2**14, 1, 1),
        (2**14, 8, 0),
        (2**14, 8, 5),
        (-(2**14), 8, 1),
    ],
)
def test_scrypt_cost_out_of_range_is_refused(cost: tuple[int, int, int]) -> None:
    with pytest.raises(DeviceError, match="out of range"):
        validate_secret(CHOSEN._replace(cost=ScryptCost(*cost)))


@pytest.mark.parametrize("change", [{"kind": "md5"}, {"kind": "none"}, {"salt": b""}, {"digest": b"x"}])
def test_broken_secret_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(DeviceError):
        validate_secret(GENERATED._replace(**change))
