"""The caller's turn as it is listened to: sound, words and keys in, and out whether it is over.

A turn is over when the silence that its words ask for has passed in the caller's audio and the words are
final up to the last sound; when the keys pressed have stood for a while; or when it has lasted too long.
Sound that brought no words was noise. Where it never ends, it holds the floor for one longest turn and no
longer. No I/O; `next_deadline` says when to `advance`.
"""

from __future__ import annotations

__all__ = ["Late", "Listening", "Noise", "Outcome", "TurnOver", "Unheard"]

from dataclasses import dataclass

from offhook.config.turn_taking import TurnTaking as Settings

from .caller_words import COVERED_WITHIN_S, CallerWords
from .endpointing import Endpointing
from .evidence import Activity
from .phrases import Meaning, PhraseBook
from .ports import Transcript, TurnHint

DIGITS_PAUSE_S = 2.0
"""Keys pressed this close together are one value (the usual IVR inter-digit time)."""
LULL_S = 0.1
"""In so short a gap of speech a reply may be prepared; that speech is over is known later."""
CATCH_UP_S = 6.0
"""A turn waits so long for a recogniser that was lost, and for what its successor makes of the same audio;
and, behind `final_timeout_ms`, for one that has understood part of the turn and is late with the rest."""
CLEAR_SPEECH_S = 1.0
"""So much speech without any words from the recogniser was not noise: the caller is told."""


@dataclass(frozen=True, slots=True)
class TurnOver:
    """The caller's turn is over."""

    text: str
    why: str
    speaks_on: bool = False
    """It was ended for its length, in the middle of speech."""


@dataclass(frozen=True, slots=True)
class Noise:
    """There was sound, and it meant nothing."""


@dataclass(frozen=True, slots=True)
class Unheard:
    """There was speech, and the recogniser has not said what."""


@dataclass(frozen=True, slots=True)
class Late:
    """The recogniser is at work on what was said, and has not come to its end in time."""


Outcome = TurnOver | Noise | Unheard | Late


