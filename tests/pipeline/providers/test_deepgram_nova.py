"""What Nova's results mean; each message is parsed by the vendor's SDK first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from deepgram_rig import parsed_v1
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.config.errors import ProviderError
from offhook.config.speech import TranscriberChoice
from offhook.pipeline.ports import Transcript
from offhook.pipeline.providers.deepgram_dialect import Control
from offhook.pipeline.providers.deepgram_nova import Nova

SECOND = b"\xff" * 8000
Timed = tuple[str, float, float]


def nova(*, begins_at_s: float = 0.0, sent_s: float = 60.0) -> Nova:
    """A connection that has sent so much audio."""
    choice = TranscriberChoice(provider="deepgram")
    made = Nova(choice, "en", connection=2, begins_at_s=begins_at_s, now=0.0)
    push(made, sent_s)
    return made


def push(made: Nova, seconds: float) -> None:
    """Send so much audio, in pieces that wait for nothing."""
    left = round(seconds * 8000)
    while left:
        piece = min(left, 7680)
        left -= piece
        made.push(b"\xff" * piece, 0.0)
        assert isinstance(made.next(0.0), bytes)


def results(
    words: Sequence[Timed], start: float, end: float, *, final: bool = False, confidence: float = 0.98
) -> Any:
    """A `Results` message."""
    return parsed_v1(
        {
            "type": "Results",
            "channel_index": [0, 1],
            "start": start,
            "duration": end - start,
            "is_final": final,
            "speech_final": False,
            "from_finalize": False,
            "channel": {
                "alternatives": [
                    {
                        "transcript": " ".join(word for word, _, _ in words),
                        "confidence": confidence,
                        "words": [
                            {"word": word.lower(), "start": begins, "end": ends, "confidence": confidence}
                            | {"punctuated_word": word}
                            for word, begins, ends in words
                        ],
                    }
                ]
            },
            "metadata": {
                "request_id": "r",
                "model_info": {"name": "nova-3", "version": "1", "arch": "nova-3"},
                "model_uuid": "m",
            },
        }
    )


def read(made: Nova, message: Any) -> Transcript:
    transcript = made.read(message)
    assert transcript is not None
    return transcript


def test_interim_results_share_an_utterance_until_one_is_final() -> None:
    made = nova(begins_at_s=100.0)
    first = read(made, results([("Hello", 0.2, 0.5)], 0.0, 1.0))
    second = read(made, results([("Hello", 0.2, 0.5), ("you.", 0.5, 0.9)], 0.0, 1.5, final=True))
    third = read(made, results([("Fine?", 2.0, 2.4)], 1.5, 2.5))

    assert (first.connection, first.text, first.final, first.covers_s) == (2, "Hello", False, 101.0)
    assert (second.text, second.final, second.covers_s) == ("Hello you.", True, 101.5)
    assert first.utterance == second.utterance
    assert third.utterance == second.utterance + 1
    assert first.sequence < second.sequence < third.sequence


def test_silence_is_not_reported_but_a_final_without_words_is() -> None:
    made = nova()
    assert made.read(results([], 0.0, 1.0)) is None
    final = read(made, results([], 0.0, 3.0, final=True))
    assert (final.text, final.final, final.covers_s, final.confidence) == ("", True, 3.0, 1.0)


def test_words_that_an_interim_result_takes_back_are_taken_back() -> None:
    made = nova()
    before = read(made, results([("Uh", 0.2, 0.5)], 0.0, 1.0))
    after = read(made, results([], 0.0, 1.5))
    assert (after.text, after.utterance) == ("", before.utterance)
    assert made.read(results([], 0.0, 2.0)) is None


def test_a_word_before_the_end_of_the_turn_is_cut_away_and_one_behind_it_stays() -> None:
    made = nova(sent_s=2.0)
    read(made, results([("Yes,", 0.2, 0.5)], 0.0, 1.0))
    made.end_utterance()
    push(made, 2.0)
    later = read(
        made, results([("Yes,", 0.2, 0.5), ("please.", 1.2, 1.6), ("Now.", 2.5, 2.9)], 0.0, 3.0, final=True)
    )
    assert later.text == "Now."
    assert later.utterance == 1


def test_a_word_that_was_reported_half_spoken_is_not_reported_again() -> None:
    made = nova(sent_s=1.2)
    read(made, results([("To", 0.2, 0.4), ("mor", 1.0, 1.2)], 0.0, 1.2))
    made.end_utterance()
    push(made, 2.0)
    later = read(
        made, results([("To", 0.2, 0.4), ("morrow", 1.0, 1.6), ("then.", 1.6, 1.9)], 0.0, 2.0, final=True)
    )
    assert later.text == "then."


@pytest.mark.parametrize(("theirs", "is_a_guess"), [(0.99, False), (0.6, False), (0.51, False), (0.49, True)])
def test_a_word_that_is_rather_wrong_than_right_is_a_guess(theirs: float, is_a_guess: bool) -> None:
    transcript = read(nova(), results([("Yes", 0.2, 0.5)], 0.0, 1.0, confidence=theirs))
    assert (transcript.confidence < 0.37) is is_a_guess


def test_certain_words_stay_certain() -> None:
    assert read(nova(), results([("Yes", 0.2, 0.5)], 0.0, 1.0, confidence=1.0)).confidence == 1.0


@pytest.mark.parametrize(
    "message",
    [
        None,
        b"sound",
        {"type": "Metadata", "request_id": "r"},
        {"type": "SpeechStarted", "channel": [0], "timestamp": 1.0},
        {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": 1.0},
        {"type": "Invented", "start": 3},
    ],
)
def test_other_messages_mean_nothing(message: Any) -> None:
    parsed = parsed_v1(message) if isinstance(message, dict) else message
    made = nova()
    try:
        assert made.read(parsed) is None
    except AttributeError:
        assert parsed is None or isinstance(parsed, bytes)


def test_the_vendors_error_is_fatal_and_quotes_nothing() -> None:
    message = {"type": "Error", "variant": "SchemaError", "description": "about pizza", "message": "pizza"}
    with pytest.raises(ProviderError) as caught:
        nova().read(parsed_v1(message))
    assert caught.value.reason == "the vendor reports an error (SchemaError)"


def test_an_error_code_that_is_no_code_is_left_out() -> None:
    message = {"type": "Error", "variant": "I want pizza", "description": ""}
    with pytest.raises(ProviderError) as caught:
        nova().read(parsed_v1(message))
    assert "pizza" not in str(caught.value)


def test_finalize_waits_for_the_audio_that_it_is_about() -> None:
    made = nova(begins_at_s=10.0, sent_s=1.0)
    made.push(SECOND, 0.0)
    made.speech_paused(12.0)
    sent = [made.next(0.0) for _ in range(4)]
    assert [item if isinstance(item, Control) else len(item or b"") for item in sent] == [
        7680,
        320,
        Control.FINALIZE,
        0,
    ]


def test_keep_alive_is_due_four_seconds_after_the_last_audio_and_again() -> None:
    made = nova(sent_s=1.0)
    assert made.next_deadline() == 4.0
    assert made.next(3.9) is None
    assert made.next(4.0) is Control.KEEP_ALIVE
    assert made.next(4.0) is None
    assert made.next_deadline() == 8.0


# ----------------------------------------------------------- every word once


@dataclass(frozen=True)
class Step:
    """One thing that happens while the caller speaks."""

    until: int
    """So many words have been said."""
    kind: str
    """"interim", "final" or "end"."""


WORDS = 12
steps = st.lists(
    st.builds(Step, st.integers(0, WORDS), st.sampled_from(["interim", "interim", "final", "end"])),
    max_size=20,
)


@settings(max_examples=300, deadline=None)
@given(steps, st.integers(0, 3))
def test_each_word_is_final_exactly_once_and_in_order(happens: list[Step], behind: int) -> None:
    """However results cut the speech up, and however late they are for the end of a turn."""
    spoken: list[Timed] = [(f"w{index}.", index * 0.5, index * 0.5 + 0.4) for index in range(WORDS)]
    made = nova(sent_s=0.001)
    told: list[str] = []
    live: dict[int, str] = {}
    over: set[int] = set()
    sent_s, from_word, from_s = 0.001, 0, 0.0

    def take(transcript: Transcript | None) -> None:
        if transcript is not None:
            assert transcript.utterance not in over
            live[transcript.utterance] = transcript.text

    for step in [*sorted(happens, key=lambda item: item.until), Step(WORDS, "final")]:
        ends_s = max(sent_s, step.until * 0.5)
        if ends_s > sent_s:
            push(made, ends_s - sent_s)
            sent_s = ends_s
        if step.kind == "end":
            told.extend(live.values())
            over.update(live)
            live.clear()
            # words that were said and never reported are gone with their turn
            made.end_utterance()
            told.append(f"|{math.floor(sent_s / 0.5 + 0.1)}")
            continue
        known = max(from_word, step.until - (behind if step.kind == "interim" else 0))
        take(made.read(results(spoken[from_word:known], from_s, sent_s, final=step.kind == "final")))
        if step.kind == "final":
            from_word, from_s = known, sent_s
    told.extend(live.values())

    expected_next = 0
    for word in " ".join(told).split():
        if word.startswith("|"):
            expected_next = max(expected_next, int(word[1:]))
            continue
        number = int(word[1:-1])
        assert number == expected_next
        expected_next += 1
    assert expected_next == WORDS
