"""Numbers that are said with pauses, in whole calls with the real voice activity and the real recogniser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from call_rig import assistant_from
from spoken_turns import HeardCaller, SpokenCallers

from offhook.codecs import g711, wav
from offhook.config.assistant_loading import load_assistant
from offhook.config.assistants import DEMO
from offhook.pipeline.spoken_digits import read_digits
from offhook.pipeline.spoken_language import spoken_language

pytestmark = pytest.mark.realtime

AUDIO = Path(__file__).parents[1] / "audio"
TELEPHONE = "What is your telephone number?"
CARD = "What is your card number?"
OPEN_QUESTION = "How can I help?"
ORDER = "What is your order number?"

NUMBERS: list[tuple[str, str, Sequence[str | float]]] = [
    (TELEPHONE, "4155552671", ("four one five", 0.6, "five five five", 0.9, "two six seven one")),
    (TELEPHONE, "9962389951", ("nine nine six", 1.6, "two three eight", 1.2, "nine nine five one")),
    (
        "Could I have your phone number?",
        "6465550143",
        ("It's six four six", 0.8, "five five five", 0.8, "zero one four three"),
    ),
    (
        "And your mobile?",
        "18615975825",
        ("one", 1.6, "eight six one", 1.2, "five nine seven", 0.8, "five eight two five"),
    ),
    (
        OPEN_QUESTION,
        "5407515433",
        ("my number is five four zero", 1.2, "seven five one", 1.2, "five four", 1.2, "three three"),
    ),
    (
        OPEN_QUESTION,
        "9182332641",
        ("my number is nine one eight", 0.45, "two three three", 1.4, "two six", 1.0, "four one"),
    ),
    (
        CARD,
        "4539148803436467",
        (
            "four five three nine",
            0.7,
            "one four eight eight",
            1.0,
            "zero three four three",
            1.4,
            "six four six seven",
        ),
    ),
    (
        CARD,
        "4326893864927014",
        (
            "four three two six",
            1.2,
            "eight nine three eight",
            0.6,
            "six four nine two",
            0.8,
            "seven zero one four",
        ),
    ),
    (ORDER, "12345", ("one two", 1.1, "three four five")),
    (ORDER, "45734", ("It's four five", 1.0, "seven three four")),
    (ORDER, "42189", ("forty two", 0.6, "eighteen", 0.9, "nine")),
    (ORDER, "06274", ("It's zero six", 1.6, "two seven four")),
]

PLAIN_ANSWERS = [
    ("Is that right?", "Yes."),
    ("Anything else?", "No, thanks."),
    ("When would you like to come?", "Next Tuesday, please."),
    (OPEN_QUESTION, "Where is my order?"),
    (TELEPHONE, "I don't have one."),
    ("How many would you like?", "Two."),
    ("What is your e-mail address?", "I don't have an e-mail address."),
    ("Can you spell your name?", "No, I can't."),
]


@pytest.fixture(scope="module")
def people() -> SpokenCallers:
    return SpokenCallers()


def heard(people: SpokenCallers, question: str, audio: bytes) -> HeardCaller:
    if question == ORDER:
        assistant = load_assistant(DEMO).model_copy(update={"first_message": question})
    else:
        assistant = assistant_from(first_message=question)
    return people.hear(audio, assistant)


@pytest.mark.parametrize(("question", "digits", "parts"), NUMBERS, ids=[number[1] for number in NUMBERS])
def test_a_number_with_pauses_in_it_is_one_turn(
    people: SpokenCallers, question: str, digits: str, parts: Sequence[str | float]
) -> None:
    turns = heard(people, question, people.say(*parts)).turns
    assert len(turns) == 1, turns
    assert read_digits(turns[0].text, spoken_language("en")).every == digits


def test_a_number_that_a_person_says_is_one_turn(people: SpokenCallers) -> None:
    with (AUDIO / "vosk-digits.ulaw.wav").open("rb") as file:
        said = g711.encode(wav.read(file).pcm.reshape(-1))
    turns = heard(people, "What is your account number?", said).turns
    assert len(turns) == 1, turns


@pytest.mark.parametrize(("question", "answer"), PLAIN_ANSWERS)
def test_a_plain_answer_is_not_waited_for(people: SpokenCallers, question: str, answer: str) -> None:
    (turn,) = heard(people, question, people.say(answer)).turns
    assert turn.reason.endswith("500 ms")
    assert turn.waited_s < 0.56
