"""Tools that ask other machines: what an assistant file may say of them, and what is told about it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner

from offhook.cli import app
from offhook.config.assistant_loading import parse_assistant
from offhook.config.errors import ConfigError
from offhook.config.server import signing_key
from offhook.config.tool import Tool
from offhook.config.tool_calls_out import calls_out

SCHEMA = {
    "type": "object",
    "properties": {"order": {"type": "string"}, "city": {"type": "string"}},
    "required": ["order"],
}
HTTP = {"name": "t", "kind": "http", "url": "https://api.example.com/orders/{order}", "parameters": SCHEMA}
SERVER = {"url": "https://crm.example.com/tools", "secret": "hush"}


def problems_of(tool: dict[str, Any], **more: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse_assistant({"name": "x", "tools": [tool], **more}, "a.yaml")
    return {problem.key.removeprefix("tools.0."): str(problem) for problem in caught.value.problems}


@pytest.mark.parametrize(
    ("changes", "key", "says"),
    [
        ({"url": None}, "url", "is needed for an http tool"),
        ({"url": "https://a.example/{ordr}"}, "url", "does not describe. Did you mean `order`?"),
        ({"url": "https://a.example/{city}"}, "url", "under `required`"),
        ({"url": "https://a.example/{order}?city=x"}, "url", "`city` in its query already"),
        ({"url": "https://{order}.example/"}, "url", "not in its host"),
        ({"method": "get"}, "method", "must be one of"),
        ({"headers": {"Host": "x"}}, "headers", "may not set `Host`"),
        ({"headers": {"A B": "x"}}, "headers", "no header's name"),
        ({"body": {"a": 1}}, "body", "write `method: POST`"),
        ({"method": "POST", "body": {"a": ["{nothing}"]}}, "body", "`{nothing}`"),
        ({"result": ["a.id", "b.id"]}, "result", "two fields `id`"),
        ({"allow": ["https://api.example.com"]}, "allow", "is no host"),
        ({"allow": ["other.example"]}, "allow", "leaves out `api.example.com:443`"),
        ({"callable": "builtins:dict"}, "callable", "has no use in a tool of the kind http"),
        ({"server": SERVER}, "server", "has no use in a tool of the kind http"),
        ({"kind": "python", "callable": "builtins:dict"}, "url", "has no use in a tool of the kind python"),
        ({"kind": "server", "url": None}, "server", "is missing, and so is the assistant's own"),
    ],
)
def test_what_cannot_work_is_told_with_its_place(changes: dict[str, Any], key: str, says: str) -> None:
    assert says in problems_of({**HTTP, **changes})[key]


@pytest.mark.parametrize("secret", ["", "line\nbreak", "whsec_%%%"])
def test_a_secret_that_cannot_sign_is_told_and_not_quoted(secret: str) -> None:
    told = problems_of({"name": "t", "kind": "server"}, server={**SERVER, "secret": secret})
    assert "must be" in told["server.secret"]
    assert not secret or secret not in str(told)


def test_a_secret_is_its_letters_or_base64() -> None:
    assert signing_key("hush") == b"hush"
    assert signing_key("whsec_aHVzaA==") == b"hush"
    with pytest.raises(ValueError, match="base64"):
        signing_key("whsec_")


def test_a_list_of_fields_is_named_by_their_last_words() -> None:
    (tool,) = parse_assistant(
        {"name": "x", "tools": [{**HTTP, "result": ["data.status", "items.0", "lines.1.price"]}]}, "a"
    ).tools
    assert tool.result == {"status": "data.status", "items": "items.0", "price": "lines.1.price"}


def test_what_tools_ask_is_told_without_any_secret() -> None:
    tools = [
        {**HTTP, "headers": {"Authorization": "Bearer hush"}},
        {"name": "s", "kind": "server"},
        {"name": "u", "kind": "server", "server": {"url": "http://127.0.0.1:9000/tools?key=hush"}},
    ]
    assistant = parse_assistant({"name": "x", "tools": tools, "server": SERVER}, "a")
    told = list(calls_out(assistant))
    assert told == [
        "tool t sends GET https://api.example.com/orders/{order}, with the headers Authorization.",
        "tool s posts to crm.example.com, signed.",
        "tool u posts to 127.0.0.1:9000, not signed, for `server` has no `secret`.",
    ]
    assert "hush" not in " ".join((*told, *assistant.notices))


def test_secrets_on_an_unencrypted_road_are_told() -> None:
    tools = [
        {**HTTP, "url": "http://api.example.com/{order}", "headers": {"A": "hush"}},
        {"name": "s", "kind": "server", "server": {**SERVER, "url": "http://crm.example.com"}},
        {"name": "u", "kind": "server", "server": {**SERVER, "url": "http://127.0.0.1:9000"}},
    ]
    notices = [n for n in parse_assistant({"name": "x", "tools": tools}, "a").notices if "unencrypted" in n]
    assert [("t" in n, "tool s" in n) for n in notices] == [(True, False), (True, True)]


def test_config_check_shows_what_tools_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP_KEY", "hush")
    file = tmp_path / "a.yaml"
    file.write_text(
        "name: x\ntools:\n  - name: t\n    kind: http\n    url: https://api.example.com/orders\n"
        '    headers: {Authorization: "Bearer ${SHOP_KEY}"}\n'
    )
    done = CliRunner().invoke(app, ["config", "check", str(file)])
    assert done.exit_code == 0, done.output
    assert "tool t sends GET https://api.example.com/orders, with the headers Authorization." in done.output
    assert "hush" not in done.output
    monkeypatch.delenv("SHOP_KEY")
    done = CliRunner().invoke(app, ["config", "check", str(file)])
    assert done.exit_code == 1
    assert "a.yaml:6: tools.0.headers.Authorization: needs the variable `SHOP_KEY`" in done.output


def test_a_pattern_that_some_texts_keep_busy_is_refused() -> None:
    parameters = {"type": "object", "properties": {"number": {"type": "string", "pattern": r"^(\d+\s?)+$"}}}
    with pytest.raises(ValidationError, match="write a simpler one"):
        Tool(name="look", callable="json:loads", parameters=parameters)
