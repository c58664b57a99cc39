"""Judges of cut-ins, on calls that were made up."""

from __future__ import annotations

from typing import Any

from offhook.lab.bridge_log import BridgeEvent
from offhook.lab.cut_ins import cut_ins, played_bytes, words_until
from offhook.lab.figures import nearest_rank
from offhook.lab.heard_words import Rendition, WordSpan
from offhook.lab.hearing import Utterance
from offhook.lab.measured_call import MeasuredCall

LOUD, QUIET = b"\x20" * 160, b"\xff" * 160
MADE = bytes(range(1, 127)) * 40


def event(kind: str, at_ms: int, **data: Any) -> BridgeEvent:
    return BridgeEvent(kind, at_ms, data)


def call(agent: str, clears_ms: list[int], *events: BridgeEvent) -> MeasuredCall:
    """A picture of the agent's side, `#` for 20 ms of sound; the caller asks at 0 and cuts in at 200 ms."""
    return MeasuredCall(
        heard=bytearray(b"".join(LOUD if sign == "#" else QUIET for sign in agent)),
        taken_bytes=[160 * agent[: index + 1].count("#") for index in range(len(agent))],
        utterances=(Utterance("ask", 0, 60), Utterance("stop", 200, 400)),
        clears_ms=clears_ms,
        events=events,
    )


CANCELLED = event("audio.cancelled", 420, heard_text="We send", played_ms=180)


def test_a_stop_is_timed_from_the_callers_onset_to_the_agents_last_frame() -> None:
    (found,) = cut_ins(call("....###########.........", [280], CANCELLED))
    assert found.stop_ms == 100
    assert found.frames_after_clear == 0
    assert found.sent_bytes == 11 * 160
    assert found.bridge_text == "We send"


def test_a_frame_behind_the_clear_is_stale() -> None:
    (found,) = cut_ins(call("....#############.......", [280], CANCELLED))
    assert found.frames_after_clear == 2


def test_audio_behind_a_resume_is_not_stale_but_the_agent_was_not_silent() -> None:
    resumed = event("barge-in.decided", 330, decision="resume", why="noise")
    (found,) = cut_ins(call("....###########..###....", [280, 400], resumed, CANCELLED))
    assert found.frames_after_clear == 0
    assert (found.stop_ms, found.resumes) == (200, 1)


def test_the_next_reply_is_neither_stale_nor_part_of_the_stop() -> None:
    answer = event("playout.first-frame", 425)
    (found,) = cut_ins(call("....###########......####", [280], CANCELLED, answer))
    assert (found.stop_ms, found.frames_after_clear) == (100, 0)
    assert len(found.reply_audio) == (420 - 60) * 8


def test_an_agent_that_was_not_cleared_spoke_on() -> None:
    (found,) = cut_ins(call("....####################", []))
    assert found.stop_ms is None
    assert found.bridge_text is None


def test_recorded_bytes_are_found_in_the_reply_at_any_phase() -> None:
    assert played_bytes(b"\xff" * 377 + MADE[:2345] + b"\xff" * 900, MADE) == 2345
    assert played_bytes(b"\xff" * 377 + MADE, MADE) == len(MADE)
    assert played_bytes(b"\xff" * 377 + MADE[500:900], MADE) is None


def test_words_count_when_more_than_half_was_played() -> None:
    rendition = Rendition("We send every", (WordSpan(0.0, 0.2), WordSpan(0.2, 0.6), WordSpan(0.6, 1.0)))
    assert words_until(rendition, 3200).text == "We"
    assert words_until(rendition, 3208).text == "We send"


def test_ranks_are_values_that_occurred() -> None:
    values = [40, 10, 30, 20]
    assert (nearest_rank(values, 0.5), nearest_rank(values, 0.95), nearest_rank(values, 1.0)) == (20, 40, 40)
