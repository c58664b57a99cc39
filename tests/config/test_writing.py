"""Assistants written in our own names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hosted_tutorial import TUTORIAL
from typer.testing import CliRunner

from offhook.cli import app
from offhook.config.assistant_loading import load_assistant, parse_assistant
from offhook.config.assistants import DEMO
from offhook.config.documents import read_yaml
from offhook.config.writing import written

TOOLS: dict[str, Any] = {
    "name": "x",
    "tools": [
        {"name": "bye", "kind": "end_call"},
        {"name": "go", "kind": "transfer_call", "destinations": {"a b": {"number": "+14155550101"}}},
        {"name": "keys", "kind": "collect_digits", "arguments": {"length": 4}},
        {
            "name": "look",
            "kind": "http",
            "url": "https://api.example.com/{id}",
            "headers": {"X-Key": "a-shared-secret"},
            "parameters": {
                "type": "object",
                "properties": {"id": {"type": "string"}},
                "required": ["id"],
            },
            "messages": [{"after_ms": 100, "text": "One moment: {{from}}"}],
        },
    ],
}


@pytest.mark.parametrize("data", [TUTORIAL, TOOLS, {"name": "yes"}, {"name": "1.0"}])
def test_what_was_written_reads_as_the_same_assistant_and_holds_no_secret(data: dict[str, Any]) -> None:
    assistant = parse_assistant(data, "a.json")
    ours = written(assistant)
    assert "a-shared-secret" not in ours.text
    secrets = dict.fromkeys(ours.variables, "a-shared-secret")
    again = parse_assistant(read_yaml(ours.text, "a.yaml").data, "a.yaml", secrets.__getitem__)
    assert again.model_dump(exclude={"notices"}) == assistant.model_dump(exclude={"notices"})


def test_the_demo_reads_as_itself() -> None:
    demo = load_assistant(DEMO)
    again = parse_assistant(read_yaml(written(demo).text, "a.yaml").data, "a.yaml")
    assert again.model_dump(exclude={"notices"}) == demo.model_dump(exclude={"notices"})


def test_the_command_writes_ours_names_the_secrets_and_overwrites_nothing(tmp_path: Path) -> None:

    source, target = tmp_path / "assistant.json", tmp_path / "assistant.yaml"
    source.write_text(json.dumps(TUTORIAL))
    done = CliRunner().invoke(app, ["config", "import", "vapi", str(source), "--write", str(target)])
    assert done.exit_code == 0
    assert "SERVER_SECRET" in done.output
    assert "a-shared-secret" not in done.output + target.read_text()
    again = CliRunner().invoke(app, ["config", "import", "vapi", str(source), "--write", str(target)])
    assert again.exit_code == 2
    shown = CliRunner().invoke(app, ["config", "import", "vapi", str(source)])
    lines = target.read_text().splitlines(keepends=True)
    assert "".join(line for line in lines if not line.startswith("#")) in shown.output


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    source = tmp_path / "assistant.json"
    source.write_text('{"name": "x", "voise": {}}')
    done = CliRunner().invoke(app, ["config", "import", "vapi", str(source)])
    assert done.exit_code == 1
    assert "voise" in done.output
