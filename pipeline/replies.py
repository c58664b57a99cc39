"""The agent's side of a call: its replies, the history they leave, and the answers of its tools.

One reply at a time is made and played. What becomes of it is settled once: the history gets what led
to it, the words that were heard of it, and what its tools answered. A reply that is withdrawn leaves
no trace, but answers of tools that it was to tell stay to be told.
"""

from __future__ import annotations

__all__ = ["Replies"]

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Protocol

from offhook.config.assistant import Assistant
from offhook.config.errors import ProviderError
from offhook.config.templates import fill
from offhook.config.tool import Tool

from .clock import Clock
from .echo import ExpectedEcho
from .evidence import (
    AgentBusy,
    AgentSpoke,
    AgentWants,
    CallerTurn,
    CloseWanted,
    Evidence,
    News,
    Origin,
    ReplyAudible,
    ReplyEmpty,
    ReplyPlayed,
    ReplyProtected,
    Say,
)
from .executors import executors_for
from .history import History
from .journal import CallJournal
from .messages import CallerSaid, Message, ToolAnswered, ToolRequest
from .pacing import PacingWheel
from .playout import Heard
from .ports import LanguageModel, Line, Voice, Workers
from .rehearsal import Rehearsal
from .reply import Reply, ReplyParts
from .speaker import Speaker
from .tools import Answer, Executor, Toolbox


class Spawn(Protocol):
    """Starts a task that the call owns; `reply` is the one that is lost if it fails."""

    def __call__(
        self, name: str, work: Coroutine[Any, Any, None], reply: int | None = None
    ) -> asyncio.Task[None]: ...


