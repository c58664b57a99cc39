"""Times and words of turn taking, and how they must fit together."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from offhook.config.turn_taking import SilencePrompt, TurnTaking


def test_the_defaults_fit_together() -> None:
    turn_taking = TurnTaking()
    assert (turn_taking.endpointing_ms, turn_taking.barge_in, turn_taking.decide_ms) == (500, "pause", 1000)
    assert [prompt.after_s for prompt in turn_taking.silence_prompts] == [8, 16]
    assert not set(turn_taking.backchannels) & set(turn_taking.stop_words)
    assert {"yeah", "uh-huh", "i see"} <= set(turn_taking.backchannels)
    assert {"stop", "wait", "hold on", "no"} <= set(turn_taking.stop_words)


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
    turn_taking = TurnTaking(stop_words=("  Hold   ON ", "hold on", ""), backchannels=("Yeah", "yeah"))
    assert turn_taking.stop_words == ("hold on",)
    assert turn_taking.backchannels == ("yeah",)


def test_a_stop_word_is_no_backchannel() -> None:
    assert "okay" not in TurnTaking(stop_words=("okay",)).backchannels


def test_no_prompts_and_an_early_hangup_are_allowed() -> None:
    assert TurnTaking(silence_prompts=(), silence_hangup_s=3).silence_hangup_s == 3


def test_a_prompt_says_something() -> None:
    with pytest.raises(ValidationError):
        SilencePrompt(after_s=3, text="")
