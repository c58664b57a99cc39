"""A conversation in writing alone, which may become a call later."""

from __future__ import annotations

__all__ = ["TextSession"]

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any, Protocol

from offhook.config.assistant import Assistant
from offhook.config.built_in_tools import BUILT_IN_TOOLS
from offhook.config.templates import fill

from .clock import Clock
from .closing_tools import ClosingTools
from .conversation import Conversation
from .correspondence import Correspondence, WrittenAnswer, WrittenTurn
from .evidence import Evidence
from .executors import executors_for
from .history import History
from .journal import CallJournal
from .line_up import LineUp
from .messages import ToolRequest
from .model_failover import FailoverModel
from .phone_keys import PhoneKeys
from .ports import EventSink, LanguageModel, Workers
from .tool_news import ToolNews
from .tools import Executor
from .usage import Usage


class WritingEngines(Protocol):
    """What a written conversation works with; the engines of a call have it all."""

    @property
    def models(self) -> LineUp[LanguageModel]:
        """The language models, the preferred one first."""

    @property
    def workers(self) -> Workers:
        """Where work is done that would hold the loop up."""

    @property
    def web_tools(self) -> Mapping[str, Executor]:
        """What carries out the tools that ask other machines, by name."""


class TextSession:
    """One conversation in writing. `run` holds it; the others are for while it runs.

    Of the assistant's tools it has those that need no telephone line.
    """

    def __init__(
        self,
        *,
        assistant: Assistant,
        variables: Mapping[str, str],
        engines: WritingEngines,
        events: EventSink,
        clock: Clock,
        session_id: str,
    ) -> None:
        self._assistant, self._engines = assistant, engines
        self._variables = dict(variables)
        self._usage = Usage()
        self._journal = CallJournal(events, clock)
        self._history = History(self._filled(assistant.instructions))
        tools = [tool for tool in assistant.tools if tool.kind not in BUILT_IN_TOOLS]
        toolbox = ToolNews(
            executors_for(tools, engines.workers, engines.web_tools, PhoneKeys(clock, _unheard)),
            closers=ClosingTools(()),
            clock=clock,
            journal=self._journal,
            history=self._history,
            spawn=self._spawn,
            feed=_unheard,
            learn=self._learn,
            answer_came=_nothing,
            call_id=session_id,
            variables=self._variables,
            calls_per_turn=assistant.max_tool_calls_per_turn,
        )
        self._tools = toolbox
        self._correspondence = Correspondence(
            model=FailoverModel(engines.models, clock, self._journal.note, self._usage),
            tools=toolbox,
            history=self._history,
            variables=self._variables,
            apology=lambda: self._filled(assistant.apology),
            clock=clock,
            journal=self._journal,
            spawn=self._spawn,
            settled=_settled,
        )
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._end_reason = "cancelled"
        self._journal.note("session.started", assistant=assistant.name)

    def write(self, turn: WrittenTurn) -> None:
        """Have a text answered."""
        if self._over.is_set():
            turn.answered(WrittenAnswer("", ok=False, why="over"))
        else:
            self._correspondence.take(turn)

    def end(self, reason: str) -> None:
        """Answer nothing more; `run` returns soon."""
        if not self._over.is_set():
            self._end_reason = reason
            self._correspondence.close()
            self._over.set()

    def conversation(self) -> Conversation:
        """Give what a call needs to go on with it."""
        return Conversation(
            self._history.said,
            variables=dict(self._variables),
            fallback_number=self._assistant.fallback_number or "",
            written=True,
        )

    async def run(self) -> None:
        """Hold the conversation until it is ended; nothing of it is left then."""
        self._correspondence.begin()
        try:
            await self._over.wait()
        finally:
            self.end("cancelled")
            self._tools.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            self._journal.note("session.ended", reason=self._end_reason, usage=self._usage.as_data())

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _filled(self, text: str) -> str:
        return fill(text, self._variables).text

    def _learn(self, context: Mapping[str, str]) -> None:
        self._variables.update((str(name), str(value)) for name, value in context.items())
        self._history.instruct(self._filled(self._assistant.instructions))


def _unheard(evidence: Evidence) -> None:
    """Nobody speaks, so nobody takes turns."""


def _nothing() -> None:
    """No filler waits for an answer."""


def _settled(turn: WrittenTurn, answer: str, requests: Sequence[ToolRequest]) -> None:
    """Nothing follows from an answer that was read."""
