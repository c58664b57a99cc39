"""Which recogniser listens and which voice speaks, and which ones stand behind them."""

from __future__ import annotations

__all__ = ["EMBEDDED_VOICES", "Transcriber", "TranscriberChoice", "Voice", "VoiceChoice"]

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from .section import Section, in_order, known_provider
from .vendors import FIELDS

EMBEDDED_VOICES = ("heart",)
MOST_FALLBACKS = 8


class TranscriberChoice(Section):
    """One speech recogniser."""

    provider: str = "embedded"
    """`embedded`: on this machine, without a key; `deepgram`."""
    model: str = ""
    """The vendor's name of the model; empty chooses the provider's default."""
    model_dir: Path | None = None
    """A folder with another model for the embedded recogniser."""
    smart_format: bool = True
    """Write numbers, dates and the like as figures, where the recogniser can."""
    keyterms: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Field(max_length=100)] = ()
    """Names and rare words that callers will say."""
    eot_threshold: Annotated[float, Field(ge=0.5, le=1)] | None = None
    """How sure a Flux model must be that a turn is over."""
    eager_eot_threshold: Annotated[float, Field(ge=0.3, le=0.9)] | None = None
    """From which certainty on a Flux model says that a turn may be over: the reply is prepared then."""
    eot_timeout_ms: Annotated[int, Field(ge=500, le=60_000)] | None = None
    """After so much silence a Flux model ends the turn however unsure it is."""

    @field_validator("provider", mode="before")
    @classmethod
    def _carried(cls, name: Any) -> Any:
        return known_provider(name, carried=("embedded", "deepgram"))

    @field_validator("model_dir")
    @classmethod
    def _is_a_folder(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_dir():
            raise ValueError(f"is not a folder: {folder}")
        return folder


class Transcriber(TranscriberChoice):
    """The speech recogniser."""

    fallbacks: Annotated[tuple[TranscriberChoice, ...], Field(max_length=MOST_FALLBACKS)] = ()
    """Who listens when it fails, in this order."""

    @property
    def choices(self) -> tuple[TranscriberChoice, ...]:
        """The preferred one, and those behind it."""
        return in_order(self, TranscriberChoice, self.fallbacks)


class VoiceChoice(Section):
    """One voice."""

    provider: str = "embedded"
    """`embedded`: on this machine, without a key; `elevenlabs`."""
    name: Annotated[str, Field(min_length=1)] = "heart"
    """The provider's name or id of the voice."""
    model: str = ""
    """The vendor's name of the model; empty chooses the provider's default."""
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    """1 is the voice's own pace, 2 twice as fast; ElevenLabs goes from 0.7 to 1.2."""
    stability: Annotated[float, Field(ge=0, le=1)] | None = None
    """How even the voice stays; without effect on the embedded one."""
    similarity_boost: Annotated[float, Field(ge=0, le=1)] | None = None
    """How close it keeps to the original; without effect on the embedded one."""
    optimize_streaming_latency: Annotated[int, Field(ge=0, le=4)] | None = None
    """Quality given up for an earlier start; without effect on the embedded one."""

    @field_validator("provider", mode="before")
    @classmethod
    def _carried(cls, name: Any) -> Any:
        return known_provider(name, carried=FIELDS["voice"])

    @field_validator("name")
    @classmethod
    def _is_there(cls, name: str, info: ValidationInfo) -> str:
        provider = info.data.get("provider")
        if provider == "embedded" and name not in EMBEDDED_VOICES:
            raise ValueError(
                f"`{name}` is no voice of the embedded engine; it has {', '.join(EMBEDDED_VOICES)}"
            )
        if provider == "elevenlabs" and name in EMBEDDED_VOICES:
            raise ValueError(
                "must be the id of one of the vendor's voices; it stands on the voice's page there"
            )
        return name

    @field_validator("speed")
    @classmethod
    def _is_possible(cls, speed: float, info: ValidationInfo) -> float:
        if info.data.get("provider") == "elevenlabs" and not 0.7 <= speed <= 1.2:
            raise ValueError("must be from 0.7 to 1.2 with this provider")
        return speed


class Voice(VoiceChoice):
    """The voice that speaks."""

    fallbacks: Annotated[tuple[VoiceChoice, ...], Field(max_length=MOST_FALLBACKS)] = ()
    """Who speaks when it fails, in this order."""

    @property
    def choices(self) -> tuple[VoiceChoice, ...]:
        """The preferred one, and those behind it."""
        return in_order(self, VoiceChoice, self.fallbacks)
