"""The far end of a benchmark's call: what it sends, what it hears, and what it takes for a gap."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode

import pytest

from offhook.bridge import carrier_dialect as events
from offhook.bridge.plain_frames import read_text_frame
from offhook.bridge.twilio.dialect import Dialect
from offhook.codecs import g711
from offhook.lab.bench.caller_sound import noise_frames, speech_frames
from offhook.lab.bench.carrier_frames import CLOSE, PING, TEXT, split_frames
from offhook.lab.bench.far_end import CallerSound, FarEnd
from offhook.lab.bench.load_figures import LoadFigures
from offhook.lab.bench.plan import STAMPED_EVERY, Window
from offhook.lab.bench.stamp import STAMP_BYTES, read_stamp, stamp

MS = 1_000_000
START_NS = 1_000_000 * MS
LOUD = bytes([0x20]) * 800
QUIET = bytes([g711.SILENCE]) * 800
SOUND = CallerSound(noise_frames(3), speech_frames(0.2))


class Rig:
    """A far end, and a dialect that reads what it sends."""

    def __init__(self, *, interrupts_at_ns: int | None = None) -> None:
        self.figures = LoadFigures()
        self.far_end = FarEnd(7, SOUND, self.figures, interrupts_at_ns=interrupts_at_ns)
        self.dialect = Dialect()
        self.read(self.far_end.opening())
        self.far_end.measure(Window(START_NS, START_NS + 60_000 * MS))

    def read(self, data: bytes) -> list[events.StreamEvent]:
        """What the bridge makes of these bytes."""
        found: list[events.StreamEvent] = []
        at = 0
        while at < len(data):
            frame = read_text_frame(data, at)
            assert frame is not None
            payload, at = frame
            found += self.dialect.receive(payload)
        return found

    def tick(self, at_ms: float) -> list[events.StreamEvent]:
        return self.read(self.far_end.tick(START_NS + round(at_ms * MS)))

    def hear(self, audio: bytes, at_ms: float) -> None:
        message = self.dialect.audio(audio)
        assert self.far_end.received(TEXT, message, START_NS + round(at_ms * MS)) == b""

    def order(self, message: bytes, at_ms: float) -> list[events.StreamEvent]:
        return self.read(self.far_end.received(TEXT, message, START_NS + round(at_ms * MS)))

    def keys(self, at_ms: float) -> str:
        return "".join(event.digit for event in self.tick(at_ms) if isinstance(event, events.Dtmf))


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_its_frames_are_those_of_a_carrier_and_bear_the_time(rig: Rig) -> None:
    frames = [event for at_ms in range(0, 200, 20) for event in rig.tick(at_ms)]
    audio = [frame for frame in frames if isinstance(frame, events.Audio)]
    stamps = [read_stamp(frame.payload) for frame in audio]

    assert [frame.timestamp_ms for frame in audio] == list(range(20, 220, 20))
    assert {len(frame.payload) for frame in audio} == {160}
    assert stamps[STAMPED_EVERY - 1 :: STAMPED_EVERY] == [START_NS + 80 * MS, START_NS + 180 * MS]
    assert len([moment for moment in stamps if moment is not None]) == 2
    assert rig.dialect.counters == {}
    assert rig.figures.frames_sent == 10


def test_the_way_out_is_measured_by_the_stamp_in_the_audio(rig: Rig) -> None:
    rig.hear(stamp(START_NS + 5 * MS) + LOUD[STAMP_BYTES:], at_ms=8)

    assert rig.figures.out_delay.count == 1
    assert rig.figures.out_delay.max_ms == pytest.approx(3)
    assert rig.figures.bytes_in_window == 800


def test_audio_without_a_stamp_is_played_but_not_measured(rig: Rig) -> None:
    for audio in (LOUD, QUIET, LOUD[:3]):
        rig.hear(audio, at_ms=0)

    assert rig.figures.out_delay.count == 0
    assert rig.far_end.heard


def test_audio_in_time_is_no_underrun(rig: Rig) -> None:
    for at_ms in (0, 50, 190, 290):
        rig.hear(LOUD, at_ms)

    assert rig.figures.underruns == 0


def test_a_gap_within_a_reply_is_an_underrun_of_its_length(rig: Rig) -> None:
    rig.hear(LOUD, at_ms=0)
    rig.hear(LOUD, at_ms=130)

    assert rig.figures.underruns == 1
    assert rig.figures.underrun_ns == 30 * MS


def test_a_reply_that_never_goes_on_is_an_underrun(rig: Rig) -> None:
    rig.hear(LOUD, at_ms=0)
    rig.far_end.finish(START_NS + 60_001 * MS)

    assert rig.figures.underruns == 1


def test_silence_after_a_reply_that_ended_quietly_is_none(rig: Rig) -> None:
    rig.hear(LOUD + QUIET, at_ms=0)
    rig.hear(LOUD, at_ms=5000)

    assert rig.figures.underruns == 0


def test_a_reply_may_end_quietly_in_a_few_bytes(rig: Rig) -> None:
    rig.hear(LOUD + QUIET, at_ms=0)
    rig.hear(QUIET[:2], at_ms=90)
    rig.hear(LOUD, at_ms=5000)

    assert rig.figures.underruns == 0


def test_silence_after_a_clear_is_none(rig: Rig) -> None:
    rig.hear(LOUD, at_ms=0)
    rig.order(rig.dialect.clear(), at_ms=50)
    rig.hear(LOUD, at_ms=900)

    assert rig.figures.underruns == 0


def test_gaps_outside_the_window_do_not_count(rig: Rig) -> None:
    rig.hear(LOUD, at_ms=-500)
    rig.hear(LOUD, at_ms=-200)

    assert rig.figures.underruns == 0
    assert rig.figures.bytes_in_window == 0


def test_a_mark_comes_back_when_the_audio_before_it_was_played(rig: Rig) -> None:
    rig.hear(LOUD, at_ms=0)
    early = rig.order(rig.dialect.mark("0.1"), at_ms=1)

    assert early == []
    assert events.MarkReached("0.1") not in rig.tick(80)
    assert events.MarkReached("0.1") in rig.tick(100)


def test_a_mark_on_a_quiet_line_comes_back_at_once(rig: Rig) -> None:
    assert rig.order(rig.dialect.mark("0.1"), at_ms=0) == [events.MarkReached("0.1")]


def test_a_clear_empties_the_line_and_returns_its_marks(rig: Rig) -> None:
    rig.hear(LOUD, at_ms=0)
    rig.order(rig.dialect.mark("0.1"), at_ms=0)
    rig.order(rig.dialect.mark("0.2"), at_ms=0)

    echoed = rig.order(rig.dialect.clear(), at_ms=10)

    assert echoed == [events.MarkReached("0.1"), events.MarkReached("0.2")]
    assert rig.order(rig.dialect.mark("1.1"), at_ms=10) == [events.MarkReached("1.1")]


def test_keys_ask_for_another_reply_once_the_agent_has_finished(rig: Rig) -> None:
    assert rig.keys(at_ms=0) == "1#"
    rig.hear(LOUD + QUIET, at_ms=100)

    assert rig.keys(at_ms=3200) == "1#"
    assert rig.keys(at_ms=3220) == ""


def test_no_key_is_pressed_while_the_agent_speaks(rig: Rig) -> None:
    rig.hear(LOUD * 100, at_ms=0)

    assert "".join(rig.keys(at_ms) for at_ms in range(0, 10_000, 500)) == ""


def test_an_interrupting_caller_notes_when_the_agent_fell_silent() -> None:
    rig = Rig(interrupts_at_ns=679 * MS)
    rig.hear(LOUD * 40, at_ms=0)
    while not rig.figures.interruptions:
        rig.tick(at_ms := 20.0 * rig.figures.frames_sent)

    rig.order(rig.dialect.clear(), at_ms + 75)

    assert rig.figures.answered_interruptions == 1
    assert rig.figures.fell_silent.max_ms == pytest.approx(75)


def test_a_ping_is_answered_with_its_own_words(rig: Rig) -> None:
    answer = rig.far_end.received(PING, b"still there?", START_NS)

    assert answer[:2] == bytes((0x8A, 0x80 | 12))
    assert answer.endswith(b"still there?")


def test_a_close_ends_it(rig: Rig) -> None:
    rig.far_end.received(CLOSE, b"", START_NS)

    assert rig.far_end.ended


def test_frames_are_read_however_the_bytes_are_cut() -> None:
    long = json.dumps({"event": "media", "payload": b64encode(LOUD).decode()}).encode()
    data = b"\x81\x02{}" + b"\x81\x7e" + len(long).to_bytes(2, "big") + long + b"\x89\x00"
    rest, found = b"", []
    for byte in data:
        frames, rest = split_frames(rest + bytes((byte,)))
        found += frames

    assert found == [(TEXT, b"{}"), (TEXT, long), (PING, b"")] == split_frames(data)[0]
    assert rest == b""
    assert b64decode(json.loads(found[1][1])["payload"]) == LOUD
