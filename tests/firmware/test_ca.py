"""The CA file: DER or PEM, one or several, or one line that says it is neither."""

import ssl
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from mqtt443 import ca
from mqtt443.errors import ConfigError

ROOTS = [trustme.CA().cert_pem.bytes() for _ in range(2)]
DERS = [ssl.PEM_cert_to_DER_cert(pem.decode()) for pem in ROOTS]


def load(folder: Path, data: bytes) -> list[bytes]:
    (folder / "ca").write_bytes(data)
    return [bytes(der) for der in ca.load(str(folder / "ca"))]


@pytest.mark.parametrize("count", [1, 2])
def test_der_is_split_into_certificates(tmp_path: Path, count: int) -> None:
    assert load(tmp_path, b"".join(DERS[:count])) == DERS[:count]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("newline", [b"\n", b"\r\n"])
def test_pem_is_decoded(tmp_path: Path, count: int, newline: bytes) -> None:
    text = b"# a comment\n" + b"\n".join(ROOTS[:count])
    assert load(tmp_path, text.replace(b"\n", newline)) == DERS[:count]


@pytest.mark.parametrize(
    "data",
    [b"", b"hello", DERS[0][:-1], DERS[0] + b"x", b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n"],
)
def test_anything_else_is_a_config_error(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(ConfigError, match="no certificate"):
        load(tmp_path, data)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no file .*nothing\.der"):
        ca.load(str(tmp_path / "nothing.der"))


@given(st.binary(max_size=64) | st.binary(max_size=64).map(lambda tail: b"\x30\x82" + tail))
def test_any_bytes_give_certificates_or_a_value_error(data: bytes) -> None:
    try:
        found = ca._from_der(data)
    except ValueError:
        return
    assert b"".join(found) == data
