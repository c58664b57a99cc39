"""The Twilio dialect: every message in every state, and every way in which one can be wrong."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from bridge_rig import CALL_SID, MEDIA_FORMAT, STREAM_SID, connected, digit, mark, media, start, stop
from bridge_rig import stream_message as message
from hypothesis import given
from hypothesis import strategies as st

from offhook.bridge import carrier_dialect as events
from offhook.bridge.rules import Outcome
from offhook.bridge.twilio.dialect import Dialect
from offhook.bridge.twilio.messages import KINDS
from offhook.bridge.twilio.rules import MALFORMED_LIMIT, MAX_MESSAGE_BYTES, RULES, TRANSITIONS, State
from offhook.config.errors import ProtocolError

EVENTS = (events.Started, events.Audio, events.Dtmf, events.MarkReached, events.Stopped, events.Ignored)


def streaming() -> Dialect:
    dialect = Dialect()
    dialect.receive(connected())
    dialect.receive(start())
    return dialect


def ignored(dialect: Dialect, text: str | bytes) -> str:
    """Feed one message that is to be ignored; returns the rule."""
    (event,) = dialect.receive(text)
    assert isinstance(event, events.Ignored)
    assert event.rule.outcome is Outcome.IGNORED
    assert dialect.counters[event.rule.name] >= 1
    return event.rule.name


def ended(dialect: Dialect, text: str | bytes) -> tuple[str, int]:
    """Feed one message that is to end the stream; returns the rule and the close code."""
    with pytest.raises(ProtocolError) as raised:
        dialect.receive(text)
    assert dialect.counters[raised.value.reason] == 1
    return raised.value.reason, raised.value.close_code


# ------------------------------------------------------------------ the good


def test_a_whole_stream_becomes_its_events() -> None:
    dialect = Dialect()
    audio = bytes(range(160))
    assert dialect.receive(connected()) == ()
    assert dialect.receive(start(parameters={"token": "t", "from": "+15550100"})) == (
        events.Started(STREAM_SID, CALL_SID, "AC" + "0" * 32, {"token": "t", "from": "+15550100"}),
    )
    assert dialect.receive(media(1, audio, timestamp="155")) == (events.Audio(audio, 155),)
    assert dialect.receive(digit("#")) == (events.Dtmf("#"),)
    assert dialect.receive(mark('a "quoted" märk')) == (events.MarkReached('a "quoted" märk'),)
    assert dialect.receive(stop()) == (events.Stopped(),)
    assert not dialect.streaming
    assert not dialect.counters


def test_bytes_are_read_like_text() -> None:
    dialect = Dialect()
    dialect.receive(connected().encode())
    assert dialect.receive(start().encode())[0] == streaming_started()


def streaming_started() -> events.Started:
    return events.Started(STREAM_SID, CALL_SID, "AC" + "0" * 32, {})


def test_numbers_may_be_numbers_or_strings() -> None:
    dialect = streaming()
    assert dialect.receive(media(1, timestamp="155"))[0] == events.Audio(b"\xff" * 160, 155)
    assert dialect.receive(message("media", {"chunk": 2, "timestamp": 175, "payload": "/w=="})) == (
        events.Audio(b"\xff", 175),
    )


@pytest.mark.parametrize("size", [1, 2, 159, 160, 161, 800, 8000])
def test_a_frame_may_have_any_size(size: int) -> None:
    assert streaming().receive(media(1, b"\x7f" * size)) == (events.Audio(b"\x7f" * size, 155),)


def test_unknown_fields_are_skipped() -> None:
    dialect = streaming()
    assert dialect.receive(media(1, surprise={"deep": [1, 2]}))[0] == events.Audio(b"\xff" * 160, 155)


def test_optional_parts_of_start_may_be_absent() -> None:
    body = {"accountSid": "AC1", "callSid": "CA1", "mediaFormat": MEDIA_FORMAT}
    text = json.dumps({"event": "start", "streamSid": "MZ1", "start": body})
    dialect = Dialect()
    dialect.receive(connected())
    assert dialect.receive(text) == (events.Started("MZ1", "CA1", "AC1", {}),)


# ------------------------------------------------------------------- the odd


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("not_json", ""),
        ("not_json", "hello"),
        ("not_json", "{"),
        ("not_json", b"\xff\xfe"),
        ("not_json", "\ud800"),
        ("not_json", '{"event":"media","x":' + "[" * 50_000),
        ("missing_field", '{"event":' + "[" * 50_000),
        ("unknown_event", '{"event":"transcription","streamSid":"x"}'),
        ("missing_field", "[]"),
        ("missing_field", "7"),
        ("missing_field", "null"),
        ("missing_field", "{}"),
        ("missing_field", '{"event":7}'),
        ("missing_field", '{"event":null}'),
        ("missing_field", '{"event":"media"}'),
        ("missing_field", json.dumps({"event": "media", "streamSid": STREAM_SID})),
        ("missing_field", message("media", {"chunk": "1", "timestamp": "1"})),
        ("missing_field", message("media", {"chunk": "1", "payload": "/w=="})),
        ("missing_field", message("media", {"timestamp": "1", "payload": "/w=="})),
        ("missing_field", media(1, timestamp="soon")),
        ("missing_field", media(1, timestamp=None)),
        ("missing_field", media(1, timestamp="-5")),
        ("missing_field", media("-1")),
        ("missing_field", media("9" * 5000)),
        ("missing_field", media(1, payload="/w==", track=7)),
        ("missing_field", message("dtmf", {})),
        ("missing_field", message("dtmf", {"digit": 5})),
        ("missing_field", message("mark", {})),
        ("missing_field", '{"event":"stop"}'),
        ("bad_payload", media(1, "!!!!")),
        ("bad_payload", media(1, "/w=")),
        ("bad_payload", media(1, "/_8=")),
        ("empty_audio", media(1, "")),
        ("wrong_stream_sid", message("media", {"chunk": "1", "timestamp": "1", "payload": ""}, "MZ9")),
        ("wrong_stream_sid", message("mark", {"name": "m"}, "MZ9")),
        ("wrong_stream_sid", message("dtmf", {"digit": "1"}, "MZ9")),
        ("wrong_stream_sid", message("stop", {}, "MZ9")),
        ("wrong_track", media(1, track="outbound")),
        ("bad_digit", digit("12")),
        ("bad_digit", digit("")),
        ("bad_digit", digit("x")),
        ("second_connected", connected()),
        ("second_start", start()),
        ("second_start", '{"event":"start"}'),
    ],
)
def test_an_odd_message_is_counted_and_ignored(rule: str, text: str | bytes) -> None:
    dialect = streaming()
    assert ignored(dialect, text) == rule
    assert dialect.streaming
    assert dialect.receive(media(2))[0] == events.Audio(b"\xff" * 160, 155)


@pytest.mark.parametrize("text", [digit("1"), mark("m"), '{"event":"mark"}'])
def test_events_before_start_are_ignored(text: str) -> None:
    dialect = Dialect()
    assert ignored(dialect, text) == "early_event"
    dialect.receive(connected())
    assert ignored(dialect, text) == "early_event"


def test_connected_twice_is_ignored() -> None:
    dialect = Dialect()
    dialect.receive(connected())
    assert ignored(dialect, connected()) == "second_connected"


def test_nothing_counts_after_stop() -> None:
    dialect = streaming()
    dialect.receive(stop())
    for text in (connected(), start(), media(1), digit("1"), mark("m"), stop(), '{"event":"media"}'):
        assert ignored(dialect, text) == "after_stop"


def test_a_stop_before_start_is_an_end() -> None:
    dialect = Dialect()
    dialect.receive(connected())
    assert dialect.receive(stop()) == (events.Stopped(),)


def test_start_without_connected_is_taken_and_counted() -> None:
    dialect = Dialect()
    assert dialect.receive(start()) == (streaming_started(),)
    assert dialect.counters == {"start_unannounced": 1}


# --------------------------------------------------------------- the sequence


def test_a_duplicate_chunk_is_dropped() -> None:
    dialect = streaming()
    dialect.receive(media(1))
    assert ignored(dialect, media(1)) == "duplicate_chunk"


def test_a_late_chunk_is_dropped() -> None:
    dialect = streaming()
    for chunk in (1, 2, 3):
        dialect.receive(media(chunk))
    assert ignored(dialect, media(2)) == "late_chunk"
    assert dialect.receive(media(4))


def test_a_gap_is_counted_and_its_audio_taken() -> None:
    dialect = streaming()
    dialect.receive(media(1))
    assert dialect.receive(media(5)) == (events.Audio(b"\xff" * 160, 155),)
    assert dialect.counters == {"chunk_gap": 1}


def test_a_broken_frame_leaves_a_gap_and_no_more() -> None:
    dialect = streaming()
    dialect.receive(media(1))
    ignored(dialect, media(2, "!!!!"))
    assert dialect.receive(media(3))
    assert dialect.counters == {"bad_payload": 1, "chunk_gap": 1}


def test_a_carrier_that_counts_anew_is_followed() -> None:
    dialect = streaming()
    for chunk in (1, 900):
        dialect.receive(media(chunk))
    assert dialect.receive(media(1)) == (events.Audio(b"\xff" * 160, 155),)
    assert dialect.receive(media(2)) == (events.Audio(b"\xff" * 160, 155),)
    assert dialect.counters["chunks_renumbered"] == 1


# ------------------------------------------------------------------- the end


def test_media_before_start_ends_the_stream() -> None:
    assert ended(Dialect(), media(1)) == ("media_before_start", 1002)
    dialect = Dialect()
    dialect.receive(connected())
    assert ended(dialect, '{"event":"media"}') == ("media_before_start", 1002)


@pytest.mark.parametrize(
    "change",
    [
        {"callSid": None},
        {"callSid": "../../etc"},
        {"callSid": "x" * 65},
        {"accountSid": 7},
        {"mediaFormat": None},
        {"mediaFormat": {"encoding": "audio/x-mulaw"}},
        {"customParameters": {"n": 7}},
        {"customParameters": []},
    ],
)
def test_a_start_that_cannot_be_read_ends_the_stream(change: dict[str, Any]) -> None:
    assert ended(Dialect(), start(**change)) == ("malformed_start", 1002)


def test_a_start_of_two_streams_ends_the_stream() -> None:
    assert ended(Dialect(), start(streamSid="MZ9")) == ("stream_sid_mismatch", 1002)


@pytest.mark.parametrize("change", [{"encoding": "audio/x-alaw"}, {"sampleRate": 16000}, {"channels": 2}])
def test_audio_nobody_asked_for_ends_the_stream(change: dict[str, Any]) -> None:
    text = start(mediaFormat=MEDIA_FORMAT | change)
    assert ended(Dialect(), text) == ("unknown_media_format", 1003)


def test_rubbish_is_borne_only_so_long() -> None:
    dialect = streaming()
    for index in range(MALFORMED_LIMIT):
        ignored(dialect, ("{", media(1, "!"), '{"event":"media"}')[index % 3])
    assert ended(dialect, media(1, "!")) == ("too_many_malformed", 1008)


def test_an_oversized_message_ends_the_stream() -> None:
    text = media(1, b"\xff" * MAX_MESSAGE_BYTES)
    assert ended(streaming(), text) == ("oversized", 1009)


def test_unknown_events_do_not_use_up_patience() -> None:
    dialect = streaming()
    for _ in range(10 * MALFORMED_LIMIT):
        ignored(dialect, '{"event":"new"}')


# ------------------------------------------------------------------- sending


def test_what_is_sent_has_no_field_too_many() -> None:
    dialect = streaming()
    assert json.loads(dialect.audio(b"\x00\x7f\xff")) == {
        "event": "media",
        "streamSid": STREAM_SID,
        "media": {"payload": "AH//"},
    }
    assert json.loads(dialect.mark('e1:"2"\n')) == {
        "event": "mark",
        "streamSid": STREAM_SID,
        "mark": {"name": 'e1:"2"\n'},
    }
    assert json.loads(dialect.clear()) == {"event": "clear", "streamSid": STREAM_SID}


@given(st.binary(max_size=2000))
def test_any_audio_survives_the_way_out(audio: bytes) -> None:
    sent = json.loads(streaming().audio(audio))
    assert base64.b64decode(sent["media"]["payload"], validate=True) == audio


@given(st.text(max_size=100).filter(lambda name: name.isprintable()))
def test_any_mark_name_comes_back(name: str) -> None:
    dialect = streaming()
    echoed = json.loads(dialect.mark(name))["mark"]["name"]
    assert dialect.receive(mark(echoed)) == (events.MarkReached(name),)


def test_nothing_can_be_sent_off_stream() -> None:
    stopped = streaming()
    stopped.receive(stop())
    for dialect in (Dialect(), stopped):
        for send in (dialect.clear, lambda d=dialect: d.audio(b"x"), lambda d=dialect: d.mark("m")):
            with pytest.raises(ProtocolError):
                send()


# ------------------------------------------------------------------ the table


def test_the_table_knows_every_message_in_every_state() -> None:
    assert set(TRANSITIONS) == set(State)
    for row in TRANSITIONS.values():
        assert set(row) == set(KINDS.values())


def test_rule_names_are_unique() -> None:
    names = [rule.name for rule in RULES]
    assert len(names) == len(set(names))


# ---------------------------------------------------------------------- fuzz

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
NAMES = st.sampled_from([*KINDS, "event", "streamSid", "payload", "chunk", "timestamp", "name", "digit"])
NEAR_MESSAGES = st.builds(
    lambda event, sid, body, extra: json.dumps(
        {"event": event, "streamSid": sid, event: body, **extra}, allow_nan=True
    ),
    st.sampled_from([*KINDS, "other"]),
    st.sampled_from([STREAM_SID, "MZ9"]) | st.text(max_size=5),
    st.dictionaries(NAMES | st.text(max_size=5), JSON | st.just("AAAA"), max_size=6),
    st.dictionaries(NAMES, JSON, max_size=2),
)
GOOD = st.sampled_from([connected(), start(), media(1), media(2), media(9), mark("m"), digit("5"), stop()])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good message with a few bytes of it changed."""
    text = bytearray(draw(GOOD).encode())
    for _ in range(draw(st.integers(1, 4))):
        text[draw(st.integers(0, len(text) - 1))] = draw(st.integers(0, 255))
    return bytes(text)


@given(
    st.lists(GOOD | NEAR_MESSAGES | damaged() | st.text(max_size=60) | st.binary(max_size=60), max_size=12)
)
def test_whatever_comes_in_only_events_or_a_protocol_error_come_out(messages: list[str | bytes]) -> None:
    known = {rule.name for rule in RULES}
    dialect = Dialect()
    for text in messages:
        try:
            received = dialect.receive(text)
        except ProtocolError:
            break
        assert all(isinstance(event, EVENTS) for event in received)
    assert set(dialect.counters) <= known
