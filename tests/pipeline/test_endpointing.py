"""How long is waited after a caller's words, and why."""

from __future__ import annotations

import re
from typing import Any

import pytest
from call_rig import CallRig, assistant_from, running_call
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import load_assistant
from offhook.config.assistants import DEMO
from offhook.config.patience import PatienceRule, is_quick
from offhook.config.turn_taking import TurnTaking
from offhook.pipeline import expectations, spoken_digits, spoken_language, spoken_values
from offhook.pipeline.endpointing import Endpointing
from offhook.pipeline.expectations import Expectations
from offhook.pipeline.ports import TurnHint
from offhook.pipeline.spoken_language import ValueKind

FLOOR_S, MOST_S, DIGITS_S = 0.5, 3.0, 1.8
ORDER = "What is your order number?"
TELEPHONE = "Could you give me your phone number, please?"


def tool(**properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": "look_up",
        "callable": "offhook.config.assistants.orders:check_order_status",
        "parameters": {"type": "object", "properties": properties},
    }


def endpointing(assistant: Assistant | None = None, asked: str = "", **settings: Any) -> Endpointing:
    """A call's endpointing, right after the agent said something."""
    assistant = assistant or assistant_from(turn_taking=settings)
    made = Endpointing(assistant.turn_taking, assistant.language, Expectations.of(assistant))
    made.agent_spoke(asked)
    return made


def waits_ms(text: str, asked: str = "", assistant: Assistant | None = None, **settings: Any) -> int:
    return round(1000 * endpointing(assistant, asked, **settings).patience(text).silence_s)


# ------------------------------------------------------------- plain answers


@pytest.mark.parametrize(
    "asked", ["", ORDER, TELEPHONE, "What is your e-mail address?", "When were you born?"]
)
@pytest.mark.parametrize(
    "answer",
    [
        "yes",
        "No, thanks.",
        "Yes, please.",
        "Okay.",
        "That's right.",
        "Where is my order?",
        "I don't have one.",
        "I don't know.",
        "I would like to speak to someone.",
        "What are your opening hours?",
        "Can you repeat that?",
        "Cancel my order please.",
        "Next Tuesday, please.",
        "Thank you, goodbye.",
        "No, I never got a card.",
        "Do you ship to Canada?",
        "I want to return something.",
        "It was broken when it arrived.",
        "Why do you need that?",
        "I need another one.",
    ],
)
def test_a_plain_answer_waits_for_the_floor_alone(answer: str, asked: str) -> None:
    assert waits_ms(answer, asked) == 500


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("How many would you like?", "12."),
        ("How old are you?", "42"),
        ("What time suits you?", "5 30."),
        ("Is that right?", "Correct."),
        ("Is that your e-mail address?", "Exactly."),
        ("What day would you like to come?", "Next Tuesday, please."),
        ("Which color?", "The blue one."),
    ],
)
def test_a_short_answer_to_its_question_waits_for_the_floor_alone(asked: str, answer: str) -> None:
    assert waits_ms(answer, asked) == 500


# --------------------------------------------------------- values asked for


@pytest.mark.parametrize(
    ("asked", "answer", "silence_ms"),
    [
        (TELEPHONE, "415.", 1800),
        (TELEPHONE, "415. 555.", 1800),
        (TELEPHONE, "415. 555. 2 6 7 1.", 500),
        (TELEPHONE, "It's", 1800),
        ("What's the number of your credit card?", "4539. 1488.", 1800),
        ("What's the number of your credit card?", "4539 1488 0343 6467.", 500),
        ("Please tell me the last four digits.", "4 2", 1800),
        ("Please tell me the last four digits.", "4 2 1 9", 500),
        ("What is the 6-digit code?", "1 2 3 4 5", 1800),
        ("What is the 6-digit code?", "1 2 3 4 5 6", 500),
        ("Can you spell your last name for me?", "S-M-I", 1800),
        ("What's your e-mail address?", "John Smith", 1800),
        ("What's your e-mail address?", "john.smith@example.com", 500),
        ("When were you born?", "May 5th", 1200),
        ("When were you born?", "May 5th, 1985", 500),
        ("What is your address?", "12 Main Street", 1500),
    ],
)
def test_a_value_that_was_asked_for_is_waited_for(asked: str, answer: str, silence_ms: int) -> None:
    assert waits_ms(answer, asked) == silence_ms


