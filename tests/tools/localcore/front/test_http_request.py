"""The HTTP request parser: whole requests from any chunks, errors with the right status, bounded memory."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mqtt443_tools.localcore.front.http_request import HttpRequest, RequestParser
from mqtt443_tools.localcore.localcore_errors import HttpError
from mqtt443_tools.localcore.settings import Settings

SETTINGS = Settings(max_http_head_bytes=1000, max_payload_bytes=100)
HOST = b"Host: localhost\r\n"


def parse(data: bytes) -> HttpRequest:
    request = RequestParser(SETTINGS).feed(data)
    assert request is not None
    return request


def status(data: bytes) -> int:
    with pytest.raises(HttpError) as caught:
        RequestParser(SETTINGS).feed(data)
    return int(caught.value.status)


def post(body: bytes, *headers: bytes) -> bytes:
    return b"POST /topics/a?qos=1 HTTP/1.1\r\n" + b"".join(h + b"\r\n" for h in headers) + b"\r\n" + body


@settings(max_examples=100)
@given(st.lists(st.binary(max_size=100), min_size=1, max_size=4), st.integers(1, 40))
def test_requests_come_out_of_any_chunks_as_they_went_in(bodies: list[bytes], size: int) -> None:
    stream = b"".join(post(body, b"Content-Length: %d" % len(body)) for body in bodies)
    parser, received = RequestParser(SETTINGS), []
    for start in range(0, len(stream), size):
        request = parser.feed(stream[start : start + size])
        while request is not None:
            received.append(request.body)
            request = parser.feed(b"")
    assert received == bodies


@settings(max_examples=200)
@given(st.lists(st.binary(max_size=300), max_size=8))
def test_any_bytes_give_a_request_or_an_error(chunks: list[bytes]) -> None:
    parser = RequestParser(SETTINGS)
    try:
        for chunk in chunks:
            parser.feed(chunk)
    except HttpError as error:
        assert 400 <= error.status < 500


def test_path_query_and_headers_are_taken_apart() -> None:
    request = parse(b"GET /mqtt?a=b&c=%3F HTTP/1.1\r\n" + HOST + b"X-One: 1\r\nx-one: 2\r\nTwo: caf\xe9\r\n\r\n")
    assert (request.path, request.query, request.body) == ("/mqtt", "?a=b&c=%3F", b"")
    assert request.headers == {"Host": "localhost", "X-One": "1, 2", "Two": "café"}


def test_target_without_a_query_has_none() -> None:
    assert parse(b"GET / HTTP/1.1\r\n\r\n").query == ""


def test_bytes_after_an_upgrade_request_go_to_the_next_protocol() -> None:
    parser = RequestParser(SETTINGS)
    assert parser.feed(b"GET /mqtt HTTP/1.1\r\n\r\n\x82\x00") is not None
    assert parser.rest() == b"\x82\x00"
    assert parser.rest() == b""


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", True),
        (b"GET / HTTP/1.1\r\nConnection: Close\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\n\r\n", False),
    ],
)
def test_connection_is_kept_as_http_1_1_says(head: bytes, keeps: bool) -> None:
    assert parse(head).keeps_alive is keeps


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (post(b"", b"Transfer-Encoding: chunked"), 411),
        (post(b"", b"Content-Length: 101"), 413),
        (post(b"", b"Content-Length: 5", b"Content-Length: 6"), 400),
        (post(b"", b"Content-Length: -1"), 400),
        (post(b"", b"Content-Length: +1"), 400),
        (post(b"", b"Content-Length: 1, 1"), 400),
        (post(b"", b"Content-Length:"), 400),
        (b"GET / HTTP/2.0\r\n\r\n", 400),
        (b"GET /\r\n\r\n", 400),
        (b"GET /caf\xc3\xa9 HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET / HTTP/1.1\nHost: x\n\n", 400),
        (b"GET /" + b"x" * 1000, 414),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 1000, 431),
        (b"GET / HTTP/1.1\r\n" + b"X: xxxxxxx\r\n" * 100, 431),
        (b"GET / HTTP/1.1\r\n" + b"X:\r\n" * 200, 431),
    ],
)
def test_request_that_cannot_be_served_gets_its_status(data: bytes, expected: int) -> None:
    assert status(data) == expected


def test_same_length_twice_is_one_length() -> None:
    assert parse(post(b"12345", b"Content-Length: 5", b"content-length: 5")).body == b"12345"


@pytest.mark.parametrize(
    "line",
    [b"Content-Length: 2\n", b"Content-Length: 2\r\r\n", b"Content-Length: \x0b2\r\n", b"Content-Length: 2\x0c\r\n"],
)
def test_ambiguous_content_length_is_refused(line: bytes) -> None:
    assert status(b"POST /topics/a HTTP/1.1\r\n" + HOST + line + b"\r\nhi") == 400
