"""The example assistants can be served as they are, with keys and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from offhook.config.assistant_loading import load_assistant
from offhook.config.environment_texts import environment_lookup
from offhook.config.settings import load_settings
from offhook.pipeline.providers.catalogue import unmet_needs

FOLDER = Path(__file__).parents[2] / "config" / "examples"
EXAMPLES = sorted(FOLDER.glob("*.yaml"))
KEY = re.compile(r"\b[A-Z]+_API_KEY\b")


def test_there_is_an_example_for_every_mix_that_the_pages_name() -> None:
    assert {path.name for path in EXAMPLES} == {
        "deepgram-flux.yaml",
        "deepgram-openai-elevenlabs.yaml",
        "local-llm.yaml",
        "openai-only-language-model.yaml",
    }


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_loads_without_a_single_notice(path: Path) -> None:
    assistant = load_assistant(path, environment_lookup({}, None))
    assert assistant.notices == ()
    assert [tool.name for tool in assistant.tools] == ["check_order_status", "end_call"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_needs_the_keys_and_extras_that_its_first_lines_name_and_no_others(path: Path) -> None:
    assistant = load_assistant(path, environment_lookup({}, None))
    head = path.read_text().partition("\nname:")[0]
    needs, _, _ = head.partition("Needs:")[2].partition("no key:")
    without_keys = " ".join(map(str, unmet_needs(assistant, load_settings({}, None).account)))
    assert set(KEY.findall(needs)) == set(KEY.findall(without_keys))
    keys = load_settings(dict.fromkeys(KEY.findall(needs), "dummy"), None)
    assert list(unmet_needs(assistant, keys.account)) == []
    stages = (assistant.transcriber, assistant.model, assistant.voice)
    used = {choice.provider for stage in stages for choice in (stage, *stage.fallbacks)}
    extras = re.search(r"offhook\[([a-z,]+)\]", needs)
    assert extras is not None
    assert set(extras[1].split(",")) == used | {"embedded"}