@pytest.mark.parametrize(
    ("language", "asked", "part"),
    [
        ("de", "Wie lautet Ihre Telefonnummer?", "0171"),
        ("es", "¿Cuál es su número de teléfono?", "612"),
        ("fr", "Quel est votre numéro de téléphone ?", "06 12"),
        ("nl", "Wat is uw telefoonnummer?", "06 12"),
        ("it", "Qual è il suo numero di telefono?", "347"),
        ("pt", "Qual é o seu número de telefone?", "912"),
    ],
)
def test_numbers_are_waited_for_in_other_languages(language: str, asked: str, part: str) -> None:
    made = Endpointing(
        TurnTaking(), language, Expectations.of(assistant_from().model_copy(update={"language": language}))
    )
    made.agent_spoke(asked)
    assert made.patience(part).silence_s == DIGITS_S


@pytest.mark.parametrize("form", [{"pattern": "^[0-9]{5}$"}, {"minLength": 5, "maxLength": 5}])
def test_a_tools_schema_tells_how_long_a_number_is(form: dict[str, Any]) -> None:
    assistant = assistant_from(tools=[tool(order_number={"type": "string", **form})])
    for asked in ("Could you tell me your order number?", "What is the number of the order?"):
        assert waits_ms("1 2 3", asked, assistant) == 1800
        assert waits_ms("12,345.", asked, assistant) == 500


def test_of_several_numbers_the_one_that_was_named_counts() -> None:
    assistant = assistant_from(
        tools=[
            tool(
                order_number={"type": "string", "pattern": "^[0-9]{5}$"},
                pin_code={"type": "string", "pattern": "^[0-9]{4}$"},
            )
        ]
    )
    assert waits_ms("1 2 3 4", "And your pin code?", assistant) == 500
    assert waits_ms("1 2 3 4", "And your order number?", assistant) == 1800


@pytest.mark.parametrize(
    ("schema", "asked", "part", "whole"),
    [
        ({"email": {"type": "string", "format": "email"}}, "Your e-mail?", "jane at", "jane@example.org"),
        ({"birth_date": {"type": "string", "format": "date"}}, "Your birth date?", "May", "May 5 1985"),
        (
            {"phone": {"type": "string", "pattern": r"^\+?\d{7,15}$"}},
            "Your phone?",
            "415 555 2",
            "4155552671",
        ),
        ({"flight": {"type": "string", "pattern": "^[A-Z]{2}[0-9]{4}$"}}, "Which flight?", "B A 1", "BA1234"),
    ],
)
def test_a_tools_schema_tells_what_a_value_is(
    schema: dict[str, Any], asked: str, part: str, whole: str
) -> None:
    assistant = assistant_from(tools=[tool(**schema)])
    assert waits_ms(part, asked, assistant) > 500
    assert waits_ms(whole, asked, assistant) == 500


def test_the_demo_knows_its_order_numbers_from_its_own_question() -> None:
    demo = load_assistant(DEMO)
    assert waits_ms("1, 2.", ORDER, demo) == 1800
    assert waits_ms("1, 2, 3, 4, 5.", ORDER, demo) == 500
    assert waits_ms("Where is order 12", "How can I help?", demo) == 1800
    assert waits_ms("Where is order 12345?", "How can I help?", demo) == 500
    assert waits_ms("My order number is 12345.", "How can I help?", demo) == 500


def test_a_question_stays_open_until_it_is_answered() -> None:
    made = endpointing(asked=TELEPHONE)
    made.patience("Why do you need that?")
    made.ended()
    made.agent_spoke("To call you back.")
    made.agent_spoke("Are you still there?")
    assert made.patience("415").reason.startswith("3 digits")
    made.ended()
    assert made.patience("415 555").silence_s == DIGITS_S, "it was taken up again before the agent spoke"
    made.ended()
    made.agent_spoke("Thank you.")
    assert made.patience("John Smith").silence_s == FLOOR_S
    assert made.patience("I need 12").silence_s == FLOOR_S


def test_the_next_question_replaces_the_last() -> None:
    made = endpointing(asked=TELEPHONE)
    made.agent_spoke("How many would you like?")
    assert made.patience("415").silence_s == FLOOR_S


# ---------------------------------------------------------- other evidence


