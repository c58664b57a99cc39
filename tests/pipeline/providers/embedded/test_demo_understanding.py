"""How well the demo's callers are understood, on sentences that are none of its examples."""

from __future__ import annotations

import time

import pytest

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import load_assistant
from offhook.config.assistants import DEMO
from offhook.pipeline.messages import CallerSaid
from offhook.pipeline.providers.embedded.likeness import Likeness
from offhook.pipeline.providers.embedded.understanding import Understander

PARAPHRASES = (
    ("hey I'd like to know where my parcel is", "order_status"),
    ("could you tell me the status of order 54321", "order_status"),
    ("I ordered something last week and it still isn't here", "order_status"),
    ("do you know when my package will get here", "order_status"),
    ("I'm calling because my order has not come", "order_status"),
    ("the number of my order is 6, 7, 8, 9, 0", "order_status"),
    ("order number 98,765 please", "order_status"),
    ("is my delivery coming today", "order_status"),
    ("at what time do you close today", "opening_hours"),
    ("what hours are you open on Saturdays", "opening_hours"),
    ("are you guys open right now", "opening_hours"),
    ("what's your opening time", "opening_hours"),
    ("is your store open on Sundays", "opening_hours"),
    ("I need to send this back", "returns"),
    ("how can I return a pair of shoes", "returns"),
    ("I'd like my money back", "returns"),
    ("my item came broken", "returns"),
    ("you sent me the wrong size", "returns"),
    ("what do I pay for shipping", "shipping_policy"),
    ("can you explain your shipping policy to me", "shipping_policy"),
    ("do you ship to Germany", "shipping_policy"),
    ("how many days does shipping take", "shipping_policy"),
    ("do you offer free shipping", "shipping_policy"),
    ("so what things can you do", "capabilities"),
    ("what kind of help can I get here", "capabilities"),
    ("oh hello there", "greeting"),
    ("good morning to you", "greeting"),
    ("can I talk to a real human being please", "person"),
    ("I'd rather speak to a person", "person"),
    ("please connect me with customer service", "person"),
    ("could you repeat that for me", "repeat"),
    ("sorry, what did you just say", "repeat"),
    ("yeah sure", "yes"),
    ("yes that's right", "yes"),
    ("no not really", "no"),
    ("no, thanks", "no"),
    ("thank you so much", "thanks"),
    ("that's great, thanks", "thanks"),
    ("okay bye now", "goodbye"),
    ("that's everything, have a great day", "goodbye"),
    ("can you find out where order 23456 is", "order_status"),
    ("when should I expect my parcel", "order_status"),
    ("has my order been shipped", "order_status"),
    ("I want to track an order", "order_status"),
    ("my package is late", "order_status"),
    ("uh it's four five six seven eight", "order_status"),
    ("what's going on with my delivery", "order_status"),
    ("when are you open", "opening_hours"),
    ("do you open on weekends", "opening_hours"),
    ("are you closed on Sunday", "opening_hours"),
    ("how late can I come to the shop", "opening_hours"),
    ("could you tell me your hours", "opening_hours"),
    ("can I get a refund for this", "returns"),
    ("how do I return an item", "returns"),
    ("I want to give something back", "returns"),
    ("the lamp I got is broken", "returns"),
    ("can I swap it for a bigger size", "returns"),
    ("how much do you charge for delivery", "shipping_policy"),
    ("tell me more about your shipping", "shipping_policy"),
    ("is express delivery possible", "shipping_policy"),
    ("do you send parcels to other countries", "shipping_policy"),
    ("how quickly do you ship", "shipping_policy"),
    ("what are the things you can help with", "capabilities"),
    ("what is this number for", "capabilities"),
    ("who is this", "capabilities"),
    ("hi hello", "greeting"),
    ("hello can anybody hear me", "greeting"),
    ("I need to speak with somebody", "person"),
    ("get me an operator please", "person"),
    ("can you put me through to a human", "person"),
    ("say it again please", "repeat"),
    ("I couldn't hear you, could you repeat", "repeat"),
    ("one more time", "repeat"),
    ("yes of course", "yes"),
    ("no I don't think so", "no"),
    ("nope that's not right", "no"),
    ("thanks, you were very helpful", "thanks"),
    ("many thanks", "thanks"),
    ("alright then, goodbye", "goodbye"),
    ("that's it for today, bye bye", "goodbye"),
)

