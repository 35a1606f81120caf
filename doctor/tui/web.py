"""The app in a browser. Whoever reaches it can read logs as its user, so each start has a key of its own.

A page of another site must not be able to drive it: the key stands in a cookie that other sites do not send, the Host
and Origin headers must name this server (DNS rebinding, cross-site WebSockets), and the page loads nothing foreign.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import shlex
import sys
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web
from textual_serve.server import Server

COOKIE = "gpu-doctor-key"
POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class DoctorServer(Server):
    """Serves one app process for each browser that has the key."""

    def __init__(self, host: str, port: int, public_url: str | None = None, key: str | None = None) -> None:
        command = f"{shlex.quote(sys.executable)} -m doctor.tui"
        super().__init__(command, host=host, port=port, title="gpu-doctor", public_url=public_url)
        self.key = key or secrets.token_urlsafe(24)

    @property
    def address(self) -> str:
        """What a person opens: the address with the key."""
        return f"{self.public_url}/?key={self.key}"

    async def on_startup(self, app: web.Application) -> None:
        self._announcing = asyncio.create_task(self._announce())

    async def _announce(self) -> None:
        """Print the address once it can be opened: this is called before the port is listened on."""
        while True:
            try:
                _, writer = await asyncio.open_connection(self.host, self.port)
                break
            except OSError:
                await asyncio.sleep(0.05)
        writer.close()
        print(self.address, flush=True)
        print("gpu-doctor: serving; whoever has this address sees what you see. Ctrl+C ends it.", file=sys.stderr)

    async def _make_app(self) -> web.Application:
        app = await super()._make_app()
        app.middlewares.append(self._guard)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        ours = urlsplit(self.public_url).netloc
        if request.headers.get("Host") not in (ours, f"{self.host}:{self.port}"):
            raise web.HTTPForbidden(text="wrong Host header")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.headers["Host"]:
            raise web.HTTPForbidden(text="wrong Origin header")
        if given := request.query.get("key"):
            return self._admitted(given)
        if not hmac.compare_digest(request.cookies.get(COOKIE, ""), self.key):
            raise web.HTTPForbidden(text="open the address that `gpu-doctor serve` printed")
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = POLICY
            response.headers["Referrer-Policy"] = "no-referrer"
            response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    def _admitted(self, given: str) -> web.Response:
        """The key moves from the address into a cookie, so that it does not stay in the history's page."""
        if not hmac.compare_digest(given, self.key):
            raise web.HTTPForbidden(text="wrong key")
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(COOKIE, self.key, httponly=True, samesite="Lax", path="/")
        return response
