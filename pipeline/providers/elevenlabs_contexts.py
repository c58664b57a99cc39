"""The dialect of ElevenLabs' multi-context WebSocket, one call's side of it; no I/O, no clock of its own.

A reply is one context, so that its clauses are spoken in one breath. The client opens a context with a single
space and the voice's settings, sends each clause with `flush`, and closes it; the server answers with audio
and alignment, and says `isFinal` when a context is over (ElevenLabs documentation: multi-context WebSocket).

    opened --clause--> speaking --all characters--> idle --clause--> speaking ...
    any --close_context--> closing --isFinal, or CLOSING_S of silence--> gone

The vendor closes the socket over a sixth context, and a closing one counts until its end. The documentation
leaves open whether a context that is closed still gives the audio of what was flushed before; so a clause is
closed behind only when nothing has come for QUIET_S, and audio of a cancelled one is thrown away.
"""

from __future__ import annotations

__all__ = ["CLOSE_SOCKET", "Contexts"]

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from offhook.config.errors import ProviderBusy, ProviderError

from .elevenlabs_clause import Clause, SpokenCharacters
from .elevenlabs_options import VENDOR, error_of_code

MOST_CONTEXTS = 5
MOST_CLOSING = 4
"""Of those; the next one waits."""
CLOSING_S = 3.0
"""A closing context that is silent for so long is forgotten."""
QUIET_S = 0.5
"""A clause whose audio stopped for so long, though not all characters are there, may be at its end."""
SETTLE_S = 2.0
"""Its context's `isFinal` is waited for so long."""
STALLED_S = 2.0
"""A socket on which so long nothing came of what was asked for is no use."""
CLOSE_SOCKET = json.dumps({"close_socket": True})


class _Alignment(msgspec.Struct, rename="camel"):
    chars: list[str]
    char_start_times_ms: list[float]
    char_durations_ms: list[float]


class _ServerMessage(msgspec.Struct, rename="camel"):
    audio: bytes | None = None
    alignment: msgspec.Raw = msgspec.Raw(b"null")
    is_final: bool | None = None
    context_id: str | None = None
    error: str | None = None


_SERVER_MESSAGES = msgspec.json.Decoder(_ServerMessage)
_ALIGNMENTS = msgspec.json.Decoder(_Alignment | None)


@dataclass(slots=True, eq=False)
class _Context:
    id: str
    reply: int
    active_at: float
    """When something last went to it or came from it."""
    clause: Clause | None = None
    """What it is speaking."""
    used: bool = False
    """It has spoken a clause."""
    closing: bool = False
    reply_over: bool = False

    @property
    def idle(self) -> bool:
        return self.clause is None and not self.closing