OUT_OF_SCOPE = (
    "who won the match last night",
    "what's the weather like in Boston",
    "tell me a joke",
    "the capital of France",
    "my cat sleeps on the sofa",
    "play some jazz music",
    "how tall is that mountain",
    "seven elephants walked through Paris",
    "book a table for four people",
    "translate cheese into Spanish",
)


@pytest.fixture(scope="module")
def demo() -> Assistant:
    return load_assistant(DEMO)


@pytest.fixture(scope="module")
def understander(demo: Assistant) -> Understander:
    return Understander(demo.model.intents, demo.model.floor)


def name_of(understander: Understander, sentence: str) -> str:
    intent = understander.understand([CallerSaid(sentence)]).intent
    return intent.name if intent is not None else "nothing"


def test_no_held_out_sentence_is_an_example(demo: Assistant) -> None:
    examples = {say.lower() for intent in demo.model.intents for say in intent.say}
    assert not examples & {sentence.lower() for sentence, _ in PARAPHRASES}


@pytest.mark.parametrize("half", [PARAPHRASES[:40], PARAPHRASES[40:]])
def test_at_least_85_percent_of_paraphrases_are_understood(
    understander: Understander, half: tuple[tuple[str, str], ...]
) -> None:
    wrong = [
        (said, name_of(understander, said)) for said, meant in half if name_of(understander, said) != meant
    ]
    assert len(wrong) <= 0.15 * len(half), wrong


def test_most_of_what_it_cannot_know_is_not_mistaken(understander: Understander) -> None:
    mistaken = [said for said in OUT_OF_SCOPE if name_of(understander, said) != "nothing"]
    assert len(mistaken) <= 2, mistaken


def test_every_example_means_its_own_intent(demo: Assistant, understander: Understander) -> None:
    for intent in demo.model.intents:
        for said in intent.say:
            assert name_of(understander, said) == intent.name, said


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Stop.", "wait"),
        ("Hold on.", "wait"),
        ("Wait, when do you open?", "opening_hours"),
        ("stop, where is my order", "order_status"),
        ("yeah but what about returns", "returns"),
        ("Uh-huh.", "yes"),
    ],
)
def test_what_stops_the_agent_is_understood_with_what_follows(
    understander: Understander, said: str, meant: str
) -> None:
    assert name_of(understander, said) == meant


@pytest.mark.parametrize("said", ["where is my ordr", "whats the statsu of my order", "shiping policy"])
def test_misspelt_words_are_forgiven(understander: Understander, said: str) -> None:
    assert name_of(understander, said) in ("order_status", "shipping_policy")


def test_likeness_of_nothing_is_nothing() -> None:
    assert Likeness([]).nearest("hello") == (None, 0.0)
    assert Likeness([["good morning"]]).nearest("")[0] in (None, 0)
    assert Likeness([["good morning"]]).nearest("?!")[1] < 0.5


def test_likeness_stays_between_0_and_1(demo: Assistant) -> None:
    likeness = Likeness([intent.say for intent in demo.model.intents])
    for said, _ in PARAPHRASES:
        assert 0 <= likeness.nearest(said)[1] <= 1 + 1e-9


def test_a_long_sentence_costs_no_more_than_its_first_part(understander: Understander) -> None:
    began = time.perf_counter()
    understander.understand([CallerSaid("word " * 200_000)])
    assert time.perf_counter() - began < 5
