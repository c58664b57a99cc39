"""The simulated carrier: what is played, echoed, refused."""

from __future__ import annotations

import base64
import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.lab.carrier import Gap, SimulatedCarrier
from offhook.lab.carrier_rules import AudioSent, Refusal, read_message

SID = "MZ" + "0" * 32


def make_carrier(*, started: bool = True) -> SimulatedCarrier:
    carrier = SimulatedCarrier(
        account_sid="AC" + "0" * 32,
        call_sid="CA" + "0" * 32,
        stream_sid=SID,
        parameters={"assistant": "demo"},
        generator=random.Random(1),
    )
    if started:
        carrier.open()
    return carrier


def media(payload: bytes) -> str:
    return json.dumps(
        {"event": "media", "streamSid": SID, "media": {"payload": base64.b64encode(payload).decode()}}
    )


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": name}})


CLEAR = json.dumps({"event": "clear", "streamSid": SID})


def names(messages: tuple[str, ...]) -> list[str]:
    events: list[dict[str, Any]] = [json.loads(message) for message in messages]
    return [event["mark"]["name"] for event in events if event["event"] == "mark"]


def test_the_stream_opens_as_twilio_opens_it() -> None:
    connected, start = map(json.loads, make_carrier(started=False).open())
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start["sequenceNumber"] == "1"
    assert start["streamSid"] == start["start"]["streamSid"] == SID
    assert start["start"]["customParameters"] == {"assistant": "demo"}
    assert start["start"]["mediaFormat"] == {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


def test_media_counts_chunks_from_one_and_keeps_telephone_time() -> None:
    carrier = make_carrier()
    frames = [json.loads(carrier.tick().messages[0]) for _ in range(200)]
    assert [frame["media"]["chunk"] for frame in frames[:3]] == ["1", "2", "3"]
    assert [frame["sequenceNumber"] for frame in frames[:2]] == ["2", "3"]
    assert frames[0]["media"]["timestamp"] == "155"
    times = [int(frame["media"]["timestamp"]) for frame in frames]
    assert all(-1 <= time - (155 + 20 * i) <= 2 for i, time in enumerate(times))
    silence = set(base64.b64decode("".join(frame["media"]["payload"] for frame in frames[:5])))
    assert silence == {0x7E, 0x7F, 0xFE, 0xFF}


def test_audio_sounds_in_the_period_after_it_was_taken_up() -> None:
    carrier = make_carrier()
    carrier.receive(media(b"\x01" * 160))
    assert not carrier.tick().audible
    assert carrier.tick().heard == b"\x01" * 160
    assert not carrier.tick().audible


def test_a_mark_comes_back_when_the_audio_before_it_was_played() -> None:
    carrier = make_carrier()
    carrier.receive(media(b"\x01" * 320))
    assert carrier.receive(mark("end")) == ()
    assert [names(carrier.tick().messages) for _ in range(4)] == [[], [], ["end"], []]


def test_a_mark_comes_back_at_once_when_nothing_is_queued() -> None:
    assert names(make_carrier().receive(mark("now"))) == ["now"]


def test_clear_returns_pending_marks_and_empties_the_buffer() -> None:
    carrier = make_carrier()
    for name in ("a", "b"):
        carrier.receive(media(b"\x01" * 800))
        carrier.receive(mark(name))
    carrier.tick()
    assert names(carrier.receive(CLEAR)) == ["a", "b"]
    assert carrier.tick().audible  # the frame that sounds is not cut
    assert not carrier.tick().audible
    assert carrier.counts().cleared_bytes == 1600 - 160


def test_more_than_ten_minutes_are_dropped_with_a_warning() -> None:
    carrier = make_carrier()
    for _ in range(11):
        carrier.receive(media(b"\x01" * 480_000))
    assert carrier.counts().dropped_bytes == 480_000
    assert [refusal.code for refusal in carrier.refusals] == [31931]


def test_a_gap_inside_a_reply_is_noted_but_not_one_made_by_clear() -> None:
    carrier = make_carrier()
    carrier.receive(media(b"\x01" * 160))
    for _ in range(5):
        carrier.tick()
    carrier.receive(media(b"\x01" * 160))
    carrier.tick()
    carrier.receive(CLEAR)
    for _ in range(5):
        carrier.tick()
    carrier.receive(media(b"\x01" * 160))
    carrier.tick()
    assert carrier.gaps == [Gap(at_ms=40, length_ms=80)]


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\x00\x01", 31950),
        ("not json", 31951),
        ("[1]", 31951),
        (json.dumps({"event": "say", "streamSid": SID}), 31951),
        (json.dumps({"event": ["media"], "streamSid": SID}), 31951),
        (json.dumps({"event": "clear"}), 31951),
        (json.dumps({"event": "clear", "streamSid": SID, "extra": 1}), 31951),
        (json.dumps({"event": "clear", "streamSid": "MZother"}), 31951),
        (json.dumps({"event": "media", "streamSid": SID, "media": {"payload": "!!"}}), 31951),
        (json.dumps({"event": "media", "streamSid": SID, "media": {"payload": ""}}), 31951),
        (json.dumps({"event": "media", "streamSid": SID, "media": {"payload": 7}}), 31951),
        (json.dumps({"event": "media", "streamSid": SID, "media": "x"}), 31951),
        (json.dumps({"event": "media", "streamSid": SID, "media": {"payload": "AA==", "track": "x"}}), 31951),
        (json.dumps({"event": "mark", "streamSid": SID, "mark": {}}), 31951),
        (json.dumps({"event": "mark", "streamSid": SID, "mark": {"name": ""}}), 31951),
    ],
)
def test_what_twilio_refuses_is_counted_and_ignored(message: str | bytes, code: int) -> None:
    carrier = make_carrier()
    assert carrier.receive(message) == ()
    assert [refusal.code for refusal in carrier.refusals] == [code]
    assert carrier.counts().refused == 1
    assert not carrier.tick().audible


