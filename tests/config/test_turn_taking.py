"""Times and words of turn taking, and how they must fit together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from offhook.config.phrases import BACKCHANNELS, IGNORED, STOP_WORDS, Phrases, phrases_for
from offhook.config.turn_taking import SilencePrompt, TurnTaking


def test_the_defaults_fit_together() -> None:
    turn_taking = TurnTaking()
    assert (turn_taking.endpointing_ms, turn_taking.barge_in, turn_taking.decide_ms) == (500, "pause", 1000)
    assert [prompt.after_s for prompt in turn_taking.silence_prompts] == [8, 16]


@pytest.mark.parametrize(
    ("fields", "key"),
    [
        ({"endpointing_ms": 99}, "endpointing_ms"),
        ({"endpointing_ms": 5001}, "endpointing_ms"),
        ({"endpointing_ms": 4000}, "max_endpointing_ms"),
        ({"decide_ms": 200}, "debounce_ms"),
        ({"vad_threshold": 0}, "vad_threshold"),
        ({"vad_threshold": float("nan")}, "vad_threshold"),
        ({"barge_in": "always"}, "barge_in"),
        ({"silence_hangup_s": 16}, "silence_hangup_s"),
        ({"silence_prompts": [{"after_s": 5, "text": "a"}, {"after_s": 5, "text": "b"}]}, "silence_prompts"),
        ({"max_turn_s": 100, "max_call_s": 50}, "max_call_s"),
    ],
)
def test_what_does_not_fit_names_its_key(fields: dict[str, Any], key: str) -> None:
    with pytest.raises(ValidationError) as caught:
        TurnTaking(**fields)
    assert [error["loc"][0] for error in caught.value.errors()] == [key]


def test_phrases_are_plain_and_each_once() -> None:
    turn_taking = TurnTaking(stop_words=["  Hold   ON ", "hold on", ""], backchannels={"de": ["Ja", "ja"]})  # type: ignore[arg-type, dict-item]
    assert turn_taking.stop_words == {"*": ("hold on",)}
    assert turn_taking.backchannels == {"de": ("ja",)}


@pytest.mark.parametrize("language", ["en", "de", "es", "fr", "it", "nl", "pt"])
def test_every_built_in_language_tells_going_on_from_stopping(language: str) -> None:
    backchannels = phrases_for(language, {}, BACKCHANNELS)
    stop_words = phrases_for(language, {}, STOP_WORDS)
    assert len(backchannels) > 10
    assert len(stop_words) > 10
    assert phrases_for(language, {}, IGNORED)
    assert not set(backchannels) & set(stop_words)


def test_a_list_is_found_by_tag_then_by_language_then_for_any() -> None:
    written: Phrases = {"de-at": ("jo",), "de": ("ja",), "*": ("yes",)}
    assert phrases_for("de-AT", written, BACKCHANNELS) == ("jo",)
    assert phrases_for("de-CH", written, BACKCHANNELS) == ("ja",)
    assert phrases_for("fr", written, BACKCHANNELS) == ("yes",)
    assert phrases_for("fr", {"de": ("ja",)}, BACKCHANNELS) == BACKCHANNELS["fr"]
    assert phrases_for("ja", {}, BACKCHANNELS) == ()


def test_no_prompts_and_an_early_hangup_are_allowed() -> None:
    assert TurnTaking(silence_prompts=(), silence_hangup_s=3).silence_hangup_s == 3


def test_a_prompt_says_something() -> None:
    with pytest.raises(ValidationError):
        SilencePrompt(after_s=3, text="")
