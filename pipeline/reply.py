"""One reply: from the conversation so far to audio on the line.

Two tasks joined by a bounded channel: the model's text is cut into clauses while earlier clauses are
being spoken. All audio carries the reply's number; once the reply is revoked nothing of it is
accepted any more, and its tasks are cancelled as a whole. Tools that it asked for live on.

A reply that is prepared on speculation runs up to its first clause's audio and its first tool, and
waits there for its release.
"""

from __future__ import annotations

__all__ = ["Reply", "ReplyParts"]

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from offhook.codecs import g711
from offhook.codecs.tones import special_information_tone
from offhook.config.errors import AllProvidersFailed, ProviderError

from .channel import Overflow, Receiver, Sender, open_channel
from .messages import (
    AgentSaid,
    Message,
    ModelRequest,
    StartOver,
    TextDelta,
    ToolAnswered,
    ToolRequest,
    ToolSpec,
)
from .ports import LanguageModel, VoiceStream
from .provider_trouble import each_within
from .rehearsal import Rehearsal, SpeechSink
from .segmenter import Segmenter, clauses_of

CLAUSES_AHEAD = 16
MAX_ROUNDS = 3
"""How often one reply may ask the model: an answer that is known at once leads to another round.

So bad arguments of a tool go back to the model, which may correct them twice.
"""
DELTA_WAIT_S = 8.0
"""The longest wait for the model's next piece."""
PIECE_WAIT_S = 10.0
"""The longest wait for the voice's next piece."""


@dataclass(frozen=True, slots=True)
class ReplyParts:
    """What a reply works with."""

    model: LanguageModel
    voice: VoiceStream
    """Its audio is mu-law at 8 kHz."""
    speaker: SpeechSink
    specs: tuple[ToolSpec, ...]
    variables: Mapping[str, str]
    ask_tool: Callable[[ToolRequest], ToolAnswered]
    """Starts the tool, or says why not; never waits."""
    failed_text: Callable[[Sequence[ToolAnswered]], str]
    """What is said for these answers where the model has no words; may be empty."""
    reached: Callable[[str], None]
    """Notes a stage of the timeline."""
    apology: str
    """Said behind the words of a model that broke off."""
    protect: Callable[[], None]
    """Told before words that must be heard: the caller cannot cut in."""


@dataclass(slots=True)
class _Round:
    """What one request to the model has brought."""

    segmenter: Segmenter = field(default_factory=Segmenter)
    said: str = ""
    requests: list[ToolRequest] = field(default_factory=list)
    answers: list[ToolAnswered] = field(default_factory=list)


