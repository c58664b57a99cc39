"""What the caller writes and wants answered in writing, beside a spoken conversation or without one.

It needs no turn of speech: each text is answered by the model with what was said and written so far,
one after another, and stands in the same history once its answer is whole. Nobody waits in silence, so
the tools that an answer needs are waited for, and no filler is spoken for them.
"""

from __future__ import annotations

__all__ = ["Correspondence", "WrittenAnswer", "WrittenTurn"]

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import structlog

from offhook.config.errors import ProviderError

from .clock import Clock
from .history import History
from .journal import CallJournal
from .log_fields import failure_fields
from .messages import (
    AgentSaid,
    CallerSaid,
    Message,
    ModelRequest,
    StartOver,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from .ports import LanguageModel
from .provider_trouble import each_within
from .reply import DELTA_WAIT_S, MAX_ROUNDS
from .tool_news import ToolNews

WAITING_LIMIT = 16
"""Texts that may wait for their answer; one more is not taken."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """What became of a text."""

    text: str
    ok: bool = True
    """False: the model gave no answer, and `text` is an apology, or empty."""
    why: str = ""
    """Why it was not taken, or not answered at all: "busy" or "over"."""


@dataclass(frozen=True, slots=True)
class WrittenTurn:
    """A text of the caller's that is to be answered in writing."""

    text: str
    answered: Callable[[WrittenAnswer], None]
    """Told once; must not raise."""
    aloud: bool = False
    """The answer is spoken, too."""


@dataclass(slots=True)
class _Draft:
    """An answer as it comes into being."""

    text: str = ""
    requests: list[ToolRequest] | None = None
    rounds: tuple[Message, ...] = ()
    """Requests of tools and their answers, which led to it."""


class Correspondence:
    """Answers the texts of one conversation."""

    def __init__(
        self,
        *,
        model: LanguageModel,
        tools: ToolNews,
        history: History,
        variables: Mapping[str, str],
        apology: Callable[[], str],
        clock: Clock,
        journal: CallJournal,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
        settled: Callable[[WrittenTurn, str, Sequence[ToolRequest]], None],
    ) -> None:
        """`settled` is told of an answer that stands in the history, and which tools it asked for."""
        self._model, self._tools, self._history = model, tools, history
        self._variables, self._apology = variables, apology
        self._clock, self._journal = clock, journal
        self._spawn, self._settled = spawn, settled
        self._waiting: deque[tuple[int, WrittenTurn]] = deque()
        """The first one is being answered."""
        self._number = 0
        self._open, self._busy = False, False

    def begin(self) -> None:
        """The conversation has begun: what came before is answered now."""
        self._open = True
        self._go_on()

    def take(self, turn: WrittenTurn) -> None:
        """Have a text answered; never waits."""
        if len(self._waiting) >= WAITING_LIMIT:
            turn.answered(WrittenAnswer("", ok=False, why="busy"))
            return
        self._number += 1
        self._journal.note("message.received", message=self._number, text=turn.text)
        self._waiting.append((self._number, turn))
        self._go_on()

    def close(self) -> None:
        """The conversation is over: whoever waits for an answer is told that none comes."""
        self._open = False
        while self._waiting:
            self._waiting.popleft()[1].answered(WrittenAnswer("", ok=False, why="over"))

    def _go_on(self) -> None:
        if self._open and self._waiting and not self._busy:
            self._busy = True
            self._spawn("correspondence", self._answer_all())

    async def _answer_all(self) -> None:
        try:
            while self._waiting:
                await self._answer(*self._waiting[0])
        finally:
            self._busy = False

    async def _answer(self, number: int, turn: WrittenTurn) -> None:
        begun_s = self._clock.now()
        draft, ok = _Draft(requests=[]), True
        try:
            await self._compose(number, turn, draft)
        except ProviderError:
            ok = False
        except Exception as error:
            log.error("correspondence.failed", **failure_fields(error, log_words=False))
            ok = False
        if not ok:
            draft.text = self._apology()
        self._history.settle((CallerSaid(turn.text), *draft.rounds), AgentSaid(draft.text, draft.text))
        took_ms = round((self._clock.now() - begun_s) * 1000)
        self._journal.note("message.answered", message=number, text=draft.text, ok=ok, ms=took_ms)
        self._waiting.popleft()
        turn.answered(WrittenAnswer(draft.text, ok))
        self._settled(turn, draft.text, draft.requests or ())

    async def _compose(self, number: int, turn: WrittenTurn, draft: _Draft) -> None:
        """Ask the model, and the tools that it asks for, until there is a text. Raises ProviderError."""
        answers: list[ToolAnswered] = []
        for _ in range(MAX_ROUNDS):
            said, requests = await self._ask((CallerSaid(turn.text), *draft.rounds), number)
            if not requests:
                draft.text = said
                break
            carried = await asyncio.gather(*(self._tools.carry_out(it, turn=-number) for it in requests))
            answers = [answer for answer, _ in carried]
            draft.requests = [*(draft.requests or ()), *requests]
            draft.rounds = (*draft.rounds, AgentSaid(said, said, tool_requests=requests), *answers)
            draft.text = next((words for _, words in carried if words), "")
            if draft.text or all(answer.pending for answer in answers):
                draft.text = draft.text or said
                return
        draft.text = draft.text or self._tools.failed_text(answers)
        if not draft.text:
            raise ProviderError("model", "it gave no answer")

    async def _ask(self, then: Sequence[Message], number: int) -> tuple[str, tuple[ToolRequest, ...]]:
        text, requests = "", []
        request = ModelRequest(self._history.messages(then), self._tools.specs, self._variables)
        async with aclosing(each_within(self._model.respond(request), DELTA_WAIT_S, "model")) as deltas:
            async for delta in deltas:
                if isinstance(delta, StartOver):
                    text = ""
                elif isinstance(delta, TextDelta):
                    text += delta.text
                else:
                    # A reply that is made at the same time may have given its request the same name.
                    requests.append(replace(delta, id=f"text-{number}-{delta.id}"))
        return text.strip(), tuple(requests)
