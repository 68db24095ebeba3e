"""The head of an HTTP response: read to its end and not past it, bounded, strict."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mqtt443.errors import ProtocolError
from mqtt443.http import read_head

from tests.firmware.fakes import Wire

HEAD = b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-Y:  z \r\n\r\n"


def test_status_and_headers_are_read_and_nothing_behind_them() -> None:
    wire = Wire([HEAD + b"\x82\x01x"])
    status, headers = read_head(wire)
    assert status == 200
    assert headers == {"date": "Sun, 06 Nov 1994 08:49:37 GMT", "x-y": "z"}
    assert wire.incoming == [b"\x82\x01x"]


def test_head_over_2_kb_is_refused() -> None:
    with pytest.raises(ProtocolError, match="2048"):
        read_head(Wire([b"HTTP/1.1 200 OK\r\nX: " + b"y" * 3000 + b"\r\n\r\n"]))


@pytest.mark.parametrize(
    "head",
    [b"\r\n\r\n", b"HTTP/2 200\r\n\r\n", b"HTTP/1.1 2x0\r\n\r\n", b"HTTP/1.1 200\r\nno colon\r\n\r\n", b"\xff\r\n\r\n"],
)
def test_answer_that_is_not_http_is_a_protocol_error(head: bytes) -> None:
    with pytest.raises(ProtocolError, match="not HTTP"):
        read_head(Wire([head]))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_head_or_a_protocol_error(data: bytes) -> None:
    try:
        status, headers = read_head(Wire([data.replace(b"\r\n\r\n", b"") + b"\r\n\r\n"]))
    except ProtocolError:
        return
    assert 0 <= status <= 999
    assert isinstance(headers, dict)
