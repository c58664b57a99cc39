"""One call's voice: the voices of its line-up, one of which speaks; what it gives are carrier bytes.

A voice that is lost in the middle of a clause is asked once more, or the next one is, for the words that were
not said: those of which less than half came. Where nobody can speak, speech that was made in advance is
played if there is any of this text.
"""

from __future__ import annotations

__all__ = ["FailoverVoice"]

import asyncio
import re
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing, suppress
from dataclasses import replace
from typing import Any

import structlog

from offhook.codecs.audio_format import MULAW_8K, converter
from offhook.codecs.framing import SAMPLE_RATE_HZ
from offhook.config.errors import (
    AllProvidersFailed,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    WorkerDied,
)

from .clock import Clock
from .line_up import Candidate, LineUp, Standing
from .log_fields import failure_fields
from .ports import SpokenAudio, Voice, VoiceStream, WordTiming
from .provider_trouble import as_provider_error, each_within
from .stock_phrases import StockPhrases
from .usage import Usage

log = structlog.get_logger(__name__)

STAGE = "voice"
PIECE_S = 2.5
"""From a text to its first audio, and from a piece to the next, where another voice could stand in."""
ALONE_S = 4.5
LETTERS_A_S = 15.0
"""The usual pace of speech, for voices that tell no word times."""
SLOW_CLAUSES = 2
"""So many in a row that came slower than they are spoken: the next voice has the next clause."""
SLOW_FROM_S = 0.5
BEHIND_A_WORD = frozenset(" \t\n,.;:!?…)]}\"'”’—–")
"""What ends a word that was said; any other sign belongs to the next one."""
_WORD = re.compile(r"\S+")


