"""Speech that was made in advance: stock phrases start at once, and are there when every voice is down."""

from __future__ import annotations

__all__ = ["StockPhrases"]

from collections import OrderedDict

from offhook.codecs.audio_format import MULAW_8K, converter

from .ports import SpokenAudio, Voice

KEPT_TEXTS = 256
KEPT_BYTES = 16 << 20


class StockPhrases:
    """The speech of phrases in carrier bytes, by voice and text; what was not used for longest gives way."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], tuple[SpokenAudio, ...]] = OrderedDict()
        self._bytes = 0

    def get(self, voice: str, text: str) -> tuple[SpokenAudio, ...] | None:
        """The speech of a text by this voice, or None."""
        pieces = self._kept.get((voice, text))
        if pieces is not None:
            self._kept.move_to_end((voice, text))
        return pieces

    def by_any(self, text: str) -> tuple[SpokenAudio, ...] | None:
        """The speech of a text by whichever voice has said it, or None."""
        voice = next((voice for voice, known in self._kept if known == text), None)
        return None if voice is None else self.get(voice, text)

    async def prepare(self, name: str, voice: Voice, text: str) -> None:
        """Have a voice say a text and keep it, unless it is known. Raises ProviderError."""
        if self.get(name, text) is not None:
            return
        convert = converter(voice.audio_format, MULAW_8K)
        made = [SpokenAudio(convert.feed(piece.audio), piece.words) async for piece in voice.speak(text)]
        pieces = (*made, SpokenAudio(convert.flush()))
        if not _size(pieces):
            return  # a voice that was silent once may have something to say the next time
        self._kept[(name, text)] = pieces
        self._bytes += _size(pieces)
        while len(self._kept) > KEPT_TEXTS or self._bytes > KEPT_BYTES:
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= _size(forgotten)


def _size(pieces: tuple[SpokenAudio, ...]) -> int:
    return sum(len(piece.audio) for piece in pieces)
