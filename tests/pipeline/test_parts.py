"""Small parts of the conversation: channels, clauses, phrases, words, speech gate, pacing wheel."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.errors import ChannelClosed
from offhook.config.turn_taking import TurnTaking
from offhook.pipeline.caller_words import CallerWords
from offhook.pipeline.channel import Overflow, Receiver, Sender, open_channel
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.evidence import Activity
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.phrases import Meaning, PhraseBook
from offhook.pipeline.ports import Transcript, VoiceWindow
from offhook.pipeline.segmenter import Segmenter, clauses_of
from offhook.pipeline.speech_gate import SpeechGate

# ---------------------------------------------------------------- channels


def channel(limit: int, overflow: Overflow) -> tuple[Sender[int], Receiver[int]]:
    return open_channel(limit, overflow)


async def test_a_full_channel_makes_its_producer_wait() -> None:
    sender, receiver = channel(2, Overflow.WAIT)
    done = []

    async def produce() -> None:
        for number in range(5):
            await sender.send(number)
            done.append(number)
        sender.close()

    producer = asyncio.create_task(produce())
    await asyncio.sleep(1)
    assert done == [0, 1]
    assert [item async for item in receiver] == [0, 1, 2, 3, 4]
    await producer


async def test_a_full_channel_drops_the_oldest_or_the_newest_and_counts() -> None:
    for overflow, kept in ((Overflow.DROP_OLDEST, [1, 2]), (Overflow.DROP_NEWEST, [0, 1])):
        sender, receiver = channel(2, overflow)
        assert [sender.send_now(number) for number in range(3)] == [True, True, False]
        sender.close()
        assert [item async for item in receiver] == kept
        assert receiver.statistics().dropped == 1


async def test_a_closed_channel_gives_what_is_inside_and_takes_nothing() -> None:
    sender, receiver = channel(2, Overflow.WAIT)
    sender.send_now(1)
    sender.close()
    assert await receiver.receive() == 1
    with pytest.raises(ChannelClosed):
        await receiver.receive()
    with pytest.raises(ChannelClosed):
        sender.send_now(2)


# ----------------------------------------------------------------- clauses


def test_the_first_clause_is_cut_early_and_later_ones_late() -> None:
    text = "We ship every working day, by noon, to all of Europe. It is free from fifty euros, and fast."
    assert clauses_of(text) == [
        "We ship every working day,",
        "by noon, to all of Europe.",
        "It is free from fifty euros, and fast.",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "Ask for Dr. Smith today.",
        "It costs 4.99 euros.",
        "Call J. Miller now.",
        "We close at 5 p.m. on Friday.",
    ],
)
def test_a_point_that_ends_no_sentence_cuts_nothing(text: str) -> None:
    assert clauses_of(text) == [text]


@given(st.text("ab ,.!?\n", max_size=200), st.lists(st.integers(1, 7), max_size=80))
def test_no_word_is_lost_however_the_text_arrives(text: str, sizes: list[int]) -> None:
    segmenter, clauses, rest = Segmenter(), [], text
    for size in sizes:
        clauses += segmenter.feed(rest[:size])
        rest = rest[size:]
    clauses += segmenter.feed(rest) + segmenter.flush()
    assert " ".join(clauses).split() == text.split()


# ----------------------------------------------------------------- phrases


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        ("", Meaning.NOTHING),
        ("...", Meaning.NOTHING),
        ("Yeah.", Meaning.BACKCHANNEL),
        ("Uh-huh, yeah, okay.", Meaning.BACKCHANNEL),
        ("Stop.", Meaning.STOP),
        ("Yeah but wait", Meaning.STOP),
        ("Just tell me when it arrives", Meaning.CONTENT),
        ("okay then tell me", Meaning.CONTENT),
    ],
)
def test_what_words_over_the_agent_mean(text: str, meaning: Meaning) -> None:
    assert PhraseBook.of(TurnTaking(), "en").meaning(text) is meaning


# ---------------------------------------------------------- the turn's words


def heard(
    text: str, *, utterance: int = 0, sequence: int = 1, final: bool = False, connection: int = 0
) -> Transcript:
    return Transcript(connection, utterance, sequence, text, final, 1.0)


def test_a_newer_result_replaces_an_older_one_and_an_old_one_is_dropped() -> None:
    words = CallerWords()
    words.take(heard("what", sequence=1))
    words.take(heard("what is your name", sequence=3))
    assert not words.take(heard("what is", sequence=2))
    assert words.text == "what is your name"
    assert words.dropped == 1


def test_words_are_stable_when_two_results_agree() -> None:
    words = CallerWords()
    words.take(heard("What?", sequence=1))
    assert words.stable_text == ""
    words.take(heard("What's the weather", sequence=2))
    assert words.stable_text == ""
    words.take(heard("What's the weather like", sequence=3))
    assert words.stable_text == "What's the weather"


def test_results_of_a_turn_that_is_over_are_dropped() -> None:
    words = CallerWords()
    words.take(heard("one", sequence=1))
    words.reset()
    assert not words.take(heard("one two", sequence=2))
    assert words.take(heard("three", utterance=1, sequence=3))
    assert words.text == "three"


def test_a_recogniser_that_was_opened_again_replaces_what_was_not_final() -> None:
    words = CallerWords()
    words.take(heard("done.", final=True))
    words.take(heard("half a", utterance=1, sequence=2))
    words.take(heard("half a sentence", connection=1, sequence=1))
    assert words.text == "done. half a sentence"


# ------------------------------------------------------------- speech gate


def gate_over(probabilities: list[float], *, level_dbfs: float = -20.0) -> list[Activity]:
    gate = SpeechGate(0.5, 0.06)
    return [
        gate.feed(VoiceWindow((index + 1) * 0.032, probability, level_dbfs))
        for index, probability in enumerate(probabilities)
    ]


def test_one_window_of_speech_is_no_onset_and_two_are() -> None:
    assert not any(item.speaking for item in gate_over([0.9, 0.1, 0.9, 0.1, 0.1]))
    found = gate_over([0.1, 0.9, 0.9])
    assert found[-1].speaking
    assert found[-1].onset_s == pytest.approx(0.032)


def test_a_short_gap_inside_speech_is_bridged_and_a_long_one_ends_it() -> None:
    found = gate_over([0.9] * 5 + [0.1] * 5 + [0.9] * 3 + [0.1] * 8)
    assert all(item.speaking for item in found[1:13])
    assert not found[-1].speaking
    assert found[-1].last_speech_s == pytest.approx(13 * 0.032)
    assert found[-1].silence_s == pytest.approx(8 * 0.032)


def test_what_is_too_quiet_to_be_heard_is_no_speech() -> None:
    assert not any(item.speaking for item in gate_over([0.9] * 10, level_dbfs=-70))


# ------------------------------------------------------------ pacing wheel


async def test_every_member_is_served_once_a_turn_and_the_wheel_rests_without_members() -> None:
    loop = asyncio.get_running_loop()
    wheel = PacingWheel(LoopClock(loop, loop.time))
    served: dict[int, list[float]] = {number: [] for number in range(25)}
    members = [served[number].append for number in range(25)]
    slots = [wheel.join(member) for member in members]
    await asyncio.sleep(1.0)
    for times in served.values():
        assert 9 <= len(times) <= 11
        gaps = [b - a for a, b in pairwise(times)]
        assert all(gap == pytest.approx(0.1) for gap in gaps)
    assert max(slots.count(slot) for slot in slots) <= 3
    for slot, member in zip(slots, members, strict=True):
        wheel.leave(slot, member)
    count = sum(map(len, served.values()))
    await asyncio.sleep(1.0)
    assert sum(map(len, served.values())) == count