@pytest.mark.parametrize(
    ("text", "hint", "silence_s"),
    [
        ("so I wanted to ask", TurnHint.ENDED, 0.0),
        ("and", TurnHint.ENDED, 0.0),
        ("so I wanted to ask", TurnHint.RESUMED, 1.0),
        ("so I wanted to ask", TurnHint.EAGER, 0.5),
        ("my number is 415", TurnHint.ENDED, 1.8),
    ],
)
def test_the_recognisers_opinion_counts_unless_a_value_is_open(
    text: str, hint: TurnHint, silence_s: float
) -> None:
    assert endpointing().patience(text, hint).silence_s == silence_s


@pytest.mark.parametrize(
    "text", ["I wanted to ask and", "well, um", "I need a,", "because...", "my parcel is the"]
)
def test_words_that_go_on_wait_twice_the_floor(text: str) -> None:
    assert waits_ms(text) == 1000


@pytest.mark.parametrize(("language", "text"), [("de", "ich wollte fragen und"), ("fr", "je voudrais le")])
def test_every_language_has_words_that_end_no_turn(language: str, text: str) -> None:
    made = Endpointing(TurnTaking(), language, Expectations.of(assistant_from()))
    assert made.patience(text).silence_s == 2 * FLOOR_S


def test_long_pauses_of_this_caller_are_learned_and_bounded() -> None:
    made = endpointing()
    before = made.patience("so I wanted to ask about my parcel").silence_s
    for _ in range(20):
        made.went_on_after(0.9)
    learned = made.patience("so I wanted to ask about my parcel")
    assert (before, learned.silence_s) == (FLOOR_S, 2 * FLOOR_S)
    assert learned.reason == "this caller's pauses are long"
    assert made.patience("yes").silence_s == FLOOR_S
    assert made.patience("Where is my order?").silence_s == FLOOR_S


def test_short_pauses_are_forgotten_slowly() -> None:
    made = endpointing()
    made.went_on_after(1.0)
    made.went_on_after(1.0)
    raised = made.patience("I wanted to ask you something").silence_s
    for _ in range(60):
        made.went_on_after(0.3)
    assert made.patience("I wanted to ask you something").silence_s == FLOOR_S < raised


def test_pauses_inside_a_number_are_no_pauses_of_talk() -> None:
    made = endpointing(asked=TELEPHONE)
    for part in ("415", "415 5", "415 55"):
        made.patience(part)
        made.went_on_after(1.7)
    assert made.patience("so I wanted to ask you").silence_s == FLOOR_S
    assert made.patience("415 555").silence_s > DIGITS_S


# ------------------------------------------------------------------- rules


