"""What every page promises: its links lead somewhere, its assistants and scripts can be used."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from offhook.config.assistant_loading import parse_assistant
from offhook.config.documents import read_yaml
from offhook.config.reference import heading_anchor
from offhook.lab.script_file import parse_script

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("**/*.md")))
FENCE = re.compile(r"^( *)```([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


def blocks(page: Path, info: str) -> list[str]:
    """The fenced blocks of a page that are marked so."""
    return [text for _, mark, text in FENCE.findall(page.read_text()) if mark.strip() == info]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def links(page: Path) -> Iterator[str]:
    """Every relative link of a page."""
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if not re.match(r"[a-z]+:", target):
            yield target


def anchors(page: Path) -> set[str]:
    found: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", prose(page), re.MULTILINE):
        plain = heading_anchor(re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading))
        number = 0
        while (name := f"{plain}-{number}" if number else plain) in found:
            number += 1
        found.add(name)
    return found


def broken(page: Path, target: str) -> bool:
    file, _, anchor = target.partition("#")
    there = (page.parent / file).resolve() if file else page
    if not there.exists() or not there.is_relative_to(ROOT):
        return True
    return bool(anchor) and anchor not in anchors(there)


def test_every_relative_link_leads_to_a_file_and_a_heading() -> None:
    wrong = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in links(page)
        if broken(page, target)
    ]

    assert wrong == []


def test_a_link_to_nowhere_is_found(tmp_path: Path) -> None:
    page = ROOT / "docs" / "settings.md"
    assert broken(page, "nowhere.md")
    assert broken(page, "#no-such-heading")
    assert broken(page, "../../elsewhere.md")
    assert not broken(page, "assistant.md#all-keys")


def test_every_page_of_docs_is_linked_from_somewhere() -> None:
    linked = {(page.parent / target.partition("#")[0]).resolve() for page in PAGES for target in links(page)}

    assert set((ROOT / "docs").glob("**/*.md")) <= linked


ASSISTANTS = [(page.name, text) for page in PAGES for text in blocks(page, "yaml")]
SCRIPTS = [(page.name, text) for page in PAGES for text in blocks(page, "yaml script")]


@pytest.fixture
def tool_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The Python modules that the pages show, each under the name in its first line."""
    monkeypatch.syspath_prepend(str(tmp_path))
    shown = [text for page in PAGES for text in blocks(page, "python")]
    modules = {}
    for text in shown:
        name = re.match(r"# (\w+)\.py\n", text)
        assert name is not None, "a module is shown without its name"
        modules[name[1]] = text
        (tmp_path / f"{name[1]}.py").write_text(text)
    yield
    for module in modules:
        sys.modules.pop(module, None)


@pytest.mark.parametrize(("page", "text"), ASSISTANTS)
@pytest.mark.usefixtures("tool_modules")
def test_every_assistant_shown_can_be_used(page: str, text: str) -> None:
    assistant = parse_assistant(read_yaml(text, page).data, page, lookup=lambda name: f"value-of-{name}")

    assert assistant.name


@pytest.mark.parametrize(("page", "text"), SCRIPTS)
def test_every_script_shown_can_be_followed(page: str, text: str, tmp_path: Path) -> None:
    assert parse_script(read_yaml(text, page).data, source=page, folder=tmp_path).steps


@pytest.mark.usefixtures("tool_modules")
def test_the_server_shown_knows_our_signature_and_answers_our_message() -> None:
    from offhook.pipeline.providers.web.server_messages import read_answer, tool_calls_message
    from offhook.pipeline.providers.web.signing import signature_headers
    from offhook.pipeline.tool_run import ToolRun

    shown = importlib.import_module("tools_server")
    body = tool_calls_message("book_table", {"people": 4}, ToolRun("k", "CA1", {}), "Restaurant", 0)
    headers = signature_headers(b"hush", "msg_1", 1_700_000_000, body)
    assert shown.verified(b"hush", headers, body, now_s=1_700_000_100)
    assert not shown.verified(b"hush", headers, body, now_s=1_700_000_400)
    assert not shown.verified(b"hush", headers, body + b" ", now_s=1_700_000_000)
    assert not shown.verified(b"other", headers, body, now_s=1_700_000_000)
    outcome = read_answer(json.dumps(shown.answer(body)).encode(), "k")
    assert outcome is not None
    assert outcome.value == "A table for 4 is booked."


@pytest.mark.usefixtures("tool_modules")
async def test_the_tool_shown_answers_what_the_text_around_it_says() -> None:
    from offhook.config.callables import import_callable
    from offhook.pipeline.messages import (
        AgentSaid,
        CallerSaid,
        ModelRequest,
        TextDelta,
        ToolAnswered,
        ToolRequest,
    )
    from offhook.pipeline.providers.embedded.agent import IntentsAgent

    shown = next(
        text for page, text in ASSISTANTS if page == "assistant.md" and "bakery:price_of_cake" in text
    )
    agent = IntentsAgent(parse_assistant(read_yaml(shown, "assistant.md").data, "assistant.md"))

    async def reply(*messages: Any) -> tuple[str, list[ToolRequest]]:
        deltas = [delta async for delta in agent.respond(ModelRequest(messages))]
        text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
        return text, [delta for delta in deltas if isinstance(delta, ToolRequest)]

    asked = CallerSaid("How much is a birthday cake?")
    question, none = await reply(asked)
    assert (question, none) == ("For how many people?", [])
    named = (asked, AgentSaid(question, question), CallerSaid("twelve"))
    looking, requests = await reply(*named)
    assert looking == "A cake for 12, let me see."
    answer = import_callable("bakery:price_of_cake")(people="12")
    told, _ = await reply(
        *named,
        AgentSaid(looking, looking, tool_requests=tuple(requests)),
        ToolAnswered(requests[0].id, "price_of_cake", f'{{"price": "{answer["price"]}"}}'),
    )
    assert told == "That is eighteen dollars."
