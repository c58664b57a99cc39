"""A call's use of a voice that needs no connection of the call's own."""

from __future__ import annotations

__all__ = ["SharedVoiceStream"]

import asyncio
from collections.abc import AsyncIterator, Callable

from .ports import SpokenAudio


class SharedVoiceStream:
    """A `VoiceStream` whose every clause is one request to an engine that all calls share."""

    def __init__(self, speak: Callable[[str], AsyncIterator[SpokenAudio]]) -> None:
        self._speak = speak

    def speak(self, text: str, *, reply: int) -> AsyncIterator[SpokenAudio]:
        """Yield the speech of one clause or more. Raises ProviderError."""
        del reply
        return self._speak(text)

    def reply_over(self, reply: int) -> None:
        """Nothing is kept for a reply."""

    async def run(self) -> None:
        """There is nothing to be kept up."""
        await asyncio.get_running_loop().create_future()