class Replies:
    """Makes replies, lets them be heard, and remembers what was. Orders come from turn-taking."""

    def __init__(
        self,
        *,
        assistant: Assistant,
        variables: Mapping[str, str],
        model: LanguageModel,
        voice: Voice,
        workers: Workers,
        web_tools: Mapping[str, Executor],
        call_id: str,
        line: Line,
        wheel: PacingWheel,
        clock: Clock,
        echo: ExpectedEcho,
        journal: CallJournal,
        spawn: Spawn,
        feed: Callable[[Evidence], None],
    ) -> None:
        self._model, self._voice = model, voice
        self._variables = dict(variables)
        self._journal, self._spawn, self._feed = journal, spawn, feed
        self._closers = {tool.name for tool in assistant.tools if tool.kind == "end_call"}
        self._toolbox = Toolbox(
            executors_for(assistant.tools, workers, web_tools),
            clock=clock,
            spawn=spawn,
            listener=self,
            call_id=call_id,
            variables=self._variables,
        )
        self.history = History(self.filled(assistant.instructions))
        self.speaker = Speaker(line, wheel, clock, self, echo)
        self._present: Reply | None = None
        self._task: asyncio.Task[None] | None = None
        self._prepared: tuple[Reply, asyncio.Task[None]] | None = None
        self._results: list[ToolAnswered] = []
        self._turn = 0

    def filled(self, text: str) -> str:
        """The text with the call's variables in it."""
        return fill(text, self._variables).text

    # ---------------------------------------------------------------- orders

    def start(self, number: int, origin: Origin) -> None:
        """Make a reply and play it; at once if it was prepared."""
        if isinstance(origin, CallerTurn):
            self._turn = origin.number
        self._journal.reply_started(number, origin)
        self.speaker.begin(number)
        if self._prepared is not None and self._prepared[0].number == number:
            self._present, self._task = self._prepared
            self._prepared = None
            self._results.clear()
            self._journal.speculated(self._present.number, self._present.tokens, used=True)
            if self._present.rehearsal is not None:
                self._present.rehearsal.release()
            return
        self._present = Reply(number, self._prelude(origin))
        if isinstance(origin, CallerTurn | News):
            self._results.clear()  # each is handed out once
        self._task = self._spawn("reply", self._make(self._present, origin), number)

    def prepare(self, number: int, origin: CallerTurn) -> None:
        """Make a reply up to its first clause and its first tool, for nobody to hear yet."""
        self._journal.reply_prepared(number, origin)
        reply = Reply(number, self._prelude(origin), rehearsal=Rehearsal(self.speaker))
        self._prepared = reply, self._spawn("reply", self._make(reply, origin), number)

    def drop(self) -> None:
        """What was prepared was in vain."""
        if self._prepared is not None:
            reply, task = self._prepared
            self._prepared = None
            task.cancel()
            self._journal.speculated(reply.number, reply.tokens, used=False)

    def interrupt(self) -> None:
        """The caller took the floor: what was heard stands, the rest is gone."""
        self._cancel()
        heard = self.speaker.revoke()
        if heard is not None:
            self._journal.cancelled(heard, self.speaker.epoch)
            self._settle(heard, interrupted=True)

    def withdraw(self) -> None:
        """Nothing was heard: as if it had never been asked for, but answers of tools stay to be told."""
        self._cancel()
        self.speaker.revoke()
        if self._present is not None:
            self._journal.withdrawn(self._present.number)
            untold = [message for message in self._present.prelude if isinstance(message, ToolAnswered)]
            self._results += untold
            if untold:
                self._feed(AgentWants(News()))
        self._present = None

    def close(self) -> None:
        """The call is over; what was heard of a reply is kept."""
        self.drop()
        heard = self.speaker.revoke()
        if heard is not None:
            self._settle(heard, interrupted=not heard.complete)
        self.speaker.close()
        self._toolbox.close()

    # -------------------------------------------------------- making a reply

    async def _make(self, reply: Reply, origin: Origin) -> None:
        try:
            spoke = await self._speak(reply, origin)
        except Exception:
            await reply.released()  # a preparation that failed has failed only if it was wanted
            raise
        await reply.released()
        if any(request.name in self._closers for request in reply.tool_requests):
            self._feed(CloseWanted("the assistant ended the call", goodbye=not spoke))
        if not spoke:
            if isinstance(origin, CallerTurn) and not any(answer.pending for answer in reply.answers):
                raise ProviderError("model", "it gave no answer")
            self.speaker.revoke()
            self._settle(Heard(reply.number, "", "", 0.0, complete=True), interrupted=False)
            self._feed(ReplyEmpty(reply.number))

    async def _speak(self, reply: Reply, origin: Origin) -> bool:
        """Make the reply's text and audio; False if nothing was to be heard."""
        parts = ReplyParts(
            model=self._model,
            voice=self._voice,
            speaker=reply.rehearsal or self.speaker,
            specs=self._toolbox.specs,
            variables=self._variables,
            ask_tool=self._ask_tool,
            reached=partial(self._journal.reach, number=reply.number),
            protect=partial(self._feed, ReplyProtected(reply.number)),
        )
        if isinstance(origin, CallerTurn | News):
            return bool(reply.prelude) and await reply.answer(self.history.messages(reply.prelude), parts)
        return await reply.say(self.filled(origin.text), parts)

    def _prelude(self, origin: Origin) -> tuple[Message, ...]:
        """What leads to a reply: the caller's words, and answers of tools that are still wanted."""
        if isinstance(origin, CallerTurn):
            return (*self._known_results(), CallerSaid(origin.text))
        return self._known_results() if isinstance(origin, News) else ()

    def _known_results(self) -> tuple[ToolAnswered, ...]:
        """Answers that are still wanted."""
        # A request that was withdrawn and asked again has two answers; one is enough.
        wanted = {item.request_id: item for item in self._results if self.history.waits_for(item.request_id)}
        return tuple(wanted.values())

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def _settle(self, heard: Heard, *, interrupted: bool) -> None:
        """Write the exchange to the history, with the words that were heard and no more."""
        reply = self._present
        if reply is None or reply.number != heard.reply:
            return
        self._present = None
        self.history.settle(reply.prelude, reply.said(heard.text, interrupted=interrupted), reply.answers)
        self._journal.reply_ended(heard, interrupted)
        self._feed(AgentSpoke(heard.text))

    # ------------------------------------------------- news from the speaker

    def first_frame(self, reply: int) -> None:
        """The first audio of a reply was written."""
        self._journal.reach("first_frame", number=reply)
        self._feed(ReplyAudible(reply))

    def first_mark(self, reply: int) -> None:
        """The caller is known to hear the reply."""
        self._journal.reach("first_mark", number=reply)

    def played(self, heard: Heard) -> None:
        """The caller heard the reply to its end."""
        self._settle(heard, interrupted=False)
        self._task = None
        self._feed(ReplyPlayed(heard.reply, asks=heard.text.rstrip().endswith("?")))

    # ------------------------------------------------------ news of the tools

    def _ask_tool(self, request: ToolRequest) -> ToolAnswered:
        if request.name in self._closers:
            return ToolAnswered(request.id, request.name, '{"status": "ending"}', pending=True)
        return self._toolbox.request(request, self._turn)

    def tool_started(self, request: ToolRequest, tool: Tool) -> None:
        """A tool began to run."""
        self._journal.note("function-call", id=request.id, name=tool.name, arguments=request.arguments)
        self._feed(AgentBusy(True))

    def tool_slow(self, tool: Tool) -> None:
        """A tool takes long: say so, if nobody is speaking."""
        self._feed(AgentWants(Say(tool.filler, "filler", only_now=True)))

    def tool_answered(self, answer: Answer) -> None:
        """A tool's answer came after its request was answered with "pending"."""
        self._journal.note(
            "function-result",
            id=answer.requests[0].id,
            name=answer.tool.name,
            ok=answer.ok,
            ms=round(answer.took_s * 1000),
            text=answer.text,
        )
        self._results += answer.messages()
        self._feed(AgentBusy(self._toolbox.running > 0))
        self._feed(AgentWants(News()))
