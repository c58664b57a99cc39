"""The contest for the floor while a reply of the agent's is being made or played: pause, then decide.

Theory. The first sound of the caller's pauses the reply: silence at once, nothing lost. Then words decide,
and only words take the floor; sound alone never does, so noise costs a pause and no reply.

    words with content, or a stop word, that are stable           -> commit: the caller has the floor
    an acknowledgement while the agent was asking                 -> commit: it is the answer
    still sound after `decide_ms`, words that are not stable yet  -> commit if they have content
    still sound after `decide_ms`, the recogniser heard no words  -> resume
    still sound after twice `decide_ms`, no result whatever       -> resume; also where it had gaps
    sound over, no words                                          -> resume
    sound over, an acknowledgement, `debounce_ms` without more    -> resume
    sound over, no final words within `decide_ms`                 -> as the words so far say

A stretch of sound that was resumed over does not pause the reply again, its words still do. After
`max_wordless_pauses` pauses in vain only words pause the reply.

No I/O: evidence and the time go in, a ruling or None comes out, and `next_deadline` says when to `advance`.
"""

from __future__ import annotations

__all__ = ["Contest", "Ruling", "Verdict"]

import enum
from dataclasses import dataclass

from offhook.config.turn_taking import TurnTaking as Settings

from .caller_words import CallerWords
from .evidence import Activity, Over
from .phrases import Meaning, PhraseBook, normalised
from .ports import TurnHint

LISTENED_S = 0.6
"""A recogniser that listened to so much of a sound and has no words for it heard none."""
SOUND_LIKE_HUMS = frozenset(("no", "nope", "nah"))
"""What recognisers make of a listener's "mm-hmm"; other stop words are believed even if they are unsure."""
NOTHING_OVER = Over("")


class Verdict(enum.Enum):
    """What becomes of the reply."""

    PAUSE = "pause"
    RESUME = "resume"
    COMMIT = "commit"


@dataclass(frozen=True, slots=True)
class Ruling:
    """A verdict and its reason, for the log."""

    verdict: Verdict
    why: str


