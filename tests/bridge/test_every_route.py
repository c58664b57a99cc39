"""Every route of the server, asked by those who may not: nothing is served, and nothing is begun."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientSession
from bridge_rig import EchoFactory, loop_clock, settings
from pydantic import SecretStr

from offhook.bridge.server import Server
from offhook.bridge.twilio.signature import signature

TOKEN = "0123456789abcdef0123456789abcdef"
PUBLIC = "https://bridge.example.com"
FORM = {"CallSid": "CA1", "From": "+14155550101", "To": "+14155550102"}
OPEN_TO_ALL = {"/livez", "/readyz"}
"""They tell that the server is there, and nothing of a call."""
UPGRADE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def intruders(path: str) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Headers of those who may not, and who they are."""
    here = f"{PUBLIC}{path}"
    yield "nobody in particular", {}
    yield "somebody who guesses a signature", {"X-Twilio-Signature": "AAAAAAAAAAAAAAAAAAAAAAAAAAA="}
    other_key = {"X-Twilio-Signature": signature(here, _several(FORM), "another account's token")}
    yield "another account", other_key
    other_page = signature(f"{PUBLIC}/voice/elsewhere", _several(FORM), TOKEN)
    yield "a request of another page, said again here", {"X-Twilio-Signature": other_page}
    other_call = signature(here, _several({**FORM, "CallSid": "CA2"}), TOKEN)
    yield "a request of another call, said again for this one", {"X-Twilio-Signature": other_call}
    yield "somebody who guesses a key", {"Authorization": "Bearer 0123456789"}
    yield "somebody who shows the token where the key belongs", {"Authorization": f"Bearer {TOKEN}"}
    yield "a page of another site", {"Origin": "https://evil.example.com"}
    yield "a proxy on this machine", {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "127.0.0.1"}


def _several(form: Mapping[str, str]) -> dict[str, list[str]]:
    return {name: [value] for name, value in form.items()}


@asynccontextmanager
async def served() -> AsyncIterator[tuple[Server, EchoFactory, str]]:
    factory = EchoFactory()
    chosen = settings(
        public_url=PUBLIC, twilio_auth_token=SecretStr(TOKEN), twilio_account_sid="AC" + "0" * 32
    )
    server = Server(chosen, factory, loop_clock())
    port = await server.start("127.0.0.1", 0)
    try:
        yield server, factory, f"http://127.0.0.1:{port}"
    finally:
        await server.stop()


def routes_of(server: Server) -> list[tuple[str, str]]:
    """Each method and path that the server knows."""
    found = set()
    for route in server.app.router.routes():
        if route.resource is not None and route.method != "HEAD":
            path = route.resource.canonical
            for name in ("call_sid", "stream", "assistant", "token"):
                path = path.replace("{" + name + "}", "CA1")
            found.add((route.method, path))
    return sorted(found)


async def test_whoever_may_not_is_refused_on_every_route_before_anything_is_begun() -> None:
    async with served() as (server, factory, page), ClientSession() as http:
        routes = routes_of(server)
        assert len(routes) > 15
        for method, path in routes:
            if path in OPEN_TO_ALL:
                continue
            for who, headers in intruders(path):
                more = UPGRADE if path.startswith(("/media", "/ws/")) else {}
                body = FORM if path.startswith("/voice/") else None
                json = {"text": "Hi."} if body is None and method == "POST" else None
                request = http.request(method, page + path, headers={**headers, **more}, data=body, json=json)
                async with request as answer:
                    assert answer.status in (401, 403, 404), (method, path, who, answer.status)
                    assert "CA1" not in await answer.text()
        assert factory.asked == []
        assert server.state.registry.all() == ()
        assert not server.state.sockets


@pytest.mark.parametrize("path", sorted(OPEN_TO_ALL))
async def test_what_is_open_to_all_tells_nothing_of_a_call(path: str) -> None:
    async with served() as (_, _, page), ClientSession() as http, http.get(page + path) as answer:
        assert answer.status == 200
        assert len(await answer.text()) < 200
