"""Who may talk to the server: the browser that was opened with its address, and nobody else.

The address has a token that is good for one visit. It is exchanged for a cookie, which scripts cannot read and other
sites cannot make the browser send, and a redirect takes the token out of the address. Requests are refused whose host
is another than this server (DNS rebinding), that another site caused, or that lack the cookie.
"""

import hmac
import secrets
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)
HEADERS = {
    "content-security-policy": POLICY,
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",  # with "no-referrer" browsers send no origin with forms
    "x-content-type-options": "nosniff",
}


class Guard:
    """An ASGI application that lets the requests of one browser through to ``app``. ``port``: that of the server."""

    def __init__(self, app: ASGIApp, port: int) -> None:
        self._app, self._port = app, port
        self._hosts = {f"127.0.0.1:{port}", f"localhost:{port}"}
        self._cookie = f"review-{port}"  # browsers do not keep the cookies of ports apart
        self._session = secrets.token_urlsafe(32)
        self._token: str | None = secrets.token_urlsafe(32)

    def address(self) -> str:
        """Return the address to open, with the token."""
        return f"http://127.0.0.1:{self._port}/open?token={self._token}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or pass on one request, with security headers on every response."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        answer = self._answer(scope) if scope["type"] == "http" else PlainTextResponse("", 403)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _answer(self, scope: Scope) -> Response | None:
        """Return the answer to a request that the application must not see; None if it may."""
        headers = Headers(scope=scope)
        host, origin = headers.get("host", ""), headers.get("origin")
        if host not in self._hosts:
            return _refuse("This server answers to 127.0.0.1 and localhost only.")
        if origin != f"http://{host}" and (origin is not None or scope["method"] not in ("GET", "HEAD")):
            return _refuse("This request comes from another site.")
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            return _refuse("This request comes from another site.")
        if scope["path"] == "/open":
            return self._exchange(scope["query_string"])
        if not self._has_cookie(headers.get("cookie", "")):
            return _refuse("Open the address that the command printed; it is good for one visit.")
        return None

    def _exchange(self, query: bytes) -> Response:
        given = parse_qs(query.decode("latin-1")).get("token", [""])[0]
        if self._token is None or not _equal(given, self._token):
            return _refuse(
                "This address was used already or is wrong. Stop the command and start it again for a new one."
            )
        self._token = None
        response = RedirectResponse("/", 303)
        response.set_cookie(self._cookie, self._session, httponly=True, samesite="strict", path="/")
        return response

    def _has_cookie(self, header: str) -> bool:
        pairs = (each.strip().partition("=") for each in header.split(";"))
        return any(name == self._cookie and _equal(value, self._session) for name, _, value in pairs)


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), expected.encode())


def _refuse(message: str) -> Response:
    return PlainTextResponse(message + "\n", 403)
