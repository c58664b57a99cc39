"""What Flux's turns mean; each message is parsed by the vendor's SDK first."""

from __future__ import annotations

from typing import Any

import pytest
from deepgram_rig import parsed_v2

from offhook.config.errors import ProviderError
from offhook.config.speech import TranscriberChoice
from offhook.pipeline.ports import Transcript, TurnHint
from offhook.pipeline.providers.deepgram_dialect import Control
from offhook.pipeline.providers.deepgram_flux import Flux


def flux(*, begins_at_s: float = 0.0, sent_s: float = 60.0) -> Flux:
    """A connection that has sent so much audio."""
    choice = TranscriberChoice(provider="deepgram", model="flux-general-en")
    made = Flux(choice, "en", connection=1, begins_at_s=begins_at_s, now=0.0)
    push(made, sent_s)
    return made


def push(made: Flux, seconds: float) -> None:
    """Send so much audio, at the speed of its own; the clock is not looked at."""
    left = round(seconds * 8000)
    while left:
        piece = min(left, 640)
        left -= piece
        made.push(b"\xff" * piece, -1.0)
        assert isinstance(made.next(0.0), bytes)


def turn(event: str, text: str, end: float, *, index: int = 0, timed: bool = False, **more: Any) -> Any:
    """A `TurnInfo` message; a timed word lasts half a second."""
    words = [
        {"word": word, "confidence": 0.9} | ({"start": i * 0.5, "end": i * 0.5 + 0.4} if timed else {})
        for i, word in enumerate(text.split())
    ]
    return parsed_v2(
        {
            "type": "TurnInfo",
            "request_id": "r",
            "sequence_id": 1,
            "event": event,
            "turn_index": index,
            "audio_window_start": 0.0,
            "audio_window_end": end,
            "transcript": text,
            "words": words,
            "end_of_turn_confidence": 0.2,
            **more,
        }
    )


def read(made: Flux, message: Any) -> Transcript:
    transcript = made.read(message)
    assert transcript is not None
    return transcript


def test_each_event_has_its_hint_and_only_the_last_is_final() -> None:
    made = flux(begins_at_s=5.0)
    events = ["StartOfTurn", "Update", "EagerEndOfTurn", "TurnResumed", "EndOfTurn"]
    told = [read(made, turn(event, "Hello there", 1.0 + i)) for i, event in enumerate(events)]

    assert [item.turn for item in told] == [
        TurnHint.STARTED,
        TurnHint.NONE,
        TurnHint.EAGER,
        TurnHint.RESUMED,
        TurnHint.ENDED,
    ]
    assert [item.final for item in told] == [False, False, False, False, True]
    assert {item.utterance for item in told} == {0}
    assert [item.covers_s for item in told] == [6.0, 7.0, 8.0, 9.0, 10.0]
    assert read(made, turn("StartOfTurn", "Next", 9.0, index=1)).utterance == 1


def test_a_turn_may_begin_without_words_but_an_update_without_words_is_nothing() -> None:
    made = flux()
    assert made.read(turn("Update", "", 0.5)) is None
    assert read(made, turn("StartOfTurn", "", 1.0)).turn is TurnHint.STARTED


@pytest.mark.parametrize("timed", [False, True])
def test_words_of_a_turn_that_we_took_are_not_reported_again(timed: bool) -> None:
    made = flux(sent_s=1.0)
    read(made, turn("StartOfTurn", "Yes please", 1.0, timed=timed))
    made.end_utterance()
    assert made.next(1.0) is Control.FORCE_END_TURN
    push(made, 4.0)
    assert made.read(turn("Update", "Yes please", 1.2, timed=timed)) is None
    later = read(made, turn("Update", "Yes please and tea", 2.0, timed=timed))
    assert (later.text, later.utterance) == ("and tea", 1)
    ended = read(made, turn("EndOfTurn", "Yes please and tea", 2.5, timed=timed, trigger="model"))
    assert (ended.text, ended.utterance, ended.final, ended.turn) == ("and tea", 1, True, TurnHint.ENDED)


def test_the_end_of_a_turn_that_we_took_is_no_hint_about_the_next_one() -> None:
    made = flux(sent_s=1.0)
    read(made, turn("StartOfTurn", "Yes please", 1.0))
    made.end_utterance()
    ended = read(made, turn("EndOfTurn", "Yes please", 1.5, trigger="manual"))
    assert (ended.text, ended.final, ended.turn) == ("", True, TurnHint.NONE)
    assert made.next(0.5) is None
    assert read(made, turn("StartOfTurn", "Next one", 3.0, index=1)).text == "Next one"


def test_a_turn_without_an_end_is_over_with_the_beginning_of_the_next() -> None:
    made = flux()
    before = read(made, turn("StartOfTurn", "Yes", 1.0))
    assert read(made, turn("StartOfTurn", "No", 2.0, index=1)).utterance == before.utterance + 1


def test_nothing_is_forced_while_no_turn_is_open() -> None:
    made = flux()
    made.end_utterance()
    assert made.next(0.5) is None
    read(made, turn("StartOfTurn", "Yes", 1.0))
    read(made, turn("EndOfTurn", "Yes", 2.0, trigger="model"))
    made.end_utterance()
    assert made.next(0.5) is None


def test_an_unknown_event_or_message_means_nothing() -> None:
    made = flux()
    assert made.read(turn("Invented", "Yes", 1.0)) is None
    assert made.read(parsed_v2({"type": "Connected", "request_id": "r", "sequence_id": 0})) is None
    warning = {"type": "Warning", "request_id": "r", "sequence_id": 0, "code": "C", "description": "d"}
    assert made.read(parsed_v2(warning)) is None


def test_the_vendors_error_is_fatal() -> None:
    message = {"type": "Error", "sequence_id": 3, "code": "INTERNAL_SERVER_ERROR", "description": "pizza"}
    with pytest.raises(ProviderError) as caught:
        flux().read(parsed_v2(message))
    assert caught.value.reason == "the vendor reports an error (INTERNAL_SERVER_ERROR)"


def test_audio_goes_out_in_chunks_of_80_ms_and_the_rest_after_80_ms() -> None:
    made = flux(sent_s=0.001)
    assert made.push(b"\xff" * 160, 5.0)
    assert not made.push(b"\xff" * 160, 5.02)
    assert made.next(5.02) is None
    assert made.next_deadline() == pytest.approx(5.08)
    assert made.push(b"\xff" * 480, 5.04)
    assert len(made.next(5.04) or b"") == 640  # type: ignore[arg-type]
    assert made.next(5.04) is None
    assert made.next_deadline() == pytest.approx(5.12)
    assert len(made.next(5.12) or b"") == 160  # type: ignore[arg-type]
    assert made.next_deadline() == pytest.approx(6.12)


def test_silence_is_sent_for_each_second_without_audio() -> None:
    made = flux(sent_s=0.001)
    start = made.next_deadline()
    assert made.next(start) == b"\xff" * 640
    assert made.next(start) is None
    assert made.next_deadline() == pytest.approx(start + 1.0)
