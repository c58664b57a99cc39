"""OpenAI's client against an emulated vendor: real sockets and the real SDK, on virtual time."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from types import AsyncGeneratorType
from typing import Any

import pytest
from aiohttp import web
from fake_engines import ScriptedModel, says
from openai_server import served, sse
from pydantic import SecretStr
from vendor_clients import openai_model, vendors, wrong_key

from offhook.config.assistant import ModelChoice
from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout
from offhook.config.vendors import Account
from offhook.lab.vendors.faults import FaultKind, PlannedFault
from offhook.lab.vendors.openai_rules import wrong_with
from offhook.pipeline.messages import (
    CallerSaid,
    Instructions,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolRequest,
    ToolSpec,
)
from offhook.pipeline.providers.openai import DEFAULT_MODEL, OpenAIModel

ASKED = ModelRequest((Instructions("Be brief."), CallerSaid("hello")))
LOOK = ToolSpec("look", "Looks.", {"type": "object", "properties": {"what": {"type": "string"}}})


async def answer(model: OpenAIModel, request: ModelRequest = ASKED) -> list[ModelDelta]:
    return [delta async for delta in model.respond(request)]


def text_of(deltas: Sequence[ModelDelta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def tools_of(deltas: Sequence[ModelDelta]) -> list[ToolRequest]:
    return [delta for delta in deltas if isinstance(delta, ToolRequest)]


async def test_an_answer_streams_through_the_sdk() -> None:
    scripted = ScriptedModel(says("Good morning to you."))
    async with vendors(scripted) as emulated, openai_model(emulated) as model:
        assert text_of(await answer(model)) == "Good morning to you."
    (seen,) = emulated.world.sightings.of("openai", "request")
    assert seen.data["roles"] == ["system", "user"]
    assert seen.data["model"] == "gpt-test"
    assert emulated.world.sightings.open["openai request"] == 0


@pytest.mark.parametrize("server", ["", "ollama/", "vllm/", "llamacpp/"])
async def test_every_servers_way_of_asking_for_a_tool_is_understood(server: str) -> None:
    wanted = ToolRequest("call-7", "look", '{"what": "the order of last week"}')
    scripted = ScriptedModel(lambda _: [TextDelta("Let me see. "), wanted])
    async with vendors(scripted) as emulated, openai_model(emulated, name=f"{server}model") as model:
        deltas = await answer(model, ModelRequest(ASKED.messages, (LOOK,)))
    assert text_of(deltas) == "Let me see. "
    assert tools_of(deltas) == [wanted]


async def test_several_tools_of_one_answer_come_in_order() -> None:
    wanted = [ToolRequest(f"call-{number}", "look", f'{{"what": "{number}"}}') for number in range(3)]
    async with vendors(ScriptedModel(lambda _: wanted)) as emulated, openai_model(emulated) as model:
        assert tools_of(await answer(model, ModelRequest(ASKED.messages, (LOOK,)))) == wanted


@pytest.mark.parametrize(
    ("field", "value", "parameter"),
    [
        ("name", "gpt-other", "model"),
        ("temperature", 0.3, "temperature"),
        ("reasoning_effort", "low", "reasoning_effort"),
        ("max_tokens", 150, "max_tokens"),
    ],
)
async def test_every_field_of_the_file_reaches_the_vendor(field: str, value: Any, parameter: str) -> None:
    async with vendors() as emulated, openai_model(emulated, **{field: value}) as model:
        await answer(model)
    (seen,) = emulated.world.sightings.of("openai", "request")
    assert seen.data[parameter] == value


def parameters(base_url: str | None = None, **fields: Any) -> dict[str, Any]:
    choice = ModelChoice.model_validate({"provider": "openai", **fields})
    model = OpenAIModel(choice, Account(SecretStr("k"), base_url))
    return model._parameters(ModelRequest(ASKED.messages, (LOOK,)))


@pytest.mark.parametrize(
    ("base_url", "name"),
    [
        (None, "max_completion_tokens"),
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("https://ours.openai.azure.com/openai/v1", "max_completion_tokens"),
        ("http://127.0.0.1:11434/v1", "max_tokens"),
        ("https://notopenai.com/v1", "max_tokens"),
    ],
)
def test_the_limit_has_the_name_that_the_server_knows(base_url: str | None, name: str) -> None:
    model = "llama3.2" if name == "max_tokens" else ""
    given = parameters(base_url, name=model, max_tokens=99)
    assert {it: value for it, value in given.items() if it.startswith("max_")} == {name: 99}


@pytest.mark.parametrize(
    "name", ["", "gpt-4.1-mini", "gpt-4o-mini", "gpt-5.4-mini", "gpt-5.6-luna", "gpt-6-luna", "gpt-6.2-sol"]
)
def test_tools_may_be_given_to_any_of_the_vendors_models(name: str) -> None:
    given = parameters(name=name)
    assert wrong_with(given) is None
    assert given["model"] == (name or DEFAULT_MODEL)
    assert given.get("reasoning_effort", "none") == "none"


def test_other_servers_are_told_nothing_of_reasoning() -> None:
    assert "reasoning_effort" not in parameters("http://127.0.0.1:8000/v1", name="llama3.2")


def test_the_vendors_models_are_asked_in_its_way_through_any_address() -> None:
    given = parameters("https://gateway.example.com/v1", name="gpt-5.4-mini", max_tokens=99)
    assert given["max_completion_tokens"] == 99
    assert wrong_with(given) is None


def test_what_the_file_says_of_reasoning_is_sent_as_it_stands() -> None:
    assert parameters(name="gpt-5.6-luna", reasoning_effort="low")["reasoning_effort"] == "low"


async def test_a_file_that_names_a_server_never_sends_it_the_accounts_key() -> None:
    async with vendors() as emulated:
        account = Account(SecretStr("sk-account"), "http://127.0.0.1:9/v1")
        own = emulated.account("openai")
        async with openai_model(emulated, account=account, base_url=own.base_url) as model:
            with pytest.raises(ProviderRefused, match="HTTP 401"):
                await answer(model)
        async with openai_model(emulated, account=account, base_url=own.base_url, api_key=own.key) as model:
            assert await answer(model)


async def test_a_file_that_names_a_server_sends_it_nothing_of_the_environments(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-account")
    monkeypatch.setenv("OPENAI_ORG_ID", "org-account")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-account")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "Authorization: Bearer sk-account\nX-Gateway: account")
    seen: list[str] = []

    async def chat(request: web.Request) -> web.Response:
        seen.extend(f"{name}: {value}" for name, value in request.headers.items())
        return web.Response(body=sse(b"[DONE]"), content_type="text/event-stream")

    async with (
        served(chat) as base_url,
        openai_model(account=Account(SecretStr("sk-account")), base_url=base_url) as model,
    ):
        await answer(model)
    assert "Authorization: Bearer none" in "\n".join(seen).replace("authorization", "Authorization")
    assert not [header for header in seen if "account" in header]


async def test_a_wrong_key_is_refused_and_shown_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with vendors() as emulated:
        async with openai_model(emulated, account=wrong_key(emulated, "openai")) as model:
            with pytest.raises(ProviderRefused) as caught:
                await answer(model)
        error = caught.value
        shown = f"{error!r}{error}{error.__cause__!r}{model!r}{vars(model)!r}{caplog.text}"
        assert "sk-wrong-key" not in shown


@pytest.mark.parametrize(
    ("at", "kind", "error"),
    [
        ("request", FaultKind.BUSY, ProviderBusy),
        ("request", FaultKind.ERROR, ProviderBusy),
        ("request", FaultKind.REFUSE, ProviderRefused),
        ("request", FaultKind.DROP, ProviderError),
        ("first_token", FaultKind.DROP, ProviderError),
        ("first_token", FaultKind.CLOSE, ProviderError),
        ("text", FaultKind.DROP, ProviderError),
        ("text", FaultKind.CLOSE, ProviderError),
        ("text", FaultKind.ERROR, ProviderError),
        ("text", FaultKind.MALFORMED, ProviderError),
        ("text", FaultKind.STALL, ProviderTimeout),
        ("request", FaultKind.STALL, ProviderTimeout),
        ("request", FaultKind.CLOSE, ProviderError),
        ("request", FaultKind.MALFORMED, ProviderError),
        ("first_token", FaultKind.BUSY, ProviderBusy),
        ("first_token", FaultKind.ERROR, ProviderBusy),
        ("first_token", FaultKind.STALL, ProviderTimeout),
    ],
)
async def test_every_fault_is_an_error_of_its_kind(
    at: str, kind: FaultKind, error: type[ProviderError]
) -> None:
    async with vendors() as emulated, openai_model(emulated) as model:
        emulated.world.faults.plan(PlannedFault("openai", at, kind, retry_after_s=0.5))
        with pytest.raises(error) as caught:
            await answer(model)
        assert type(caught.value) is error
        if isinstance(caught.value, ProviderBusy):
            assert caught.value.retry_after_s == 0.5
        assert "hello" not in str(caught.value)
        assert await answer(model), "the next request is served"


@pytest.mark.parametrize("at", ["request", "first_token", "text"])
async def test_a_slow_server_is_waited_for(at: str) -> None:
    async with vendors() as emulated, openai_model(emulated) as model:
        began_s = asyncio.get_running_loop().time()
        emulated.world.faults.plan(PlannedFault("openai", at, FaultKind.SLOW, wait_ms=700))
        assert await answer(model)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(0.7, abs=0.05)


async def test_a_server_that_is_not_there_is_an_error_and_no_reason_not_to_start() -> None:
    async with vendors() as emulated:
        account = Account(SecretStr("k"), "http://127.0.0.1:9/v1")
        async with openai_model(emulated, account=account) as model:
            assert model.takes_jobs
            with pytest.raises(ProviderError, match="connection"):
                await answer(model)


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "context_length_exceeded", ProviderRefused),
        (401, "invalid_api_key", ProviderRefused),
        (403, None, ProviderRefused),
        (404, "model_not_found", ProviderRefused),
        (408, None, ProviderBusy),
        (409, None, ProviderBusy),
        (413, None, ProviderRefused),
        (429, "rate_limit_exceeded", ProviderBusy),
        (429, "insufficient_quota", ProviderRefused),
        (500, None, ProviderBusy),
        (503, "sk-key said hello", ProviderBusy),
        (520, None, ProviderBusy),
    ],
)
async def test_an_http_error_is_of_its_kind(status: int, code: str | None, kind: type[ProviderError]) -> None:
    async def chat(request: web.Request) -> web.Response:
        error = {"message": "Incorrect API key provided: sk-key, hello", "code": code}
        return web.json_response({"error": error}, status=status)

    async with served(chat) as base_url, openai_model(base_url=base_url) as model:
        with pytest.raises(kind) as caught:
            await answer(model)
    named = "" if code is None or " " in code else f" {code}"
    assert (type(caught.value), caught.value.reason) == (kind, f"HTTP {status}{named}")


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({"retry-after": "2"}, 2.0),
        ({"retry-after": "2", "retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "2", "retry-after-ms": "soon"}, 2.0),
        ({"retry-after": "Mon, 23 Nov 2026 04:00:00 GMT"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "-1"}, 0.0),
        ({}, None),
    ],
)
async def test_how_long_a_busy_server_wants_to_rest_is_told(
    headers: dict[str, str], wait_s: float | None
) -> None:
    async def chat(request: web.Request) -> web.Response:
        return web.Response(status=429, headers=headers)

    async with served(chat) as base_url, openai_model(base_url=base_url) as model:
        with pytest.raises(ProviderBusy) as caught:
            await answer(model)
    assert caught.value.retry_after_s == wait_s


@pytest.mark.parametrize("body", [b"", b"<html>", sse({"choices": [{"delta": {"content": "Good"}}]})])
async def test_an_answer_that_ends_without_its_end_is_an_error(body: bytes) -> None:
    async def chat(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/event-stream")

    async with served(chat) as base_url, openai_model(base_url=base_url) as model:
        with pytest.raises(ProviderError, match="ended early"):
            await answer(model)


async def test_a_patient_file_waits_longer_than_the_connection_would() -> None:
    async def chat(request: web.Request) -> web.Response:
        await asyncio.sleep(25)
        return web.Response(body=sse({"choices": [{"delta": {"content": "Good."}}]}) + sse(b"[DONE]"))

    async with served(chat) as base_url, openai_model(base_url=base_url, first_token_ms=30_000) as model:
        assert text_of(await answer(model)) == "Good."


class Slow:
    """Says a word every 100 ms."""

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        for number in range(100):
            yield TextDelta(f"word{number} ")
            await asyncio.sleep(0.1)


async def test_the_server_sees_at_once_that_an_answer_is_not_wanted_any_more() -> None:
    async with vendors(Slow()) as emulated, openai_model(emulated) as model:
        async with aclosing(model.respond(ASKED)) as deltas:
            async for _ in deltas:
                break
        closed_s = asyncio.get_running_loop().time()
        await asyncio.sleep(0.2)
        (seen,) = emulated.world.sightings.of("openai", "cancelled")
        assert seen.at_s - closed_s <= 0.05
        assert emulated.world.sightings.open["openai request"] == 0


@pytest.mark.parametrize("at", ["request", "first_token", "text"])
async def test_the_server_sees_at_once_that_a_caller_does_not_wait_any_more(at: str) -> None:
    async with vendors() as emulated, openai_model(emulated) as model:
        emulated.world.faults.plan(PlannedFault("openai", at, FaultKind.STALL))
        waiting = asyncio.create_task(answer(model))
        await asyncio.sleep(1)
        waiting.cancel()
        cancelled_s = asyncio.get_running_loop().time()
        await asyncio.sleep(0.2)
        (seen,) = emulated.world.sightings.of("openai", "cancelled")
        assert seen.at_s - cancelled_s <= 0.05
        assert waiting.cancelled()


async def test_an_answer_that_was_cut_off_leaves_nothing_for_the_garbage_collector() -> None:
    async with vendors(Slow()) as emulated, openai_model(emulated) as model:
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                async with aclosing(model.respond(ASKED)) as deltas:
                    await anext(deltas)
                await asyncio.sleep(0.2)
            del deltas
            left = [it for it in gc.get_objects() if isinstance(it, AsyncGeneratorType) and it.ag_frame]
            assert not [it for it in left if "httpx2" in it.ag_code.co_filename]
            assert not [it for it in left if "openai/_" in it.ag_code.co_filename]
        finally:
            gc.enable()


async def test_the_first_turns_use_the_connections_that_were_opened_at_the_start() -> None:
    opened, used = set(), set()

    def connection(request: web.Request) -> Any:
        return request.transport and request.transport.get_extra_info("peername")

    async def models(request: web.Request) -> web.Response:
        opened.add(connection(request))
        await asyncio.sleep(0.05)
        return web.json_response({"object": "list", "data": []})

    async def chat(request: web.Request) -> web.Response:
        used.add(connection(request))
        return web.Response(body=sse(b"[DONE]"), content_type="text/event-stream")

    async with served(chat, models) as base_url, openai_model(base_url=base_url) as model:
        await asyncio.gather(answer(model), answer(model))
        await answer(model)
    assert len(opened) == 2
    assert used <= opened


async def test_a_start_that_fails_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()

    async def models(request: web.Request) -> web.Response:
        number.append(len(number))
        await asyncio.sleep(number[-1])
        return web.Response(status=404)

    number: list[int] = []
    async with served(models, models) as base_url, openai_model(base_url=base_url):
        ours = {task for task in asyncio.all_tasks() - before if "RequestHandler" not in repr(task)}
        assert not ours


async def test_turns_minutes_apart_use_one_connection() -> None:
    async with vendors() as emulated, openai_model(emulated) as model:
        await answer(model)
        await asyncio.sleep(300)
        await answer(model)
        first, second = emulated.world.sightings.of("openai", "request")
        assert first.data["connection"] == second.data["connection"]


async def test_closing_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with vendors() as emulated, openai_model(emulated) as model:
        await answer(model)
    assert asyncio.all_tasks() == before