class Contest:
    """One call's contests; `begin` for every reply."""

    def __init__(self, settings: Settings, book: PhraseBook, words: CallerWords) -> None:
        self._settings, self._book, self._words = settings, book, words
        self.paused = False
        """The reply is held back until it is decided who has the floor."""
        self._held_until = 0.0
        """A pause with sound in it is over by then."""
        self._wordless_pauses = 0
        self._over = NOTHING_OVER
        self._activity = Activity(0.0, speaking=False, onset_s=0.0, last_speech_s=0.0)
        self._judged_s = 0.0
        """Sound up to this point of the caller's audio has been judged."""
        self._dismissed_onset_s = -1.0
        """A stretch of sound that began here no longer pauses anything."""
        self._unheard_onset_s = -1.0
        """A stretch of speech that began here no longer cuts in at all: its turn was ended for its length."""
        self._deadlines: dict[str, float] = {}

    @property
    def next_deadline(self) -> float | None:
        """When `advance` must be called, or None."""
        return min(self._deadlines.values(), default=None)

    def begin(self, judged_s: float) -> None:
        """A new reply is made; the caller's audio up to `judged_s` asked for it."""
        self.end()
        self._judged_s = judged_s
        self._wordless_pauses = 0
        self._over = NOTHING_OVER

    def end(self) -> None:
        """There is nothing to contest any more."""
        self.paused = False
        self._deadlines.clear()

    def overrule(self, onset_s: float) -> None:
        """Whoever began to speak at `onset_s` and never stopped may not cut into the answer."""
        self._unheard_onset_s = onset_s

    # -------------------------------------------------------------- evidence

    def goes_on(self, activity: Activity) -> None:
        """More of a silence, while nothing is contested."""
        self._activity = activity

    def by_sound(self, activity: Activity, now: float) -> Ruling | None:
        """Take what voice activity says."""
        self._activity = activity
        if self._settings.barge_in != "pause":
            return None
        if self.paused:
            if not activity.speaking:
                return self._judge_after_sound(now)
            for name in ("debounce", "no-words"):
                self._deadlines.pop(name, None)
            if not self._deadlines:  # the decision fell into a gap of the sound
                self._deadlines["hold"] = max(now, self._held_until)
            return None
        speech_s = activity.last_speech_s - max(activity.onset_s, self._judged_s)
        again = activity.onset_s in (self._dismissed_onset_s, self._unheard_onset_s)
        if (
            activity.speaking
            and not again
            and speech_s >= self._settings.pause_after_ms / 1000
            and self._wordless_pauses < self._settings.max_wordless_pauses
        ):
            return self._pause(f"{speech_s * 1000:.0f} ms of speech", now)
        return None

    def by_words(self, activity: Activity, over: Over | None, now: float) -> Ruling | None:
        """Look at the caller's words, which are new."""
        self._activity = activity
        self._over = over or self._over
        if self._activity.speaking and self._activity.onset_s == self._unheard_onset_s:
            return None
        if self._settings.barge_in == "partial":
            return self._commit_if_content(self._words.fresh_text)
        if not self._words.fresh_text:
            if not self.paused and self._words.hint is TurnHint.STARTED:
                return self._pause("the recogniser hears the caller begin", now)
            return self._judge_after_sound(now) if self.paused and not self._activity.speaking else None
        if (ruling := self._commit_if_content(self._words.stable_text)) is not None:
            return ruling
        if not self.paused:
            return self._pause("words", now)
        return None if self._activity.speaking else self._judge_after_sound(now)

    def advance(self, now: float) -> Ruling | None:
        """Act on the earliest deadline that is reached."""
        due = sorted((when, name) for name, when in self._deadlines.items() if when <= now)
        for _, name in due:
            del self._deadlines[name]
            ruling = self._on_deadline(name, now)
            if ruling is not None:
                return ruling
        return None

    # --------------------------------------------------------------- details

    def _pause(self, why: str, now: float) -> Ruling:
        decide_s = self._settings.decide_ms / 1000
        self.paused, self._held_until = True, now + 2 * decide_s
        self._deadlines["decide"] = now + decide_s
        return Ruling(Verdict.PAUSE, why)

    def _resume(self, why: str, *, acknowledged: bool = False) -> Ruling:
        if not acknowledged:
            self._wordless_pauses += 1
        self._judged_s = self._activity.media_s
        self._dismissed_onset_s = self._activity.onset_s
        self.end()
        return Ruling(Verdict.RESUME, why)

    def _commit(self, why: str) -> Ruling:
        self.end()
        return Ruling(Verdict.COMMIT, why)

    def _commit_if_content(self, text: str) -> Ruling | None:
        meaning = self._meaning(text)
        if meaning in (Meaning.CONTENT, Meaning.STOP):
            return self._commit(meaning.value)
        # What the recogniser doubts is no answer, though it may be a sound of agreement.
        if self._over.asks and self._book.meaning(text) is Meaning.BACKCHANNEL:
            return self._commit("an answer to the question")
        return None

    def _meaning(self, text: str) -> Meaning:
        meaning = self._book.meaning(text)
        if meaning is Meaning.STOP and normalised(text) not in SOUND_LIKE_HUMS:
            return meaning
        if meaning in (Meaning.CONTENT, Meaning.STOP) and self._words.is_a_guess(self._activity.speech_s):
            return Meaning.BACKCHANNEL
        return meaning

    def _judge_after_sound(self, now: float) -> Ruling | None:
        """The caller is silent again: final words decide, or their absence."""
        if not self._words.final_until(self._activity.last_speech_s):
            self._deadlines.pop("debounce", None)
            self._deadlines.setdefault("no-words", now + self._settings.decide_ms / 1000)
            return None
        self._deadlines.pop("no-words", None)
        text = self._words.fresh_text
        if (ruling := self._commit_if_content(text)) is not None:
            return ruling
        if self._meaning(text) is Meaning.NOTHING:
            return self._resume("sound without words")
        silence_left_s = self._settings.debounce_ms / 1000 - self._activity.silence_s
        self._deadlines.setdefault("debounce", now + max(0.0, silence_left_s))
        return None

    def _on_deadline(self, name: str, now: float) -> Ruling | None:
        if name in ("decide", "hold") and not self._activity.speaking:
            return self._judge_after_sound(now)
        if (ruling := self._commit_if_content(self._words.fresh_text)) is not None:
            return ruling
        match name:
            case "decide" if not self._heard_no_words():
                self._deadlines["hold"] = self._held_until
                return None
            case "debounce":
                return self._resume("backchannel", acknowledged=True)
            case "no-words":
                return self._resume("no words came")
            case _:
                return self._resume("sound without words")

    def _heard_no_words(self) -> bool:
        """The recogniser has listened to the sound and found nothing in it."""
        listened_s = self._words.listened_until_s - self._activity.onset_s
        return not self._words.fresh_text and listened_s >= LISTENED_S