def test_a_rule_of_the_file_comes_first() -> None:
    rules = [
        {"question": "which colou?r", "wait_ms": 1500, "reason": "colours are chosen slowly"},
        {"words": "booking", "wait_ms": 9000},
        {"words": "^quick$", "wait_ms": 0},
    ]
    made = endpointing(asked="Which color?", patience=rules)
    assert made.patience("the blue one").silence_s == 1.5
    assert made.patience("the blue one").reason == "colours are chosen slowly"
    made.agent_spoke("How can I help?")
    assert made.patience("about my booking").silence_s == MOST_S
    assert made.patience("quick").silence_s == FLOOR_S


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ({"wait_ms": 100}, "everything"),
        ({"words": "(", "wait_ms": 100}, "regular expression"),
        ({"words": r"(\d+)+x", "wait_ms": 100}, "far too long"),
        ({"words": r"(\w+\s?)+$", "wait_ms": 100}, "far too long"),
        ({"question": "(a|a)*b", "wait_ms": 100}, "far too long"),
        ({"words": r"(it is|it|is|\W)*now", "wait_ms": 100}, "far too long"),
        ({"words": "x", "wait_ms": -1}, "greater than or equal"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_at_load(rule: dict[str, Any], wrong: str) -> None:
    with pytest.raises(ValidationError, match=wrong):
        PatienceRule(**rule)


@pytest.mark.parametrize("pattern", [r"\d{5}", "phone|e-?mail|address", r"\bcard\b.*\bnumber\b", "(?:a b)+"])
def test_ordinary_patterns_are_taken(pattern: str) -> None:
    assert PatienceRule(words=pattern, wait_ms=100).words == pattern


# ------------------------------------------------------------------- bounds


@given(
    floor_ms=st.integers(100, 2000),
    more_ms=st.integers(0, 4000),
    asked=st.sampled_from([ORDER, TELEPHONE, "", "Your e-mail?", "When?", "Spell it."]),
    texts=st.lists(st.text(alphabet="12 ab.,?-@", max_size=12) | st.sampled_from(["415", "and"]), max_size=6),
    pauses=st.lists(st.floats(0, 30), max_size=6),
    hint=st.sampled_from([TurnHint.NONE, TurnHint.EAGER, TurnHint.RESUMED]),
)
def test_patience_lies_between_the_floor_and_the_maximum(
    floor_ms: int, more_ms: int, asked: str, texts: list[str], pauses: list[float], hint: TurnHint
) -> None:
    made = endpointing(asked=asked, endpointing_ms=floor_ms, max_endpointing_ms=floor_ms + more_ms)
    for text, pause_s in zip(texts, pauses, strict=False):
        made.patience(text)
        made.went_on_after(pause_s)
        patience = made.patience(text, hint)
        assert floor_ms / 1000 <= patience.silence_s <= (floor_ms + more_ms) / 1000
        assert patience.reason


@given(st.lists(st.floats(0.25, 3.0), max_size=10), st.floats(0.25, 3.0))
def test_a_longer_pause_never_makes_it_more_impatient(pauses: list[float], pause_s: float) -> None:
    calm, slow = endpointing(), endpointing()
    for made, last in ((calm, min(pauses, default=0.0)), (slow, pause_s)):
        for each in (*pauses, max(last, 0.25)):
            made.went_on_after(each)
    text = "so I wanted to ask you"
    if pause_s >= min(pauses, default=0.0):
        assert slow.patience(text).silence_s >= calm.patience(text).silence_s - 1e-9


def test_a_long_turn_costs_no_more_than_a_short_one() -> None:
    made = endpointing(asked=TELEPHONE)
    assert made.patience("my story is long " * 5000 + "and 415").silence_s == DIGITS_S


def test_what_is_expected_is_told_by_the_question() -> None:
    expectations = Expectations.of(assistant_from())
    kinds = {
        "What's your phone number?": ValueKind.TELEPHONE,
        "How can I help?": ValueKind.FREE,
        "I found it. How many do you want?": ValueKind.QUANTITY,
        "Please spell your name.": ValueKind.SPELLING,
        "What is the date of your flight?": ValueKind.DATE,
        "What is your card's expiry date?": ValueKind.DATE,
        "Is that correct?": ValueKind.YES_NO,
    }
    for question, kind in kinds.items():
        expected = expectations.after(question)
        assert expected is not None, question
        assert expected.kind is kind, question
    assert expectations.after("Your order arrives tomorrow.") is None


OWN_PATTERNS = {
    f"{module.__name__.rpartition('.')[2]}.{name}": value
    for module in (expectations, spoken_digits, spoken_values)
    for name, value in vars(module).items()
    if isinstance(value, re.Pattern)
} | {
    f"{tag}.{kind.name}": pattern
    for tag in ("en", "de", "es", "fr", "nl", "it", "pt")
    for kind, pattern in spoken_language.spoken_language(tag).questions
}


@pytest.mark.parametrize("name", OWN_PATTERNS)
def test_our_own_patterns_are_quick(name: str) -> None:
    assert is_quick(OWN_PATTERNS[name])


# -------------------------------------------------------------- in a call


async def says_with_pauses(rig: CallRig, pause_s: float, *parts: str) -> None:
    for part in parts:
        await rig.caller_says(part, 0.8)
        await rig.sleep(pause_s)


async def test_a_number_in_groups_is_one_turn_of_a_call() -> None:
    async with running_call(assistant_from(first_message="What is your phone number?")) as rig:
        await rig.agent_starts()
        await rig.agent_is_silent()
        await says_with_pauses(rig, 1.5, "415", "555", "2671")
        (turn,) = rig.log.of("turn.ended")
        assert turn["text"] == "415 555 2671"
        assert turn["reason"] == "a telephone number is complete (10 digits), 500 ms"


async def test_the_pauses_inside_the_turns_of_a_call_are_learned() -> None:
    async with running_call() as rig:
        await says_with_pauses(
            rig, 0.42, "so", "I wanted", "to ask you", "about", "a parcel", "that", "I sent"
        )
        await rig.sleep(2)
        (turn,) = rig.log.of("turn.ended")
        assert str(turn["reason"]).startswith("this caller's pauses are long")
