"""Tools that are one HTTP request: what is sent, and what the model is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs
from web_rig import RUN, Scripted, schema

from offhook.config.errors import ToolError, ToolUnreachable
from offhook.config.tool import Tool
from offhook.pipeline.providers.web.http_tool import HttpTool
from offhook.pipeline.providers.web.web_client import WebAnswer, WebRequest

FOUND = WebAnswer(200, b'{"data": {"items": [{"name": "cake", "price": 18}]}, "secret": 1}')


def tool(**fields: Any) -> Tool:
    described = schema("id", "note", "tags", required=("id",))
    return Tool.model_validate(
        {"name": "t", "kind": "http", "url": "https://a.example/o/{id}", "parameters": described, **fields}
    )


async def sent(arguments: dict[str, Any], **fields: Any) -> WebRequest:
    client = Scripted(FOUND)
    await HttpTool(tool(**fields), client)(arguments, RUN)
    return client.requests[0]


async def told(answer: WebAnswer, **fields: Any) -> Any:
    return await HttpTool(tool(**fields), Scripted(answer))({"id": "1"}, RUN)


async def test_arguments_that_the_url_does_not_hold_go_into_the_query_of_a_get() -> None:
    request = await sent({"id": "7", "note": "a b", "tags": [1, 2]})
    assert (request.method, request.url) == ("GET", "https://a.example/o/7?note=a%20b&tags=1&tags=2")
    assert request.body is None
    assert request.headers == {"Accept": "application/json"}


async def test_they_go_into_the_body_of_a_post_with_the_key_of_the_execution() -> None:
    request = await sent({"id": "7", "note": "ü", "tags": [1]}, method="POST")
    assert request.url == "https://a.example/o/7"
    assert json.loads(request.body or b"") == {"note": "ü", "tags": [1]}
    assert request.headers["Idempotency-Key"] == RUN.key
    assert request.headers["Content-Type"] == "application/json"


async def test_a_body_of_ones_own_keeps_the_kinds_of_what_fills_it() -> None:
    body = {"tags": "{tags}", "text": "{note} by {{from}}", "fixed": [1, {"id": "{id}"}], "none": "{note}"}
    request = await sent({"id": 7, "tags": [1, 2]}, method="POST", body=body)
    assert json.loads(request.body or b"") == {
        "tags": [1, 2],
        "text": "by +15550100",
        "fixed": [1, {"id": 7}],
    }


async def test_what_the_schema_does_not_describe_is_not_sent() -> None:
    assert (await sent({"id": "7", "admin": True})).url == "https://a.example/o/7"
    assert (await sent({"id": "7", "admin": True}, method="POST")).body == b"{}"


async def test_headers_are_sent_and_shown_nowhere() -> None:
    client = Scripted(WebAnswer(500, b"hush in the body"))
    one = HttpTool(tool(headers={"authorization": "hush", "Accept": "text/plain"}), client)
    with capture_logs() as logs, pytest.raises(ToolError) as failed:
        await one({"id": "1"}, RUN)
    assert client.requests[0].headers == {"authorization": "hush", "Accept": "text/plain"}
    assert [(line["event"], line["host"], line["status"]) for line in logs] == [
        ("tool.http-failed", "a.example", 500)
    ]
    for text in (str(logs), str(failed.value), repr(client.requests[0]), repr(one._tool)):
        assert "hush" not in text


@pytest.mark.parametrize(
    ("allow", "named"),
    [
        ((), False),
        (("*.example",), False),
        (("*.example", "a.example"), True),
        (("a.example:443",), True),
    ],
)
async def test_only_a_host_that_is_named_may_lie_on_a_private_network(
    allow: tuple[str, ...], named: bool
) -> None:
    client = Scripted(FOUND)
    await HttpTool(tool(allow=allow), client)({"id": "1"}, RUN)
    assert client.named == [named]


async def test_the_model_is_told_the_whole_answer_or_what_was_chosen_of_it() -> None:
    assert (await told(FOUND))["secret"] == 1
    assert await told(FOUND, result=["data.items.0.name", "data.none"]) == {"name": "cake"}
    assert await told(FOUND, result={"cost": "data.items.0.price"}) == {"cost": 18}
    assert await told(WebAnswer(200, b"It is out.")) == "It is out."
    assert await told(WebAnswer(204, b"")) == {"status": 204}
    with pytest.raises(ToolError, match="none of the fields"):
        await told(FOUND, result={"a": "data.items.1.name", "b": "data.items.x", "c": "data.items.0.name.y"})
    with pytest.raises(ToolError, match="not JSON"):
        await told(WebAnswer(200, b"<html>"), result=["a"])


@pytest.mark.parametrize(("status", "says"), [(302, "redirect"), (404, "404"), (503, "503")])
async def test_a_failure_names_its_status_and_no_word_of_the_answer(status: int, says: str) -> None:
    with pytest.raises(ToolError, match=says) as failed:
        await told(WebAnswer(status, b"internal detail"))
    assert "internal" not in failed.value.reason


async def test_what_the_client_raises_is_the_tools_failure() -> None:
    with pytest.raises(ToolUnreachable):
        await HttpTool(tool(), Scripted(ToolUnreachable("gone")))({"id": "1"}, RUN)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(arguments=st.dictionaries(st.sampled_from(["id", "note", "tags", "other"]), json_values))
async def test_any_arguments_are_sent_or_refused(arguments: dict[str, Any]) -> None:
    for fields in ({}, {"method": "POST"}, {"method": "PUT", "body": {"a": "{note}", "b": "x {tags}"}}):
        client = Scripted(FOUND)
        try:
            await HttpTool(tool(**fields), client)(arguments, RUN)
        except ToolError:
            continue
        assert client.requests[0].url.startswith("https://a.example/o/")