@dataclass(slots=True)
class Reply:
    """What becomes of one reply; read by the call when it settles the history."""

    number: int
    prelude: tuple[Message, ...]
    """What led to it; written to the history with it."""
    generated: str = ""
    tool_requests: list[ToolRequest] = field(default_factory=list)
    answers: list[ToolAnswered] = field(default_factory=list)
    first_clause: str = ""
    tells_from: int | None = None
    """Where in `generated` the words begin that the model found when it knew the answers of its tools."""
    begun: bool = False
    """Its first audio was written to the line."""
    cut_short: bool = False
    """We ended it ourselves before its last word, which counts as never made."""
    protected: bool = False
    """It must be heard: the caller cannot cut in."""
    rehearsal: Rehearsal | None = None
    """Where the audio waits while the reply is only prepared; None: it is heard as it is made."""
    tokens: int = 0
    """Pieces of text and requests that the model gave."""

    async def released(self) -> None:
        """Wait until the reply is no mere preparation."""
        if self.rehearsal is not None:
            await self.rehearsal.released()

    def exchange(
        self, heard: str, *, interrupted: bool, beside: Sequence[ToolAnswered] = ()
    ) -> tuple[AgentSaid, tuple[Message, ...]]:
        """The reply as the history keeps it, and what stands behind it: the answers of its tools.

        Words that tell these answers, where some of them were heard, stand behind the answers. Answers
        `beside` them were told with them.
        """
        requests, answers, at = tuple(self.tool_requests), (*self.answers, *beside), self.tells_from
        if at is None or len(heard) <= at:
            return AgentSaid(heard, self.generated, interrupted, requests), answers
        asking = AgentSaid(heard[:at], self.generated[:at], tool_requests=requests)
        return asking, (*answers, AgentSaid(heard[at:].strip(), self.generated[at:].strip(), interrupted))

    def clause_heard(self, heard: str) -> bool:
        """At least the first clause was heard."""
        return bool(self.first_clause) and len(heard) >= len(self.first_clause)

    async def say(self, text: str, parts: ReplyParts) -> bool:
        """Speak a fixed text; a tone stands for it where nobody can. False if nothing was to be heard.

        Raises ProviderError.
        """
        self.generated = text
        clauses = clauses_of(text)
        self.first_clause = clauses[0] if clauses else ""
        for clause in clauses:
            try:
                if not await self._speak_clause(clause, parts):
                    break
            except AllProvidersFailed:
                if self.begun:
                    raise
                self.generated = ""
                return self.play(g711.encode(special_information_tone()), parts)
        return parts.speaker.finish(self.number)

    def play(self, audio: bytes, parts: ReplyParts) -> bool:
        """Play carrier bytes that are no speech. False if there are none, or the reply was revoked."""
        speaker = parts.speaker
        if speaker.begin_clause(self.number, ""):
            speaker.append(self.number, audio)
            speaker.end_clause(self.number)
        return speaker.finish(self.number)

    async def answer(self, history: Sequence[Message], parts: ReplyParts) -> bool:
        """Ask the model and speak while it thinks. False if nothing was to be heard. Raises ProviderError."""
        sender: Sender[str]
        receiver: Receiver[str]
        sender, receiver = open_channel(CLAUSES_AHEAD, Overflow.WAIT)
        try:
            async with asyncio.TaskGroup() as group:
                speaking = group.create_task(self._speak(receiver, parts))
                group.create_task(self._think(history, sender, parts))
        except BaseExceptionGroup as failures:
            raise failures.exceptions[0] from None
        return speaking.result()

    async def _think(self, history: Sequence[Message], clauses: Sender[str], parts: ReplyParts) -> None:
        messages = tuple(history)
        for _ in range(MAX_ROUNDS):
            said, requests, answers = await self._ask(messages, clauses, parts)
            if all(answer.pending for answer in answers):
                break
            messages = (*messages, AgentSaid(said, said, tool_requests=tuple(requests)), *answers)
            self.tells_from = len(self.generated)
        if not self.generated and not any(answer.pending for answer in self.answers):
            known = [message for message in self.prelude if isinstance(message, ToolAnswered)]
            for clause in clauses_of(parts.failed_text([*known, *self.answers])):
                await self._give(clause, clauses, parts)
        clauses.close()

    async def _ask(
        self, messages: tuple[Message, ...], clauses: Sender[str], parts: ReplyParts
    ) -> tuple[str, list[ToolRequest], list[ToolAnswered]]:
        """One round with the model; one that breaks off behind whole clauses is apologised for."""
        round_ = _Round()
        given = self.generated
        try:
            await self._listen_to(round_, messages, clauses, parts)
        except ProviderError:
            if self.generated == given and not round_.requests:
                raise
            if not round_.requests:
                await self._give(parts.apology, clauses, parts)
        return round_.said, round_.requests, round_.answers

    async def _listen_to(
        self, round_: _Round, messages: tuple[Message, ...], clauses: Sender[str], parts: ReplyParts
    ) -> None:
        request = ModelRequest(messages, parts.specs, parts.variables)
        async with aclosing(each_within(parts.model.respond(request), DELTA_WAIT_S, "model")) as deltas:
            async for delta in deltas:
                parts.reached("first_token")
                self.tokens += 1
                if isinstance(delta, StartOver):
                    round_.segmenter, round_.said = Segmenter(), ""
                elif isinstance(delta, TextDelta):
                    if not delta.interruptible:
                        parts.protect()
                    round_.said += delta.text
                    for clause in round_.segmenter.feed(delta.text):
                        await self._give(clause, clauses, parts)
                else:
                    for clause in round_.segmenter.flush():  # what leads to a tool is said while it runs
                        await self._give(clause, clauses, parts)
                    await self.released()
                    round_.requests.append(delta)
                    self.tool_requests.append(delta)
                    answer = parts.ask_tool(delta)
                    round_.answers.append(answer)
                    # At once: a reply that is cut into in this round leaves no request unanswered.
                    self.answers.append(answer)
        for clause in round_.segmenter.flush():
            await self._give(clause, clauses, parts)

    async def _give(self, clause: str, clauses: Sender[str], parts: ReplyParts) -> None:
        parts.reached("first_clause")
        self.first_clause = self.first_clause or clause
        self.generated = f"{self.generated} {clause}".strip()
        await clauses.send(clause)

    async def _speak(self, clauses: Receiver[str], parts: ReplyParts) -> bool:
        async for clause in clauses:
            if not await self._speak_clause(clause, parts):
                break
        await self.released()
        return parts.speaker.finish(self.number)

    async def _speak_clause(self, clause: str, parts: ReplyParts) -> bool:
        """Make the audio of one clause; False if the reply was revoked."""
        speaker = parts.speaker
        if not await speaker.room(self.number) or not speaker.begin_clause(self.number, clause):
            return False
        speech = parts.voice.speak(clause, reply=self.number)
        async with aclosing(each_within(speech, PIECE_WAIT_S, "voice")) as pieces:
            async for piece in pieces:
                parts.reached("first_audio")
                if not speaker.append(self.number, piece.audio, piece.words):
                    return False
                await speaker.room(self.number)
        speaker.end_clause(self.number)
        return True
