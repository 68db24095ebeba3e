"""How secrets are kept and compared, and what a stored one may be."""

import hashlib

import pytest
from mqtt443_authorizer.errors import DeviceError
from mqtt443_authorizer.secret import SCRYPT, SHA256, ScryptCost, make_secret, match, validate_secret

from tests.support.aws.logins import CHOSEN, GENERATED, OTHER_CHOSEN, OTHER_GENERATED

SALT = bytes(range(16))


def test_a_generated_secret_is_the_sha256_of_salt_and_password():
    assert GENERATED.digest == hashlib.sha256(SALT + b"p@ss").digest()


def test_a_chosen_secret_is_scrypt_with_16384_8_1():
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
def test_the_index_of_the_matching_secret_is_found(secrets, index, admit):
    assert match(secrets, b"p@ss", admit=admit) == index


def test_a_digest_of_one_kind_does_not_match_as_the_other():
    confused = GENERATED._replace(kind=SCRYPT)
    assert match((confused,), b"p@ss", admit=True) is None


def test_a_secret_does_not_show_its_digest():
    assert GENERATED.digest.hex() not in repr(GENERATED)
    assert repr(GENERATED.digest) not in repr(GENERATED)


@pytest.mark.parametrize("password", [b"", b"p" * 1025])
def test_a_password_out_of_bounds_is_no_secret(password):
    with pytest.raises(DeviceError, match="1 to 1024"):
        make_secret(SHA256, password, SALT, 0)


@pytest.mark.parametrize("cost", [(2**16, 8, 1), (2**15, 8, 4), (2**14, 16, 1)])
def test_scrypt_parameters_within_bounds_are_taken(cost):
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
def test_scrypt_parameters_out_of_bounds_are_refused(cost):
    with pytest.raises(DeviceError, match="out of bounds"):
        validate_secret(CHOSEN._replace(cost=ScryptCost(*cost)))


@pytest.mark.parametrize("change", [{"kind": "md5"}, {"kind": "none"}, {"salt": b""}, {"digest": b"x"}])
def test_a_broken_secret_is_refused(change):
    with pytest.raises(DeviceError):
        validate_secret(GENERATED._replace(**change))
