"""Access control of the console: only browsers that opened the link of this start, and only from pages of this origin.

The link carries a token. Opening it sets a cookie (HttpOnly, SameSite=Strict), which every later request needs. Host
must name this server (against DNS rebinding), and so must Origin, if the browser sends it (against other sites' pages).
"""

from __future__ import annotations

import hmac
import secrets
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

WS_POLICY_VIOLATION = 1008
NEEDS_LINK = "Open the link that mqtt443 printed when the console started.\n"


class Access:
    """The secrets of one start.

    Args:
        port: where the server listens, on 127.0.0.1.
    """

    def __init__(self, port: int) -> None:
        self.token = secrets.token_urlsafe(32)
        self._cookie = secrets.token_urlsafe(32)
        self._cookie_name = f"mqtt443-{port}"  # cookies ignore the port
        self.hosts = (f"127.0.0.1:{port}", f"localhost:{port}")
        self.link = f"http://{self.hosts[0]}/?token={self.token}"

    def refusal(self, scope: Scope) -> str | None:
        """Return why a request is refused, None if it is allowed."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if host not in self.hosts:
            return "wrong host\n"
        if self.is_link(scope):
            return None
        needs_origin = scope["type"] == "websocket" or scope["method"] not in {"GET", "HEAD"}
        origin = headers.get("origin", "" if needs_origin else f"http://{host}")
        if origin != f"http://{host}":
            return "wrong origin\n"
        if headers.get("sec-fetch-site", "none") not in {"none", "same-origin"}:
            return "wrong site\n"
        return None if self._has_cookie(headers) else NEEDS_LINK

    def is_link(self, scope: Scope) -> bool:
        """Return whether a request opens the link."""
        if scope["type"] != "http" or scope["method"] != "GET" or scope["path"] != "/":
            return False
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        return hmac.compare_digest(given.encode(), self.token.encode())

    def set_cookie(self) -> str:
        """Return the header that sets the cookie."""
        return f"{self._cookie_name}={self._cookie}; HttpOnly; SameSite=Strict; Path=/"

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            morsel = SimpleCookie(headers.get("cookie", "")).get(self._cookie_name)
        except CookieError:
            return False
        return morsel is not None and hmac.compare_digest(morsel.value.encode(), self._cookie.encode())


class Guard:
    """ASGI middleware that enforces Access, and adds the security headers to every answer."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(_HEADERS)
                if self._access.is_link(scope):
                    headers["set-cookie"] = self._access.set_cookie()
            await send(message)

        refusal = self._access.refusal(scope)
        if refusal is None:
            await self._app(scope, receive, guarded)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": WS_POLICY_VIOLATION})
        else:
            await PlainTextResponse(refusal, 403)(scope, receive, guarded)


_HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
