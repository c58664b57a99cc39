"""Speech that was made in advance: stock phrases start at once, and are there when every voice is down.

The first words of a call that is about to come are made while its stream is being opened; they are said
once, and must not push out what is said again and again.
"""

from __future__ import annotations

__all__ = ["StockPhrases"]

import asyncio
from collections import OrderedDict
from collections.abc import AsyncGenerator

from offhook.codecs.audio_format import MULAW_8K, converter
from offhook.config.errors import ProviderError

from .ports import SpokenAudio, Voice

KEPT_TEXTS = 256
KEPT_BYTES = 16 << 20
FIRST_WORDS_TEXTS = 64
FIRST_WORDS_BYTES = 4 << 20

_Key = tuple[str, str]
"""Voice and text."""


class StockPhrases:
    """The speech of phrases in carrier bytes, by voice and text; what was not used for longest gives way."""

    def __init__(self) -> None:
        self._lasting = _Shelf(KEPT_TEXTS, KEPT_BYTES)
        self._first_words = _Shelf(FIRST_WORDS_TEXTS, FIRST_WORDS_BYTES)
        self._being_made: dict[_Key, _Making] = {}

    def get(self, voice: str, text: str) -> tuple[SpokenAudio, ...] | None:
        """The speech of a text by this voice, or None."""
        return self._lasting.get((voice, text)) or self._first_words.get((voice, text))

    def by_any(self, text: str) -> tuple[SpokenAudio, ...] | None:
        """The speech of a text by whichever voice has said it, or None."""
        return self._lasting.by_any(text)

    async def follow(self, voice: str, text: str) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the speech of a text that is being made now, as it is made; nothing if none is.

        Raises ProviderError if it breaks off.
        """
        making = self._being_made.get((voice, text))
        number = 0
        while making is not None:
            while number < len(making.pieces):
                yield making.pieces[number]
                number += 1
            if making.ended.is_set():
                if making.failed:
                    raise ProviderError("voice", "speech that was made in advance broke off")
                return
            making.news.clear()
            await making.news.wait()

    async def prepare(self, name: str, voice: Voice, text: str, *, lasting: bool = True) -> None:
        """Have a voice say a text and keep it, unless it is known. Raises ProviderError.

        One that is being made is waited for, and made here if that comes to nothing. What is not `lasting`
        are the first words of one call.
        """
        key = name, text
        while (made_elsewhere := self._being_made.get(key)) is not None:
            await made_elsewhere.ended.wait()
        if self.get(*key) is not None:
            return
        making = self._being_made[key] = _Making()
        try:
            convert = converter(voice.audio_format, MULAW_8K)
            async for piece in voice.speak(text):
                making.add(SpokenAudio(convert.feed(piece.audio), piece.words))
            making.add(SpokenAudio(convert.flush()))
            making.failed = False
        finally:
            del self._being_made[key]
            making.end()
        # A voice that was silent once may have something to say the next time.
        if _size(pieces := tuple(making.pieces)):
            (self._lasting if lasting else self._first_words).put(key, pieces)


class _Shelf:
    """A bounded number of texts and bytes."""

    def __init__(self, texts: int, size: int) -> None:
        self._texts, self._size = texts, size
        self._kept: OrderedDict[_Key, tuple[SpokenAudio, ...]] = OrderedDict()
        self._bytes = 0

    def get(self, key: _Key) -> tuple[SpokenAudio, ...] | None:
        pieces = self._kept.get(key)
        if pieces is not None:
            self._kept.move_to_end(key)
        return pieces

    def by_any(self, text: str) -> tuple[SpokenAudio, ...] | None:
        key = next((key for key in self._kept if key[1] == text), None)
        return None if key is None else self.get(key)

    def put(self, key: _Key, pieces: tuple[SpokenAudio, ...]) -> None:
        self._kept[key] = pieces
        self._bytes += _size(pieces)
        while len(self._kept) > self._texts or self._bytes > self._size:
            _, forgotten = self._kept.popitem(last=False)
            self._bytes -= _size(forgotten)


class _Making:
    """Speech as it is made, for one who needs it already."""

    def __init__(self) -> None:
        self.pieces: list[SpokenAudio] = []
        self.failed = True
        self.news, self.ended = asyncio.Event(), asyncio.Event()

    def add(self, piece: SpokenAudio) -> None:
        self.pieces.append(piece)
        self.news.set()

    def end(self) -> None:
        self.ended.set()
        self.news.set()


def _size(pieces: tuple[SpokenAudio, ...]) -> int:
    return sum(len(piece.audio) for piece in pieces)
