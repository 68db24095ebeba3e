"""HTTP/1.1 requests from a stream of bytes: heads parsed by the `websockets` library, bodies by Content-Length.

That library's Request reads no body, so the Content-Length lines are removed for it and parsed here. Chunked bodies are
refused (411). `http.py` routes and answers.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass
from http import HTTPStatus

from websockets.exceptions import HeaderLineTooLong, RequestLineTooLong, TooManyHeaders
from websockets.http11 import Request
from websockets.streams import StreamReader

from mqtt443_tools.localcore.localcore_errors import HttpError
from mqtt443_tools.localcore.settings import Settings

CONTENT_LENGTH = re.compile(rb"[0-9]{1,10}")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A whole request: the library's head, and the body."""

    head: Request
    body: bytes

    @property
    def path(self) -> str:
        """The target up to its `?`, still URL-encoded."""
        return self.head.path.partition("?")[0]

    @property
    def query(self) -> str:
        """The query with its `?`, or nothing."""
        mark = self.head.path.find("?")
        return self.head.path[mark:] if mark >= 0 else ""

    @property
    def headers(self) -> dict[str, str]:
        """Header names as sent; values of a name that comes twice are joined as RFC 9110 section 5.3 allows."""
        joined: dict[str, str] = {}
        names: dict[str, str] = {}
        for name, value in self.head.headers.raw_items():
            known = names.setdefault(name.lower(), name)
            joined[known] = f"{joined[known]}, {value}" if known in joined else value
        return joined

    @property
    def keeps_alive(self) -> bool:
        """Return whether the client may send another request on the connection (RFC 9112 section 9.3)."""
        options = ",".join(self.head.headers.get_all("Connection")).lower()
        return self.head.protocol == "HTTP/1.1" and "close" not in options


class RequestParser:
    """Cuts a stream of bytes into requests, one at a time, in bounded memory."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stream = StreamReader()
        self._parsing: Generator[None, None, HttpRequest] | None = None

    def feed(self, data: bytes) -> HttpRequest | None:
        """Process bytes (none: those already buffered); return the next request if it is complete.

        Raises HttpError for a request that must be refused; the stream is unusable afterwards.
        """
        self._stream.feed_data(data)
        if self._parsing is None:
            self._parsing = self._parse()
        try:
            next(self._parsing)
        except StopIteration as done:
            self._parsing = None
            request: HttpRequest = done.value
            return request
        except RequestLineTooLong as error:
            raise HttpError(HTTPStatus.REQUEST_URI_TOO_LONG, str(error)) from None
        except (HeaderLineTooLong, TooManyHeaders) as error:
            raise HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, str(error)) from None
        except NotImplementedError:
            raise HttpError(HTTPStatus.LENGTH_REQUIRED, "send a Content-Length; chunks are not read") from None
        except (ValueError, EOFError):
            raise HttpError(HTTPStatus.BAD_REQUEST, "not an HTTP/1.1 request") from None
        return None

    def rest(self) -> bytes:
        """Return the bytes after the last request, which belong to the protocol that it upgraded to."""
        rest = bytes(self._stream.buffer)
        self._stream.discard()
        return rest

    def _parse(self) -> Generator[None, None, HttpRequest]:
        lengths: list[bytes] = []
        room = self._settings.max_http_head_bytes

        def read_line(limit: int, too_long: type[Exception]) -> Generator[None, None, bytes]:
            nonlocal room
            line = bytes((yield from self._stream.read_line(min(limit, room), too_long)))
            room -= len(line)
            name, colon, value = line.partition(b":")
            if colon and name.lower() == b"content-length" and line.endswith(b"\r\n"):  # the library refuses others
                lengths.append(value[:-2].strip(b" \t"))
                return b"Content-Length: 0\r\n"
            return line

        head = yield from Request.parse(read_line)
        body = yield from self._stream.read_exact(self._body_bytes(lengths))
        return HttpRequest(head, bytes(body))

    def _body_bytes(self, lengths: list[bytes]) -> int:
        if not lengths:
            return 0
        if len(set(lengths)) > 1 or not CONTENT_LENGTH.fullmatch(lengths[0]):  # RFC 9112 section 6.3
            raise HttpError(HTTPStatus.BAD_REQUEST, "Content-Length is not a number, or two different ones")
        if (length := int(lengths[0])) > self._settings.max_payload_bytes:
            raise HttpError(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"a payload of {length} bytes, the limit is {self._settings.max_payload_bytes}",
            )
        return length
