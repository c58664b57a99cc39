"""Whether calls are recorded, what callers are told of it, and for how long recordings are kept."""

from __future__ import annotations

__all__ = ["Recording"]

from typing import Annotated

from pydantic import Field

from .section import Section


class Recording(Section):
    """Recordings of an assistant's calls, both sides of them ([recording.md](recording.md))."""

    enabled: bool = False
    """Whether calls are recorded; needs `OFFHOOK_DATA_FOLDER`."""
    consent_line: str = ""
    """The first words of every recorded call, before `first_message`; the caller cannot cut them."""
    keep_days: Annotated[int, Field(ge=1, le=3_650)] = 30
    """After so many days a recording is erased."""
