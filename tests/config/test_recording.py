"""The section of an assistant file that says whether calls are recorded."""

from __future__ import annotations

from typing import Any

import pytest

from offhook.config.assistant import Assistant
from offhook.config.assistant_checks import effectless
from offhook.config.assistant_loading import parse_assistant
from offhook.config.errors import ConfigError


def parsed(**fields: Any) -> Assistant:
    return parse_assistant({"name": "x", **fields}, "a.yaml")


def told(assistant: Assistant) -> list[str]:
    return [sentence for sentence in effectless(assistant) if "record" in sentence]


def test_nothing_is_recorded_unless_the_file_says_so() -> None:
    assert not parsed().recording.enabled
    assert parsed(recording={"enabled": True}).recording.keep_days == 30


@pytest.mark.parametrize("days", [0, 4_000, "a week"])
def test_a_time_to_keep_that_is_none_is_an_error(days: Any) -> None:
    with pytest.raises(ConfigError, match=r"recording\.keep_days"):
        parsed(recording={"enabled": True, "keep_days": days})


def test_what_changes_nothing_without_recording_is_told() -> None:
    tool = {"name": "card", "kind": "collect_digits", "pauses_recording": True}
    off = parsed(recording={"consent_line": "This call is recorded."}, tools=[tool])
    assert told(off) == [
        "recording.consent_line is not said: recording.enabled is false.",
        "tools.0.pauses_recording has no effect: recording.enabled is false.",
    ]
    on = parsed(recording={"enabled": True, "consent_line": "This call is recorded."}, tools=[tool])
    assert told(on) == []


def test_the_name_of_a_hosted_platform_is_read() -> None:
    assistant = parsed(recordingEnabled=True)
    assert assistant.recording.enabled
    assert "recordingEnabled is read as recording.enabled." in assistant.notices