def test_nothing_is_taken_before_start() -> None:
    carrier = make_carrier(started=False)
    carrier.receive(media(b"\x01" * 160))
    assert str(carrier.refusals[0]) == "Twilio error 31951: media before start"


@given(st.one_of(st.text(), st.binary(), st.recursive(st.none() | st.integers() | st.text(), st.lists)))
def test_any_message_is_judged_without_an_exception(message: object) -> None:
    text = message if isinstance(message, str | bytes) else json.dumps(message)
    assert isinstance(read_message(text, SID), AudioSent | Refusal)


@given(
    st.lists(
        st.one_of(
            st.integers(1, 1000).map(lambda size: ("media", size)),
            st.just(("mark", 0)),
            st.just(("clear", 0)),
            st.integers(1, 6).map(lambda ticks: ("tick", ticks)),
        ),
        max_size=40,
    )
)
def test_played_is_sent_minus_cleared_and_marks_come_back_once_in_order(plan: list[tuple[str, int]]) -> None:
    carrier = make_carrier()
    sent = bytearray()
    heard = bytearray()
    asked: list[str] = []
    echoed: list[str] = []
    for kind, amount in [*plan, ("tick", 300)]:
        if kind == "media":
            payload = bytes([len(sent) % 100 + 1]) * amount
            sent += payload
            carrier.receive(media(payload))
        elif kind == "mark":
            asked.append(f"m{len(asked)}")
            echoed += names(carrier.receive(mark(asked[-1])))
        elif kind == "clear":
            echoed += names(carrier.receive(CLEAR))
            assert echoed == asked
        else:
            for _ in range(amount):
                tick = carrier.tick()
                echoed += names(tick.messages)
                heard += tick.heard.rstrip(b"\xff")
    assert echoed == asked
    counts = carrier.counts()
    assert counts.agent_bytes == len(heard) == len(sent) - counts.cleared_bytes
    assert counts.marks == counts.marks_echoed == len(asked)
    if not counts.cleared_bytes:
        assert heard == sent
