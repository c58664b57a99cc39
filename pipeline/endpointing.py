"""How long a silence must last before a caller's turn is over, and why.

The floor is the assistant's `endpointing_ms`, and `max_endpointing_ms` bounds all patience. Between them
evidence decides, the first that applies: a rule of the assistant file; a value that is being said and is
not whole; the recogniser's own opinion; a value that is whole; a question; a last word or sign that ends
no turn; an answer that is complete as it stands; and at last the pauses that this caller makes.

What is expected follows from what the agent said last. The pauses inside a turn are learned: upwards
quickly, since each that was missed cut the caller off, downwards slowly. Those inside a number or another
value are longer than those of talk and are learned apart.
"""

from __future__ import annotations

__all__ = ["Endpointing", "Patience"]

import re
from dataclasses import dataclass

from offhook.config.patience import LONGEST_TEXT
from offhook.config.turn_taking import TurnTaking

from .expectations import Expectations
from .phrases import normalised
from .ports import TurnHint
from .spoken_digits import read_digits
from .spoken_language import ValueKind, spoken_language
from .spoken_values import Expected, Progress, Verdict, judge_value

UNFINISHED_FACTOR = 2.0
"""Words that plainly go on wait so many times the floor."""
LEARNED_FACTOR = 2.0
"""A caller's own pauses raise the floor to so many times at most."""
PAUSE_MARGIN = 1.25
"""The next pause may be so much longer than those that were learned."""
UPWARDS, DOWNWARDS = 0.5, 0.1
"""What a longer and a shorter pause weigh in the learned one (exponential moving average)."""
SHORTEST_PAUSE_S = 0.25
"""Shorter ones lie between any two words."""

_NO_VALUES = (ValueKind.FREE, ValueKind.YES_NO)
_LAST_WORD = re.compile(r"([\w']+)\W*$")


@dataclass(frozen=True, slots=True)
class Patience:
    """A silence to wait for, in seconds of the caller's audio, and the reason for its length."""

    silence_s: float
    reason: str


class _LearnedPause:
    """An average of one caller's pauses that rises quickly and sinks slowly."""

    def __init__(self) -> None:
        self._mean_s = 0.0

    def learn(self, pause_s: float) -> None:
        weight = UPWARDS if pause_s > self._mean_s else DOWNWARDS
        self._mean_s += weight * (pause_s - self._mean_s)

    @property
    def expected_s(self) -> float:
        return self._mean_s * PAUSE_MARGIN


class Endpointing:
    """One call's sense of when its caller has finished; sans-I/O."""

    def __init__(self, settings: TurnTaking, language: str, expectations: Expectations) -> None:
        self._floor_s = settings.endpointing_ms / 1000
        self._most_s = max(self._floor_s, settings.max_endpointing_ms / 1000)
        self._silence_prompts = {prompt.text for prompt in settings.silence_prompts}
        values = settings.value_patience
        self._value_s = {
            ValueKind.SPELLING: values.spelling_ms / 1000,
            ValueKind.EMAIL: values.email_ms / 1000,
            ValueKind.DATE: values.date_ms / 1000,
            ValueKind.ADDRESS: values.address_ms / 1000,
        }
        self._digits_s = values.digits_ms / 1000
        self._expectations = expectations
        self._language = spoken_language(language)
        self._question = ""
        self._expected = Expected()
        self._met = False
        self._talk_pause, self._value_pause = _LearnedPause(), _LearnedPause()
        self._progress = Progress.NONE
        self._known: tuple[str, TurnHint, Patience] | None = None

    def agent_spoke(self, text: str) -> None:
        """Take what was heard of the agent's last reply: it sets what is expected now.

        A statement, or a prompt into a silence, leaves an open question open.
        """
        if not text.strip() or text in self._silence_prompts:
            return
        expected = self._expectations.after(text)
        if expected is not None or self._met or self._expected == Expected():
            self._expected, self._question = expected or Expected(), text
        self._met, self._known = False, None

    @property
    def hears_value(self) -> bool:
        """The words asked about last hold a value that is expected, or some of one: they are no guess."""
        return self._progress is not Progress.NONE

    def went_on_after(self, pause_s: float) -> None:
        """The caller made this pause inside a turn and went on: the next one may be as long."""
        if SHORTEST_PAUSE_S <= pause_s <= self._most_s:
            (self._value_pause if self._progress is Progress.OPEN else self._talk_pause).learn(pause_s)
            self._known = None

    def ended(self) -> None:
        """The turn is over: a question that got its value is answered, as soon as the agent goes on."""
        self._met = self._progress is not Progress.NONE or self._expected.kind in _NO_VALUES

    def patience(self, text: str, hint: TurnHint = TurnHint.NONE) -> Patience:
        """How long to wait after these words: 0 if the recogniser ended the turn, else floor to maximum."""
        if self._known is None or self._known[:2] != (text, hint):
            self._known = (text, hint, self._patience(text[-LONGEST_TEXT:], hint))
        return self._known[2]

    # --------------------------------------------------------------- inside

    def _patience(self, text: str, hint: TurnHint) -> Patience:
        verdict = self._verdict(text)
        self._progress = verdict.progress
        for rule in self._expectations.rules:
            if rule.fits(self._question, text):
                return self._bounded(rule.wait_s, rule.reason)
        if verdict.progress is Progress.OPEN:
            open_s = self._value_s.get(verdict.kind, self._digits_s)
            return self._bounded(max(open_s, self._value_pause.expected_s), verdict.why)
        if hint is TurnHint.ENDED:
            return Patience(0.0, "the recogniser says that the turn is over")
        if verdict.progress is Progress.COMPLETE:
            return self._bounded(0.0, verdict.why)
        if hint is TurnHint.RESUMED:
            return self._bounded(UNFINISHED_FACTOR * self._floor_s, "the recogniser hears the caller go on")
        return self._after_talk(text)

    def _after_talk(self, text: str) -> Patience:
        shown = text.rstrip()
        if shown.endswith("?"):
            return self._bounded(0.0, "a question")
        if shown.endswith((",", "-", "…", "...")):
            return self._bounded(UNFINISHED_FACTOR * self._floor_s, "the sentence goes on")
        last = _LAST_WORD.search(shown)
        if last and last[1].lower() in self._language.unfinished and not shown.endswith("!"):
            return self._bounded(UNFINISHED_FACTOR * self._floor_s, f"{last[1].lower()!r} ends no turn")
        if normalised(text) in self._language.plain_answers:
            return self._bounded(0.0, "a whole answer")
        learned_s = min(LEARNED_FACTOR * self._floor_s, self._talk_pause.expected_s)
        if learned_s > self._floor_s:
            return self._bounded(learned_s, "this caller's pauses are long")
        return self._bounded(0.0, "silence")

    def _verdict(self, text: str) -> Verdict:
        expected = self._expected
        if expected.kind in _NO_VALUES:
            mentioned = self._expectations.mentioned(read_digits(text, self._language).lead)
            expected = mentioned if mentioned.lengths else expected
        return judge_value(text, expected, self._language)

    def _bounded(self, silence_s: float, reason: str) -> Patience:
        return Patience(min(self._most_s, max(self._floor_s, silence_s)), reason)