class Contexts:
    """The contexts of one socket; methods that return strings want them written in that order."""

    def __init__(self, voice_settings: Mapping[str, float]) -> None:
        self._settings = dict(voice_settings)
        self._contexts: dict[str, _Context] = {}
        self._opened = 0
        self._heard_at = -math.inf
        self.malformed = 0
        """Messages that could not be read."""
        self.stale = 0
        """Messages for a context or a clause that is over."""

    # ----------------------------------------------------------------- budget

    def room(self, reply: int, now: float) -> bool:
        """Tell whether a clause of this reply may be spoken now."""
        for context in [each for each in self._contexts.values() if each.closing]:
            if context.clause is None and now - context.active_at >= CLOSING_S:
                del self._contexts[context.id]
        if self._idle_of(reply) is not None:
            return True
        closing = sum(context.closing for context in self._contexts.values())
        return closing < MOST_CLOSING and len(self._contexts) < MOST_CONTEXTS

    def next_room_at(self) -> float:
        """When the next closing context is forgotten if nothing comes."""
        times = [context.active_at for context in self._contexts.values() if context.closing]
        return min(times, default=math.inf) + CLOSING_S

    # --------------------------------------------------------------- speaking

    def begin(self, clause: Clause, now: float) -> list[str]:
        """Speak a clause, in its reply's context if that is free; there must be room."""
        context = self._idle_of(clause.reply)
        out: list[str] = []
        if context is None:
            self._opened += 1
            context = _Context(f"r{clause.reply}-{self._opened}", clause.reply, now)
            self._contexts[context.id] = context
            settings = {"voice_settings": self._settings} if self._settings else {}
            out.append(_message(context, text=" ", **settings))
            out += self._make_room(now, beside=context)
        context.clause, context.active_at = clause, now
        # A text ends with a space (ElevenLabs documentation), or its last word may be taken for half of one.
        out.append(_message(context, text=f"{clause.text.strip()} ", flush=True))
        return out

    def reply_over(self, reply: int, now: float) -> list[str]:
        """Close what the reply has open, as soon as it has spoken."""
        out: list[str] = []
        for context in self._contexts.values():
            if context.reply == reply:
                context.reply_over = True
                if context.idle:
                    out += self._close(context, now)
        return out

    def leave(self, clause: Clause, *, early: bool, now: float) -> list[str]:
        """Nobody takes this clause's audio any more; `early`: before its end, so the reply is cut short."""
        out: list[str] = []
        for context in self._contexts.values():
            if context.clause is clause:
                context.clause = None
                out += self._close(context, now)
            elif early and context.reply == clause.reply and context.idle:
                out += self._close(context, now)
        return out

    # -------------------------------------------------------------- receiving

    def receive(self, text: str | bytes, now: float) -> list[str]:
        """Take a message in. Raises ProviderError if the server says that the whole socket has failed."""
        try:
            message = _SERVER_MESSAGES.decode(text)
        except (msgspec.DecodeError, UnicodeDecodeError):
            self.malformed += 1
            return []
        self._heard_at = now
        context = self._contexts.get(message.context_id or "")
        if message.error is not None:
            return self._failed(context, error_of_code(message.error), now)
        if context is None:
            self.stale += 1
            return []
        context.active_at = now
        if message.audio and context.clause is None:
            self.stale += 1
        elif message.audio and context.clause is not None:
            context.clause.add(message.audio, self._spoken(message.alignment))
        if message.is_final:
            return self._ended(context, now)
        return self._spoke(context, now)

    def lost(self, error: ProviderError) -> None:
        """The socket is gone, and with it every context."""
        for context in self._contexts.values():
            if context.clause is not None:
                context.clause.finish(error)
        self._contexts.clear()

    # --------------------------------------------------------------- settling

    def settles_at(self, clause: Clause) -> float:
        """When `settle` is to be called for this clause if no news of it come."""
        context = self._speaking(clause)
        if context is None or not clause.received_bytes:
            return math.inf
        return context.active_at + (SETTLE_S if context.closing else QUIET_S)

    def settle(self, clause: Clause, now: float) -> list[str]:
        """Find out whether a clause whose audio stopped is at its end."""
        context = self._speaking(clause)
        if context is None or now < self.settles_at(clause):
            return []
        if not context.closing:
            return self._close(context, now)
        if clause.aligned:
            clause.finish(ProviderError(VENDOR, "a clause broke off"))
        else:
            context.clause = None
            clause.finish()
        return []

    def stalled(self, clause: Clause, now: float) -> bool:
        """Tell whether the server has said nothing at all while this clause was due."""
        context = self._speaking(clause)
        return context is not None and now - max(context.active_at, self._heard_at) >= STALLED_S

    # ---------------------------------------------------------------- details

    def _idle_of(self, reply: int) -> _Context | None:
        return next((each for each in self._contexts.values() if each.reply == reply and each.idle), None)

    def _speaking(self, clause: Clause) -> _Context | None:
        return next((each for each in self._contexts.values() if each.clause is clause), None)

    def _make_room(self, now: float, beside: _Context) -> list[str]:
        """Close what another reply left idle for longest, before it is the one too many."""
        idle = [each for each in self._contexts.values() if each.idle and each is not beside]
        if len(self._contexts) < MOST_CLOSING or not idle:
            return []
        return self._close(min(idle, key=lambda context: context.active_at), now)

    def _spoke(self, context: _Context, now: float) -> list[str]:
        clause = context.clause
        if clause is None or not clause.complete:
            return []
        context.clause, context.used = None, True
        clause.finish()
        return self._close(context, now) if context.reply_over else []

    def _ended(self, context: _Context, now: float) -> list[str]:
        """The server is done with a context."""
        clause, context.clause = context.clause, None
        if clause is not None and context.used and not context.closing and not clause.received_bytes:
            return self._again(clause, context, now)
        del self._contexts[context.id]
        if clause is not None:
            silent = ProviderError(VENDOR, "a context ended without audio")
            clause.finish(None if clause.received_bytes else silent)
        return []

    def _again(self, clause: Clause, context: _Context, now: float) -> list[str]:
        """Speak a clause anew that crossed with the end of its idle context.

        The server opened another context of that name for it, without the voice's settings: it is closed.
        """
        out = self._close(context, now)
        if self.room(clause.reply, now):
            return [*out, *self.begin(clause, now)]
        clause.finish(ProviderBusy(VENDOR, "too many contexts are open"))
        return out

    def _failed(self, context: _Context | None, error: ProviderError, now: float) -> list[str]:
        if context is None:
            raise error
        clause, context.clause = context.clause, None
        if clause is not None:
            clause.finish(error)
        return self._close(context, now)

    def _close(self, context: _Context, now: float) -> list[str]:
        if context.closing:
            return []
        context.closing, context.active_at = True, now
        return [_message(context, close_context=True)]

    def _spoken(self, alignment: msgspec.Raw) -> SpokenCharacters | None:
        try:
            given = _ALIGNMENTS.decode(alignment)
        except msgspec.DecodeError:
            self.malformed += 1
            return None
        if given is None:
            return None
        starts = [start / 1000 for start in given.char_start_times_ms]
        ends = [
            (start + lasts) / 1000
            for start, lasts in zip(given.char_start_times_ms, given.char_durations_ms, strict=False)
        ]
        return SpokenCharacters(given.chars, starts, ends)


def _message(context: _Context, **fields: Any) -> str:
    return json.dumps({**fields, "context_id": context.id})
