"""What is told of a call, from what its log says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from offhook.bridge.events_out.call_story import CallStory
from offhook.bridge.events_out.messages import CallFacts, Number, message_schema
from offhook.config.prices import Prices
from offhook.pipeline.ports import CallEvent

CALL = CallFacts("CA1", "Shop", Number("+14155550101"), Number("+14155550102"))
STARTED_MS = 1_700_000_000_000
SCHEMA = Draft202012Validator(message_schema())


def told(*events: tuple[str, int, dict[str, Any]], prices: Prices | None = None) -> list[dict[str, Any]]:
    """Everything that these events give to tell, as the receiver reads it."""
    story = CallStory(CALL, STARTED_MS, prices)
    messages = [message for event in events for message in story.tell(CallEvent(*event))]
    posted: list[dict[str, Any]] = json.loads(msgspec.json.encode(messages))
    for message in posted:
        SCHEMA.validate({"message": message})
    return posted


ENDED = ("call.ended", 9_000, {"reason": "the assistant ended the call", "transfer_to": ""})


def test_every_message_says_which_call_and_when() -> None:
    (message,) = told(("call.started", 250, {"assistant": "Shop"}))
    assert message == {
        "type": "status-update",
        "status": "in-progress",
        "endedReason": None,
        "timestamp": STARTED_MS + 250,
        "call": {
            "id": "CA1",
            "assistant": "Shop",
            "customer": {"number": "+14155550101"},
            "phoneNumber": {"number": "+14155550102"},
            "type": "inboundPhoneCall",
        },
    }


def test_the_assistant_speaks_from_its_first_frame_until_it_was_heard() -> None:
    messages = told(
        ("reply.started", 10, {"reply": 1, "purpose": "greeting"}),
        ("playout.first-frame", 20, {"reply": 1}),
        ("reply.ended", 900, {"reply": 1, "heard_text": "Hello.", "interrupted": False}),
        ("reply.ended", 950, {"reply": 2, "heard_text": "", "interrupted": True}),
    )
    assert [(m["type"], m.get("status"), m.get("transcript")) for m in messages] == [
        ("speech-update", "started", None),
        ("speech-update", "stopped", None),
        ("transcript", None, "Hello."),
        ("conversation-update", None, None),
    ]


def test_of_a_reply_that_was_cut_both_texts_are_told() -> None:
    cut = {"reply": 1, "heard_text": "We are open", "generated_text": "We are open until six."}
    messages = told(
        ("turn.ended", 100, {"turn": 1, "text": "When are you open?", "reason": "silence"}),
        ("playout.first-frame", 200, {"reply": 1}),
        ("audio.cancelled", 700, {**cut, "played_ms": 480, "epoch": 1}),
        ("reply.ended", 700, {"reply": 1, "heard_text": "We are open", "interrupted": True}),
        ENDED,
    )
    (interrupted,) = [m for m in messages if m["type"] == "user-interrupted"]
    assert (interrupted["heard"], interrupted["generated"]) == ("We are open", "We are open until six.")
    report = messages[-1]
    assert report["messages"][-1] == {
        "role": "assistant",
        "content": "We are open",
        "atMs": 700,
        "generated": "We are open until six.",
        "by": "voice",
    }
    assert report["transcript"] == "User: When are you open?\nAI: We are open"


def test_what_was_written_is_told_once_also_where_it_was_read_out() -> None:
    messages = told(
        ("message.received", 100, {"message": 1, "text": "It is 4711."}),
        ("message.answered", 300, {"message": 1, "text": "Noted.", "ok": True, "ms": 200}),
        ("reply.started", 310, {"reply": 4, "purpose": "written"}),
        ("playout.first-frame", 400, {"reply": 4}),
        ("reply.ended", 900, {"reply": 4, "heard_text": "Noted.", "interrupted": False}),
        ENDED,
    )
    assert [m["type"] for m in messages[:2]] == ["conversation-update"] * 2
    assert [m["transcript"] for m in messages if m["type"] == "transcript"] == ["Noted."]
    assert [(line["role"], line["content"], line["by"]) for line in messages[-1]["messages"]] == [
        ("user", "It is 4711.", "text"),
        ("assistant", "Noted.", "text"),
    ]


def test_the_report_has_the_tools_and_both_latencies() -> None:
    def timeline(answered_ms: int) -> tuple[str, int, dict[str, Any]]:
        stages = {"last_sound_ms": 1000, "end_of_turn_ms": 1500, "first_frame_ms": answered_ms}
        return ("turn.timeline", 5_000, {"turn": 1, **stages})

    messages = told(
        ("function-call", 100, {"id": "a", "name": "look", "arguments": {"id": "7"}}),
        ("function-call", 110, {"id": "b", "name": "look", "arguments": {}}),
        ("function-result", 300, {"id": "a", "name": "look", "ok": True, "ms": 200, "text": "Tuesday"}),
        *(timeline(ms) for ms in (1700, 1800, 3000)),
        ENDED,
    )
    assert [message["type"] for message in messages] == ["status-update", "end-of-call-report"]
    report = messages[-1]
    assert report["durationSeconds"] == 9.0
    assert report["tools"] == [
        {"name": "look", "arguments": {"id": "7"}, "ok": True, "ms": 200, "result": "Tuesday"},
        {"name": "look", "arguments": {}, "ok": None, "ms": None, "result": None},
    ]
    assert report["latency"]["fromLastSound"] == {"turns": 3, "p50": 800, "p95": 2000, "max": 2000}
    assert report["latency"]["fromEndOfTurn"]["p50"] == 300
    assert report["latency"]["endpointing"]["max"] == 500


USAGE = {"model_requests": 4, "tokens_in": 10_000, "tokens_out": 500, "voice_characters": 1_200}
COSTLY = ("call.ended", 61_000, {"reason": "x", "media_s": 60.0, "usage": USAGE})


def test_the_report_estimates_the_cost_by_the_prices_of_the_file() -> None:
    prices = Prices(
        line_per_minute=0.01,
        transcriber_per_minute=0.006,
        model_per_million_tokens_in=0.4,
        model_per_million_tokens_out=1.6,
        voice_per_1000_characters=0.05,
    )
    report = told(COSTLY, prices=prices)[-1]
    assert report["costBreakdown"] == {
        "transport": 0.02,  # the second minute was begun
        "stt": 0.006,
        "llm": 0.0048,
        "tts": 0.06,
        "total": 0.0908,
        "llmPromptTokens": 10_000,
        "llmCompletionTokens": 500,
        "ttsCharacters": 1_200,
    }
    assert report["cost"] == 0.0908


def test_without_prices_the_report_has_what_was_used_and_no_cost() -> None:
    report = told(COSTLY)[-1]
    assert report["cost"] == report["costBreakdown"]["total"] == 0
    assert report["costBreakdown"]["llmPromptTokens"] == 10_000


def test_a_call_that_is_handed_over_tells_to_whom() -> None:
    messages = told(("call.ended", 10, {"reason": "x", "transfer_to": "+14155550199"}))
    assert messages[0]["destination"] == {"number": "+14155550199"}
    assert [m["type"] for m in messages] == ["transfer-update", "status-update", "end-of-call-report"]


def test_a_call_that_ends_while_the_assistant_speaks_leaves_nobody_speaking() -> None:
    messages = told(("playout.first-frame", 5, {"reply": 3}), ENDED)
    assert [m.get("status") for m in messages] == ["started", "stopped", "ended", None]


@given(st.lists(st.sampled_from(["frame", "ended", "cut"]), max_size=30))
def test_the_assistant_starts_and_stops_in_turn_whatever_happens(steps: list[str]) -> None:
    events: list[tuple[str, int, dict[str, Any]]] = []
    reply, sounding = 0, False
    for step in steps:
        if step == "frame" and not sounding:
            reply, sounding = reply + 1, True
            events.append(("playout.first-frame", 1, {"reply": reply}))
        elif step == "cut" and sounding:
            events.append(("audio.cancelled", 1, {"reply": reply, "heard_text": "", "generated_text": "x"}))
        elif step == "ended":
            sounding = False
            events.append(("reply.ended", 1, {"reply": reply, "heard_text": "", "interrupted": False}))
    updates = [m["status"] for m in told(*events, ENDED) if m["type"] == "speech-update"]
    assert updates == ["started", "stopped"] * (len(updates) // 2)


def test_the_schema_on_the_page_is_the_one_of_the_types() -> None:
    page = Path(__file__).parents[3] / "docs" / "webhooks.schema.json"
    assert json.loads(page.read_text()) == message_schema()


def recording_told(*events: tuple[str, int, dict[str, Any]]) -> Any:
    *_, report = told(*events, ENDED)
    return report["recording"]


def test_the_report_says_where_the_recording_is() -> None:
    started = ("recording.started", 0, {"file": "/data/recordings/a.wav"})
    stopped = ("recording.ended", 4_000, {"why": "stopped", "seconds": 4.02})
    nothing = ("recording.ended", 4_000, {"why": "Not a directory", "seconds": 0.0})
    assert recording_told() == {"path": None, "seconds": 0.0}
    assert recording_told(started) == {"path": "/data/recordings/a.wav", "seconds": 9.0}
    assert recording_told(started, stopped) == {"path": "/data/recordings/a.wav", "seconds": 4.02}
    assert recording_told(started, nothing) == {"path": None, "seconds": 0.0}