class FailoverVoice:
    """A `VoiceStream` over the streams of a line-up's voices; its audio is mu-law at 8 kHz."""

    def __init__(
        self,
        voices: LineUp[Voice],
        stock: StockPhrases,
        clock: Clock,
        note: Callable[..., Any],
        usage: Usage | None = None,
    ) -> None:
        """Text that a voice is asked to speak is counted in `usage`."""
        self._usage = usage or Usage()
        self._clock, self._stock = clock, stock
        self._standing = Standing(STAGE, voices, note)
        self._streams: dict[int, VoiceStream] = {}
        """By candidate; one that cannot be opened, or has ended, is opened when it is needed again."""
        self._opened = asyncio.Event()
        self._reply = 0
        self._slow = 0
        with suppress(Exception):  # what it is to speak then fails, and is spoken by another
            self._stream(self._standing.present)  # connected while the call begins

    async def speak(self, text: str, *, reply: int) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the speech of one clause or more of a reply. Raises AllProvidersFailed."""
        if reply != self._reply:
            self._reply = reply
            self._standing.fresh()
        if (stock := self._stock.get(self._standing.present.name, text)) is not None:
            for piece in stock:
                yield piece
            return
        clause, attempts = _Clause(text), Counter[int]()
        async with aclosing(self._followed(clause)) as made:
            async for piece in made:
                yield piece
        if clause.said:
            return
        while clause.rest:
            candidate = self._standing.present
            attempts[id(candidate)] += 1
            pace = _Production(self._clock)
            try:
                async with aclosing(self._live(candidate, clause.rest, reply, pace)) as pieces:
                    async for piece in pieces:
                        yield clause.take(piece)
            except ProviderError as error:
                clause.broke_off()
                if not clause.rest:
                    return
                if self._may_go_on(candidate, error, attempts):
                    continue
                for piece in self._canned(clause, error):
                    yield piece
                return
            self._finished(candidate, pace)
            return

    def reply_over(self, reply: int) -> None:
        """No more text of this reply comes."""
        for stream in self._streams.values():
            stream.reply_over(reply)

    async def run(self) -> None:
        """Keep the voices in use connected until cancelled."""
        running: set[int] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                running &= self._streams.keys()
                for key in self._streams.keys() - running:
                    running.add(key)
                    group.create_task(self._kept(key, self._streams[key]), name="voice-stream")
                self._opened.clear()
                await self._opened.wait()

    # --------------------------------------------------------------- details

    async def _followed(self, clause: _Clause) -> AsyncGenerator[SpokenAudio, None]:
        """What is being made in advance by this very voice; where it breaks off the rest is still to say."""
        making = self._stock.follow(self._standing.present.name, clause.text)
        try:
            async with aclosing(each_within(making, PIECE_S, STAGE, "no audio")) as pieces:
                async for piece in pieces:
                    yield clause.take(piece)
            clause.said = not clause.untouched
        except ProviderError:
            clause.broke_off()

    def _stream(self, candidate: Candidate[Voice]) -> VoiceStream:
        stream = self._streams.get(id(candidate))
        if stream is None:
            stream = self._streams[id(candidate)] = candidate.engine.open()
            self._opened.set()
        return stream

    async def _kept(self, key: int, stream: VoiceStream) -> None:
        try:
            await stream.run()
        except Exception as error:
            log.warning("voice.stream-ended", **failure_fields(error, log_words=False))
        # What it is to speak next opens another one.
        if self._streams.get(key) is stream:
            del self._streams[key]
            self._opened.set()

    async def _live(
        self, candidate: Candidate[Voice], text: str, reply: int, pace: _Production
    ) -> AsyncGenerator[SpokenAudio, None]:
        """Have a candidate speak, in carrier bytes. Raises ProviderError."""
        self._usage.voice_characters += len(text)
        convert = converter(candidate.engine.audio_format, MULAW_8K)
        limit_s = PIECE_S if len(self._standing.line_up) > 1 else ALONE_S
        try:
            speech = self._stream(candidate).speak(text, reply=reply)
            async with aclosing(each_within(speech, limit_s, STAGE, "no audio")) as pieces:
                pace.waits()
                async for piece in pieces:
                    audio = convert.feed(piece.audio)
                    pace.got(audio)
                    yield replace(piece, audio=audio)
                    pace.waits()
        except Exception as error:
            raise as_provider_error(STAGE, error) from None
        if rest := convert.flush():
            yield SpokenAudio(rest)

    def _may_go_on(self, candidate: Candidate[Voice], error: ProviderError, attempts: Counter[int]) -> bool:
        """Whether somebody says the rest: the same voice, whose socket may be opened anew, or the next."""
        lasting = isinstance(error, ProviderRefused | ProviderTimeout | WorkerDied)
        if attempts[id(candidate)] < 2 and not lasting:
            return True
        self._standing.failed(candidate, error)
        return not attempts[id(self._standing.present)]

    def _finished(self, candidate: Candidate[Voice], pace: _Production) -> None:
        self._standing.worked(candidate)
        self._slow = self._slow + 1 if pace.is_slow else 0
        if self._slow >= SLOW_CLAUSES and len(self._standing.line_up) > 1:
            self._slow = 0
            self._standing.failed(candidate, ProviderTimeout(STAGE, "it is slower than speech"))

    def _canned(self, clause: _Clause, error: ProviderError) -> Iterable[SpokenAudio]:
        """What was made of the text in advance, by whatever voice. Raises AllProvidersFailed without any."""
        if clause.untouched and (stock := self._stock.by_any(clause.text)) is not None:
            return stock
        raise AllProvidersFailed(STAGE, error.reason) from error


class _Clause:
    """A text that is being said, by one voice or by several in turn."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._from_char = 0
        """What stands before was said."""
        self._from_s = self._given_s = 0.0
        """Where the present voice began, and up to where there is audio, in seconds of the clause's."""
        self.said = False
        """It was said to its end."""
        self._words: list[WordTiming] = []
        """Of the present voice, in the clause's own counting."""

    @property
    def rest(self) -> str:
        """What is still to be said; empty if that holds no letter or digit."""
        rest = self.text[self._from_char :]
        return rest if any(map(str.isalnum, rest)) else ""

    @property
    def untouched(self) -> bool:
        """Nothing of it has been said."""
        return self._given_s == 0.0

    def take(self, piece: SpokenAudio) -> SpokenAudio:
        """Count a piece of the present voice's; its word times become the clause's."""
        self._given_s += len(piece.audio) / SAMPLE_RATE_HZ
        words = tuple(
            WordTiming(
                word.start_char + self._from_char,
                word.end_char + self._from_char,
                word.start_s + self._from_s,
                word.end_s + self._from_s,
            )
            for word in piece.words
        )
        self._words += words
        return replace(piece, words=words)

    def broke_off(self) -> None:
        """The present voice is gone: what it said of the text is said, the next one begins behind it."""
        if self._words:
            said = [word for word in self._words if word.start_s + word.end_s <= 2 * self._given_s]
            self._from_char = max((word.end_char for word in said), default=self._from_char)
        else:
            letters = round((self._given_s - self._from_s) * LETTERS_A_S)
            ends = [word.end() for word in _WORD.finditer(self.text, self._from_char)]
            self._from_char = max(
                (end for end in ends if end <= self._from_char + letters), default=self._from_char
            )
        while self._from_char < len(self.text) and self.text[self._from_char] in BEHIND_A_WORD:
            self._from_char += 1
        self._from_s = self._given_s
        self._words = []


class _Production:
    """How fast a clause is made, waiting for the listener aside."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._since_s = 0.0
        self._waited_s = self._made_s = 0.0

    def waits(self) -> None:
        """The next piece is wanted from now on."""
        self._since_s = self._clock.now()

    def got(self, audio: bytes) -> None:
        """It came; the wait for the first one is no matter of pace."""
        if self._made_s:
            self._waited_s += self._clock.now() - self._since_s
        self._made_s += len(audio) / SAMPLE_RATE_HZ

    @property
    def is_slow(self) -> bool:
        """It was waited for longer than it lasts."""
        return self._made_s > SLOW_FROM_S and self._waited_s > self._made_s
