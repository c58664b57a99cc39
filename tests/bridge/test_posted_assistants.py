"""Assistants that a program posts, and the streams that name them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import WSServerHandshakeError, web
from aiohttp.test_utils import TestClient, TestServer
from bridge_rig import CALL_SID, EchoFactory, ManualClock, connected, loop_clock, settings, start
from hypothesis import given
from hypothesis import strategies as st

from offhook.bridge import posted_assistants
from offhook.bridge.posted_assistants import KEPT_S, PostedAssistants, read_posted
from offhook.bridge.server import create_app
from offhook.bridge.server_state import STATE, ServerState
from offhook.bridge.trust import control_key
from offhook.config.errors import ConfigError, ProviderError
from offhook.config.reference import assistant_reference

Client = TestClient[Any, Any]
SHOP = {"name": "shop", "firstMessage": "Hello."}


@asynccontextmanager
async def house(**fields: Any) -> AsyncIterator[tuple[Client, ServerState, EchoFactory]]:
    factory = EchoFactory()
    app = create_app(settings(**fields), factory, loop_clock())
    async with TestClient(TestServer(app)) as client:
        yield client, app[STATE], factory


async def test_a_stream_gets_the_assistant_that_was_posted() -> None:
    async with house() as (client, state, factory):
        async with client.post("/assistant", json=SHOP) as answer:
            assert answer.status == 201
            name = (await answer.json())["id"]
        kept = state.posted.find(name)
        assert kept is not None
        assert (kept.name, kept.first_message) == ("shop", "Hello.")
        async with client.ws_connect(f"/ws/{name}") as stream:
            await stream.send_str(connected())
            await stream.send_str(start(parameters={"assistant": "another", "from": "+14155550101"}))
            await stream.close()
        assert factory.asked == [(CALL_SID, name, {"from": "+14155550101"})]


@pytest.mark.parametrize("name", ["posted-0", "demo", "%2e%2e", "x" * 500])
async def test_a_name_that_is_no_assistants_never_becomes_a_stream(name: str) -> None:
    async with house() as (client, state, factory):
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect(f"/ws/{name}")
        assert refused.value.status == 404
        assert factory.asked == []
        assert not state.sockets


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "bad_assistant"),
        (b"\xff", "bad_assistant"),
        (b"[]", "bad_assistant"),
        (b"{}", "name"),
        (json.dumps({"name": "x", "frist_message": "y"}).encode(), "first_message"),
        (json.dumps({"name": "x", "server": {"url": "https://x.example/${HOME}"}}).encode(), "server.url"),
        (json.dumps({"name": "x", "tools": [{"name": "t", "callable": "os:abort"}]}).encode(), "callable"),
    ],
)
async def test_what_cannot_be_used_is_told_with_its_place_and_not_kept(body: bytes, told: str) -> None:
    async with house() as (client, state, _):
        headers = {"Content-Type": "application/json"}
        async with client.post("/assistant", data=body, headers=headers) as answer:
            assert answer.status == 400
            assert told in await answer.text()
        assert state.posted.loaded() == ()


@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef", "$schema", "$id"])
async def test_no_schema_of_a_tool_makes_the_server_fetch_anything(keyword: str) -> None:
    asked: list[str] = []

    async def inside(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.json_response({"type": "string"})

    app = web.Application()
    app.router.add_get("/{name}", inside)
    async with TestServer(app) as server, house() as (client, _, _):
        schema = {"type": "object", "properties": {"a": {keyword: str(server.make_url("/secret"))}}}
        tool = {"name": "t", "kind": "http", "url": "https://api.example.com", "parameters": schema}
        async with client.post("/assistant", json={"name": "x", "tools": [tool]}) as answer:
            assert answer.status == (201 if keyword == "$schema" else 400)
        assert asked == []


async def test_only_who_has_the_control_key_posts_one() -> None:
    fields = {"twilio_auth_token": "t0", "public_url": "https://bridge.example.com"}
    async with house(**fields) as (client, state, _):
        for key, status in (("", 403), ("wrong", 403), (control_key("t0"), 201)):
            headers = {"Authorization": f"Bearer {key}"}
            async with client.post("/assistant", json=SHOP, headers=headers) as answer:
                assert answer.status == status
        (name,) = state.posted._kept
        with pytest.raises(WSServerHandshakeError) as refused:
            await client.ws_connect(f"/ws/{name}")
        assert refused.value.status == 403


async def test_a_form_of_a_web_page_posts_none() -> None:
    async with house() as (client, state, _):
        async with client.post("/assistant", data={"name": "x"}) as answer:
            assert answer.status == 415
        assert state.posted.loaded() == ()


@pytest.mark.parametrize("key", ["callable", "Callable", "CALLABLE"])
@pytest.mark.parametrize("place", ["tools", "model.tools", "hosted tools"])
def test_code_of_this_machine_is_refused_before_it_is_imported(
    monkeypatch: pytest.MonkeyPatch, key: str, place: str
) -> None:
    tool = {"name": "t", "kind": "python", key: "antigravity:geohash"}
    if place == "hosted tools":
        tool = {"type": "function", "function": {"name": "t"}, key: "antigravity:geohash"}  # type: ignore[dict-item]
    holder = {"model": {"tools": [tool]}} if place == "model.tools" else {"tools": [tool]}
    # An error raised by the import would be told as the tool's own, so imports are written down.
    looked_at: list[object] = []
    monkeypatch.setattr("importlib.import_module", looked_at.append)
    with pytest.raises(ConfigError) as refused:
        read_posted(json.dumps({"name": "x", **holder}))
    assert looked_at == []
    assert key.lower() in str(refused.value).lower()


@pytest.mark.parametrize("key", ["model_dir", "modelDir", "MODEL_DIR"])
@pytest.mark.parametrize(
    "place",
    [
        lambda choice: choice,
        lambda choice: {"fallbacks": [choice]},
        lambda choice: {"fallbackPlan": {"transcribers": [choice]}},
    ],
)
def test_nobody_learns_which_folders_this_machine_has(
    tmp_path: Path, key: str, place: Callable[[Any], Any]
) -> None:
    told = []
    for folder in (tmp_path, tmp_path / "none"):
        choice = {"provider": "embedded", key: str(folder)}
        with pytest.raises(ConfigError) as refused:
            read_posted(json.dumps({"name": "x", "transcriber": place(choice)}))
        told.append(str(refused.value))
    assert told[0] == told[1]


def test_a_folder_that_is_left_empty_is_no_folder() -> None:
    posted = {"name": "x", "transcriber": {"provider": "embedded", "model_dir": None}}
    assert read_posted(json.dumps(posted)).transcriber.model_dir is None


def test_every_key_that_names_a_place_of_this_machine_is_refused() -> None:
    paths = re.findall(r"^\| `(\S+)` \| path of", assistant_reference(), re.MULTILINE)
    assert "transcriber.model_dir" in paths
    for path in paths:
        posted: Any = str(Path(__file__).parent)
        for key in reversed(path.split(".")):
            posted = {key.removesuffix("[]"): [posted] if key.endswith("[]") else posted}
        with pytest.raises(ConfigError, match="of this machine"):
            read_posted(json.dumps({"name": "x", **posted}))


@given(st.permutations("callable").map("".join) | st.text("calbeCALBE_- ", max_size=12), st.booleans())
def test_no_spelling_of_a_key_imports_code(key: str, capital: bool) -> None:
    looked_at: list[object] = []
    spelled = key.capitalize() if capital else key
    tool = {"name": "t", "kind": "python", spelled: "antigravity:geohash"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("offhook.config.assistant_checks.import_callable", looked_at.append)
        with contextlib.suppress(ConfigError):
            read_posted(json.dumps({"name": "x", "tools": [tool]}))
    assert looked_at == []


async def test_it_is_forgotten_an_hour_after_its_last_use() -> None:
    clock = ManualClock()
    kept = PostedAssistants(clock)
    assistant = read_posted(json.dumps(SHOP))
    name = await kept.keep(assistant)
    clock.advance(KEPT_S - 1)
    assert kept.find(name) is assistant
    clock.advance(KEPT_S - 1)
    assert kept.find(name) is assistant
    clock.advance(KEPT_S + 1)
    assert kept.find(name) is None
    assert kept.find(None) is None


async def test_of_too_many_the_longest_unused_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(posted_assistants, "LIMIT", 2)
    kept = PostedAssistants(ManualClock())
    assistant = read_posted(json.dumps(SHOP))
    first, second = [await kept.keep(assistant) for _ in range(2)]
    kept.find(first)
    third = await kept.keep(assistant)
    assert [kept.find(name) is not None for name in (first, second, third)] == [True, False, True]


async def test_one_whose_engines_cannot_be_started_is_not_kept() -> None:
    async def warm(_: object) -> None:
        raise ProviderError("voice", "the key is not accepted")

    kept = PostedAssistants(loop_clock(), warm)
    with pytest.raises(ProviderError):
        await kept.keep(read_posted(json.dumps(SHOP)))
    assert kept.loaded() == ()


async def test_one_that_is_warmed_is_among_the_loaded_ones_and_leaves_with_who_asked() -> None:
    served: list[int] = []

    async def warm(_: object) -> None:
        served.append(len(kept.loaded()))
        await asyncio.sleep(60)

    kept = PostedAssistants(loop_clock(), warm)
    asking = asyncio.create_task(kept.keep(read_posted(json.dumps(SHOP))))
    await asyncio.sleep(1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert served == [1], "a call that came now would close its engines"
    assert kept.loaded() == ()


async def test_one_that_takes_long_to_be_warm_is_kept_in_time() -> None:
    async def warm(_: object) -> None:
        await asyncio.sleep(60)

    kept = PostedAssistants(loop_clock(), warm)
    began = asyncio.get_running_loop().time()
    await kept.keep(read_posted(json.dumps(SHOP)), warm_within_s=2)
    assert asyncio.get_running_loop().time() - began == pytest.approx(2)
    assert len(kept.loaded()) == 1


@pytest.mark.parametrize("levels", [101, 500, 990, 100_000])
def test_one_that_is_nested_without_measure_is_refused(levels: int) -> None:
    for opening, closing in (("[", "]"), ('{"a":', "}")):
        with pytest.raises(ConfigError, match="deeper"):
            read_posted(f'{{"name": "x", "tools": {opening * levels}1{closing * levels}}}')


@given(st.binary(max_size=200))
def test_no_body_does_anything_but_be_read_or_be_refused(body: bytes) -> None:
    with contextlib.suppress(ConfigError):
        assert read_posted(body.decode("utf-8", "replace")).name