class Listening:
    """One call's ear for turns; `hand_on` when what was said has been dealt with."""

    def __init__(self, settings: Settings, book: PhraseBook, endpointing: Endpointing) -> None:
        self._settings, self._book, self._endpointing = settings, book, endpointing
        self.words = CallerWords()
        self.activity = Activity(0.0, speaking=False, onset_s=0.0, last_speech_s=0.0)
        self.floor_s = 0.0
        """Speech up to this point of the caller's audio has been dealt with."""
        self._turn_ended_s = 0.0
        """Where the last turn's last sound was in the caller's audio."""
        self._words_at_s = 0.0
        """Where the caller's audio stood when words last came."""
        self._endless_onset_s = -1.0
        """Sound that began here lasted for a whole turn without a word: it holds the floor no more."""
        self._digits = ""
        self._hears_all = True
        self._is_late = False
        """The recogniser was given more time for this turn."""
        self._deadlines: dict[str, float] = {}

    @property
    def next_deadline(self) -> float | None:
        """When `advance` must be called, or None."""
        return min(self._deadlines.values(), default=None)

    @property
    def has_sounded(self) -> bool:
        """There is speech that nobody has dealt with."""
        return self.activity.last_speech_s > self.floor_s and not self._is_endless

    @property
    def has_said_something(self) -> bool:
        """There is speech, or there are words, that nobody has dealt with."""
        return self.has_sounded or bool(self.words.text)

    @property
    def has_the_floor(self) -> bool:
        """The caller speaks, or has something to say or to key in that is not finished."""
        speaks = self.activity.speaking and not self._is_endless
        return speaks or bool(self._digits) or self.has_said_something

    @property
    def settled_text(self) -> str:
        """The words of the turn, if it would end with them were the silence long enough; else empty."""
        silent = not self.activity.speaking or self.activity.silence_s >= LULL_S
        if not silent or self._digits or not self._says_something:
            return ""
        eager = self.words.hint in (TurnHint.EAGER, TurnHint.ENDED)
        return self.words.text if eager or self.words.listened_to(self._heard_until[0]) else ""

    # -------------------------------------------------------------- evidence

    def sound(self, activity: Activity, *, listens: bool) -> bool:
        """Take what voice activity says; True while the caller speaks.

        `listens`: the turn is the caller's, so a pause before this sound was one inside it.
        """
        before, self.activity = self.activity, activity
        begins = activity.speaking and not before.speaking
        if listens and begins and before.last_speech_s > self.floor_s:
            self._endpointing.went_on_after(activity.onset_s - before.last_speech_s)
        return activity.speaking and self.has_sounded

    def take(self, transcript: Transcript) -> bool:
        """Take words; False if they are out of date."""
        if not self.words.take(transcript):
            return False
        if transcript.text.strip():
            self._words_at_s = self.activity.media_s
        return True

    def hearing(self, now: float, *, whole: bool) -> None:
        """The recogniser was lost, or another one has caught up: final words may be as late as that takes."""
        if whole == self._hears_all:
            return
        self._hears_all = whole
        if "final" in self._deadlines:
            self._deadlines["final"] = now + self._final_wait_s

    def takes(self, digit: str) -> bool:
        """Whether a key means something now: `#` ends a value, and nothing where there is none."""
        return digit != "#" or bool(self._digits)

    def press(self, digit: str, now: float) -> None:
        """Take a key that means something; `#` ends the value at once."""
        if digit != "#":
            self._digits += digit
        self._deadlines["digits"] = now + (DIGITS_PAUSE_S if digit != "#" else 0.0)

    def judge(self, now: float) -> Outcome | None:
        """Say whether the turn is over; asked while it is the caller's."""
        if not self._digits and not self.has_said_something:
            return None
        self._deadlines.setdefault("turn-cap", now + self._settings.max_turn_s)
        if self._digits:
            return None
        heard_until_s, final_until_s = self._heard_until
        hint = TurnHint.NONE if self.activity.speaking else self.words.hint
        patience = self._endpointing.patience(self.words.text, hint)
        if self.activity.media_s - heard_until_s < patience.silence_s:
            self._deadlines.pop("final", None)
            return None
        if not self.words.final_until(final_until_s):
            self._deadlines.setdefault("final", now + self._final_wait_s)
            return None
        self._deadlines.pop("final", None)
        if not self._says_something:
            return Noise()
        return TurnOver(self.words.text, f"{patience.reason}, {patience.silence_s * 1000:.0f} ms")

    def advance(self, now: float, *, listens: bool) -> Outcome | None:
        """Act on the earliest deadline that is reached; `listens` unless the agent has the floor."""
        due = sorted((when, name) for name, when in self._deadlines.items() if when <= now)
        for _, name in due:
            del self._deadlines[name]
            if name == "digits" and (self._is_saying_more or not listens):
                self._deadlines[name] = now + DIGITS_PAUSE_S
                continue
            if not listens:
                continue
            outcome = self._overdue(name, now)
            if outcome is not None:
                return outcome
        return None

    # -------------------------------------------------------------- the floor

    def hand_on(self) -> None:
        """What was said up to now has been dealt with; keys stay until they are a turn."""
        self.words.reset()
        self._is_late = False
        self.floor_s = self.activity.media_s
        for name in ("final", "turn-cap") if self._digits else ("final", "turn-cap", "digits"):
            self._deadlines.pop(name, None)

    def end_turn(self) -> None:
        """The turn was taken, keys included."""
        self._digits = ""
        self._turn_ended_s = self.activity.last_speech_s
        self._endpointing.ended()
        self.hand_on()

    def went_on(self) -> None:
        """The turn that was ended was not over: such a pause is to be waited for."""
        self._endpointing.went_on_after(self.activity.onset_s - self._turn_ended_s)

    # --------------------------------------------------------------- details

    @property
    def _final_wait_s(self) -> float:
        catches_up = self._is_late or not self._hears_all
        return CATCH_UP_S if catches_up else self._settings.final_timeout_ms / 1000

    @property
    def _is_endless(self) -> bool:
        return self.activity.onset_s == self._endless_onset_s

    @property
    def _is_saying_more(self) -> bool:
        """Words are coming, beside the keys."""
        return self.activity.speaking and bool(self.words.fresh_text)

    @property
    def _heard_until(self) -> tuple[float, float]:
        """Where the silence began, and up to where the words must be final."""
        if self.has_sounded:
            return self.activity.last_speech_s, self.activity.last_speech_s
        return self._words_at_s, 0.0

    @property
    def _all_text(self) -> str:
        """The words, and behind them the keys."""
        return " ".join(part for part in (self.words.text, self._digits) if part)

    @property
    def _says_something(self) -> bool:
        """The words are more than a guess about a noise, and more than hesitation."""
        meaning = self._book.meaning(self.words.fresh_text)
        if meaning is not Meaning.CONTENT:
            return meaning is not Meaning.NOTHING
        return self._endpointing.hears_value or not self.words.is_a_guess(self.activity.speech_s)

    @property
    def _hears_the_rest(self) -> bool:
        """The recogniser has answered for part of the speech of this turn: it will for the rest of it."""
        return 0 < self.words.listened_until_s < self._heard_until[1] - COVERED_WITHIN_S

    def _overdue(self, name: str, now: float) -> Outcome | None:
        match name:
            case "final" if self._hears_the_rest and not self._is_late:
                self._is_late = True
                self._deadlines["final"] = now + self._final_wait_s
                return Late()
            case "final" if self._says_something:
                return TurnOver(self.words.text, "the final words are overdue")
            case "final" if self._is_late and not self.words.before:
                return Unheard()
            case "final" if self.activity.speech_s >= CLEAR_SPEECH_S and not self.words.before:
                return Unheard()
            case "final":
                return Noise()
            case "turn-cap" if self._all_text:
                return TurnOver(self._all_text, "the turn has lasted long enough", self.activity.speaking)
            case "turn-cap" if self.has_sounded:
                self._endless_onset_s = self.activity.onset_s
                return Unheard()
            case "digits":
                return TurnOver(self._all_text, "keys")
        return None
