"""`${NAME}` in an assistant file: secrets that are never in it, nor in any message."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import load_assistant, parse_assistant
from offhook.config.environment_texts import environment_lookup
from offhook.config.errors import ConfigError

TOOL = {
    "name": "look_up",
    "kind": "http",
    "url": "https://api.example.com/orders",
    "headers": {"Authorization": "Bearer ${SHOP_KEY}", "X-Shop": "${SHOP}-${SHOP}"},
}


def parsed(data: dict[str, Any], **environ: str) -> Assistant:
    return parse_assistant({"name": "x", **data}, "a.yaml", environment_lookup(environ, None))


def problems_of(data: dict[str, Any], **environ: str) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parsed(data, **environ)
    return {problem.key: str(problem) for problem in caught.value.problems}


def test_headers_take_their_values_from_the_environment() -> None:
    headers = parsed({"tools": [TOOL]}, SHOP_KEY="s3cret", SHOP="west").tools[0].headers
    assert headers["Authorization"].get_secret_value() == "Bearer s3cret"
    assert headers["X-Shop"].get_secret_value() == "west-west"


def test_a_server_takes_address_and_secret_from_the_environment() -> None:
    own = {"name": "t", "kind": "server", "server": {"url": "${URL}", "secret": "${WORD}"}}
    assistant = parsed(
        {"server": {"url": "${URL}", "secret": "${WORD}"}, "tools": [own]},
        URL="https://example.com/tools",
        WORD="s3cret",
    )
    for server in (assistant.server, assistant.tools[0].server):
        assert server is not None
        assert server.url == "https://example.com/tools"
        assert server.secret is not None
        assert server.secret.get_secret_value() == "s3cret"


def test_a_model_and_its_fallbacks_take_address_and_key_from_the_environment() -> None:
    own = {"provider": "openai", "base_url": "${URL}/v1", "api_key": "${WORD}"}
    assistant = parsed({"model": {**own, "fallbacks": [own]}}, URL="https://example.com", WORD="s3cret")
    for model in assistant.model.choices:
        assert model.base_url == "https://example.com/v1"
        assert model.api_key is not None
        assert model.api_key.get_secret_value() == "s3cret"
    assert "s3cret" not in repr(assistant)
    told = problems_of({"model": {**own, "fallbacks": [own]}}, URL="https://example.com")
    assert set(told) == {"model.api_key", "model.fallbacks.0.api_key"}


def test_a_secret_is_in_no_text_of_the_assistant() -> None:
    assistant = parsed({"tools": [TOOL]}, SHOP_KEY="s3cret", SHOP="west")
    for text in (repr(assistant), str(assistant), assistant.model_dump_json(), str(assistant.model_dump())):
        assert "s3cret" not in text


def test_every_variable_that_is_not_set_is_told_with_its_place_and_no_other_fault() -> None:
    problems = problems_of({"tools": [TOOL], "server": {"url": "${URL}"}}, SHOP="west")
    assert set(problems) == {"tools.0.headers.Authorization", "server.url"}
    assert "`SHOP_KEY`, which is not set. Set SHOP_KEY in the environment or in .env" in str(problems)


def test_a_file_may_hold_the_value(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("s3cret\n")
    headers = parsed({"tools": [TOOL]}, SHOP_KEY_FILE=str(secret), SHOP="w").tools[0].headers
    assert headers["Authorization"].get_secret_value() == "Bearer s3cret"
    missing = problems_of({"tools": [TOOL]}, SHOP_KEY_FILE=str(tmp_path / "none"), SHOP="w")
    assert "SHOP_KEY_FILE points at" in missing["tools.0.headers.Authorization"]


def test_the_dotenv_file_is_read_behind_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SHOP", "west")
    monkeypatch.delenv("SHOP_KEY", raising=False)
    Path(".env").write_text("SHOP_KEY=from-file\nSHOP=east\n")
    Path("a.yaml").write_text(
        "name: x\ntools:\n  - name: t\n    kind: http\n    url: https://a.example\n"
        '    headers: {A: "${SHOP_KEY}", B: "${SHOP}"}\n'
    )
    headers = load_assistant(Path("a.yaml")).tools[0].headers
    assert [value.get_secret_value() for value in headers.values()] == ["from-file", "west"]


@pytest.mark.parametrize("text", ["${}", "${A B}", "${SHOP", "x${1A}"])
def test_what_only_looks_like_a_reference_is_told(text: str) -> None:
    told = problems_of({"tools": [{**TOOL, "headers": {"A": text}}]}, SHOP="w")
    assert "Write it as ${API_KEY}." in told["tools.0.headers.A"]


def test_a_value_with_a_line_break_is_refused_and_not_quoted() -> None:
    told = problems_of({"tools": [TOOL]}, SHOP_KEY="two\r\nlines", SHOP="w")
    assert "line break" in told["tools.0.headers"]
    assert "two" not in str(told)


def test_the_given_data_is_left_alone() -> None:
    data = {"tools": [TOOL], "server": {"url": "${URL}"}}
    before = repr(data)
    parsed(data, SHOP_KEY="s", SHOP="w", URL="https://example.com")
    assert repr(data) == before


def test_elsewhere_the_sign_means_nothing() -> None:
    assert parsed({"first_message": "Costs ${PRICE}"}).first_message == "Costs ${PRICE}"
