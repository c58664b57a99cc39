"""When the agent listens, when it speaks, and when it gives up: all times and words of turn taking."""

from __future__ import annotations

__all__ = ["BargeIn", "SilencePrompt", "TurnTaking"]

from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator

from .patience import PatienceRule, ValuePatience
from .phrases import Phrases, by_language, plain_phrases
from .section import Section

BargeIn = Literal["off", "partial", "pause"]


class SilencePrompt(Section):
    """What the agent says into a silence of the caller's."""

    after_s: Annotated[float, Field(gt=0, le=3600)]
    """Seconds of silence, counted from the end of the last speech of either side."""
    text: Annotated[str, Field(min_length=1)]
    """What is said."""
    interruptible: bool = True
    """Whether the caller may cut in."""


SILENCE_PROMPTS = (
    SilencePrompt(after_s=8, text="Are you still there?"),
    SilencePrompt(after_s=16, text="I'm still here. Take your time, or say goodbye to end the call."),
)


class TurnTaking(Section):
    """All that decides whose turn it is; times are milliseconds unless a name ends in `_s`."""

    endpointing_ms: Annotated[int, Field(ge=100, le=5000)] = 500
    """The least silence of the caller's that ends a turn."""
    max_endpointing_ms: Annotated[int, Field(ge=100, le=20_000)] = 3000
    """The longest silence that is waited for where the words sound unfinished."""
    value_patience: ValuePatience = ValuePatience()
    """The longer silence for a number, a spelled name, an e-mail address, a date or an address in parts."""
    patience: Annotated[tuple[PatienceRule, ...], Field(max_length=100)] = ()
    """Rules of your own for how long is waited after certain words."""
    barge_in: BargeIn = "pause"
    """`off`: the agent finishes; `partial`: words stop it; `pause`: sound pauses it, words stop it."""
    pause_after_ms: Annotated[int, Field(ge=0, le=1000)] = 60
    """Speech of the caller's that pauses the agent; shorter sounds than 60 ms are never speech."""
    decide_ms: Annotated[int, Field(ge=100, le=5000)] = 1000
    """How long a pause waits for words while there is sound; without any result, twice as long."""
    debounce_ms: Annotated[int, Field(ge=0, le=2000)] = 300
    """Silence after a backchannel in which more words may follow before the agent goes on."""
    max_wordless_pauses: Annotated[int, Field(ge=0, le=20)] = 2
    """Pauses without words in one reply; after that only words pause it."""
    vad_threshold: Annotated[float, Field(gt=0, lt=1)] = 0.5
    """Probability from which a window of sound counts as speech."""
    final_timeout_ms: Annotated[int, Field(ge=100, le=10_000)] = 2000
    """How long the end of a turn waits for the recogniser's final words."""
    reply_timeout_ms: Annotated[int, Field(ge=500, le=60_000)] = 8000
    """An agent that owes a reply and is silent for so long has failed."""
    speculate: bool | None = None
    """Prepare replies while a silence is waited out; left out: only with embedded engines."""
    max_speculations: Annotated[int, Field(ge=1, le=10)] = 3
    """Replies prepared in vain for one turn; after that it waits for its end."""
    stop_words: Phrases = Field(default_factory=dict)
    """What a caller says to take the turn at once: a list, or lists by language."""
    backchannels: Phrases = Field(default_factory=dict)
    """What a caller says without wanting the turn: in the same forms; stop words win."""
    ignored: Phrases = Field(default_factory=dict)
    """Hesitation that is neither an answer nor an interruption, in the same forms."""
    silence_prompts: Annotated[tuple[SilencePrompt, ...], Field(max_length=20)] = SILENCE_PROMPTS
    """What the agent says into a long silence, in order."""
    silence_hangup_s: Annotated[float, Field(gt=0, le=3600)] = 30
    """Silence that ends the call, in seconds."""
    max_turn_s: Annotated[float, Field(ge=5, le=600)] = 60
    """A turn of the caller's is answered after so many seconds at the latest."""
    max_call_s: Annotated[float, Field(ge=10, le=86_400)] = 14_400
    """The call ends after so many seconds at the latest."""

    @field_validator("stop_words", "backchannels", "ignored", mode="before")
    @classmethod
    def _by_language(cls, written: Any) -> Any:
        return by_language(written)

    @field_validator("stop_words", "backchannels", "ignored")
    @classmethod
    def _plain(cls, phrases: Phrases) -> Phrases:
        return plain_phrases(phrases)

    @field_validator("max_endpointing_ms")
    @classmethod
    def _not_below_the_floor(cls, value: int, info: ValidationInfo) -> int:
        floor = info.data.get("endpointing_ms")
        if floor is not None and value < floor:
            raise ValueError(f"is {value}, less than endpointing_ms ({floor}); set it to {floor} or more")
        return value

    @field_validator("debounce_ms")
    @classmethod
    def _within_the_decision(cls, value: int, info: ValidationInfo) -> int:
        decide = info.data.get("decide_ms")
        if decide is not None and value > decide:
            raise ValueError(f"is {value}, more than decide_ms ({decide}); set it to {decide} or less")
        return value

    @field_validator("silence_prompts")
    @classmethod
    def _ascending(cls, prompts: tuple[SilencePrompt, ...]) -> tuple[SilencePrompt, ...]:
        times = [prompt.after_s for prompt in prompts]
        if any(later <= earlier for earlier, later in pairwise(times)):
            raise ValueError("must have ascending after_s; each prompt comes later than the one before it")
        return prompts

    @field_validator("silence_hangup_s")
    @classmethod
    def _after_the_prompts(cls, value: float, info: ValidationInfo) -> float:
        prompts = info.data.get("silence_prompts")
        if prompts and value <= prompts[-1].after_s:
            last = prompts[-1].after_s
            raise ValueError(
                f"is {value:g}, but the last of silence_prompts comes at {last:g} s; "
                f"set it above {last:g}, or shorten silence_prompts"
            )
        return value

    @field_validator("max_call_s")
    @classmethod
    def _longer_than_a_turn(cls, value: float, info: ValidationInfo) -> float:
        turn = info.data.get("max_turn_s")
        if turn is not None and value < turn:
            raise ValueError(f"is {value:g}, less than max_turn_s ({turn:g}); set it to {turn:g} or more")
        return value
