"""Which recogniser listens and which voice speaks."""

from __future__ import annotations

__all__ = ["EMBEDDED_VOICES", "Transcriber", "Voice"]

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from .section import Section, known_provider

EMBEDDED_VOICES = ("heart",)


class Transcriber(Section):
    """The speech recogniser."""

    provider: str = "embedded"
    """`embedded`: on this machine, without a key."""
    model: str = ""
    """The vendor's name of the model; empty chooses the provider's default."""
    model_dir: Path | None = None
    """A folder with another model for the embedded recogniser."""
    smart_format: bool = True
    """Write numbers, dates and the like as figures, where the recogniser can."""

    @field_validator("provider", mode="before")
    @classmethod
    def _carried(cls, name: Any) -> Any:
        return known_provider(name, carried=("embedded",), announced=("deepgram",))

    @field_validator("model_dir")
    @classmethod
    def _is_a_folder(cls, folder: Path | None) -> Path | None:
        if folder is not None and not folder.is_dir():
            raise ValueError(f"is not a folder: {folder}")
        return folder


class Voice(Section):
    """The voice that speaks."""

    provider: str = "embedded"
    """`embedded`: on this machine, without a key."""
    name: Annotated[str, Field(min_length=1)] = "heart"
    """The provider's name or id of the voice."""
    model: str = ""
    """The vendor's name of the model; empty chooses the provider's default."""
    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    """1 is the voice's own pace, 2 twice as fast."""
    stability: Annotated[float, Field(ge=0, le=1)] | None = None
    """How even the voice stays; without effect on the embedded one."""
    similarity_boost: Annotated[float, Field(ge=0, le=1)] | None = None
    """How close it keeps to the original; without effect on the embedded one."""
    optimize_streaming_latency: Annotated[int, Field(ge=0, le=4)] | None = None
    """Quality given up for an earlier start; without effect on the embedded one."""

    @field_validator("provider", mode="before")
    @classmethod
    def _carried(cls, name: Any) -> Any:
        return known_provider(name, carried=("embedded",), announced=("elevenlabs",))

    @field_validator("name")
    @classmethod
    def _is_there(cls, name: str, info: ValidationInfo) -> str:
        if info.data.get("provider") == "embedded" and name not in EMBEDDED_VOICES:
            raise ValueError(
                f"`{name}` is no voice of the embedded engine; it has {', '.join(EMBEDDED_VOICES)}"
            )
        return name
