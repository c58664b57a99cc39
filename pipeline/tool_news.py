"""The tools of a call as the conversation sees them: asked by the model, and told to the caller once.

An answer that comes after "pending" waits here until a reply can tell it. A reply takes along what
waits, and what became of it is known when it is settled: an answer is told when at least a clause of
the reply was heard. Otherwise it waits again, so that it is told once later.

    News             takes what is fresh: the agent tells it unasked
    a caller's turn  takes all: the model knows it when it answers
    ANSWER           a text that a tool gave to be said as it stands, taken with the answers it stands for

An answer that is stale is not news any more, and goes along with the next turn of the caller's.
"""

from __future__ import annotations

__all__ = ["ANSWER", "FILLER", "ToolNews"]

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offhook.config.built_in_tools import BUILT_IN_TOOLS
from offhook.config.tool import Tool

from .clock import Clock
from .closing_tools import ClosingTools
from .evidence import AgentBusy, AgentWants, CallerTurn, Evidence, News, Origin, Say
from .history import History
from .journal import CallJournal
from .messages import ToolAnswered, ToolRequest, ToolSpec
from .tools import Answer, Executor, Toolbox

FILLER = "filler"
"""Purpose of what is said while a tool runs."""
ANSWER = "tool-answer"
"""Purpose of a tool's own words."""
TELLINGS = 3
"""So often is it tried to tell an answer; a try that failed before a sound of it counts twice."""

RECALLED_FOR_S = 60.0
"""So long is an answer news that another process got."""


@dataclass(slots=True)
class _Untold:
    """An answer on its way to the caller."""

    message: ToolAnswered
    stale_at: float
    words: str
    """Said as it stands, in place of the model's words; or empty."""
    tellings: int = 0

    @property
    def origin(self) -> News | Say:
        return Say(self.words, ANSWER) if self.words else News()


class ToolNews:
    """Runs the tools of one call, and hands their answers to the replies that tell them."""

    def __init__(
        self,
        tools: Mapping[str, tuple[Tool, Executor]],
        *,
        closers: ClosingTools,
        clock: Clock,
        journal: CallJournal,
        history: History,
        spawn: Callable[[str, Coroutine[Any, Any, None]], object],
        feed: Callable[[Evidence], None],
        learn: Callable[[Mapping[str, str]], None],
        answer_came: Callable[[], None],
        call_id: str,
        variables: Mapping[str, str],
        calls_per_turn: int,
    ) -> None:
        """`learn` takes an answer's context; `answer_came` is told when one is there."""
        self._closers = closers
        self._clock, self._journal, self._history = clock, journal, history
        self._feed, self._learn, self._answer_came = feed, learn, answer_came
        self._toolbox = Toolbox(
            tools,
            clock=clock,
            spawn=spawn,
            listener=self,
            call_id=call_id,
            variables=variables,
            calls_per_turn=calls_per_turn,
        )
        self._turn = 0
        self._waiting: list[_Untold] = []
        self._taken: list[_Untold] = []
        """With the reply that is being made or played."""
        self._told_with_it: list[ToolAnswered] = []
        self._carried: dict[str, asyncio.Future[Answer]] = {}
        """Requests whose answers are waited for in writing."""

    @property
    def specs(self) -> tuple[ToolSpec, ...]:
        """The tools that the model may ask for."""
        return (*self._toolbox.specs, *self._closers.specs)

    @property
    def running(self) -> bool:
        """A tool runs whose answer the caller waits for."""
        return self._toolbox.running > 0

    @property
    def unsettled(self) -> bool:
        """An answer will come, or waits to be told."""
        return self.running or bool(self._waiting)

    def close(self) -> None:
        """Say nothing more."""
        self._toolbox.close()

    # -------------------------------------------------------- for the replies

    def ask(self, request: ToolRequest) -> ToolAnswered:
        """Take a request of the model's; never waits."""
        if request.name in self._closers:
            return self._closers.answer(request)
        answer = self._toolbox.request(request, self._turn)
        if not answer.pending and not answer.failed:
            self._tell_with_the_reply(answer)
        return answer

    async def carry_out(self, request: ToolRequest, *, turn: int) -> tuple[ToolAnswered, str]:
        """Wait for the answer to what was asked for in writing, and what is to be given as it stands.

        Within the tool's own deadline, and those of the tools before it on the same resource.
        """
        if request.name in self._closers:
            return self._closers.answer(request), ""
        told = self._carried[request.id] = asyncio.get_running_loop().create_future()
        try:
            answer = self._toolbox.request(request, turn)
            if not answer.pending:
                return answer, ""
            given = await told
        finally:
            del self._carried[request.id]
        return ToolAnswered(request.id, request.name, given.text, failed=not given.ok), given.fallback

    def known_for(self, origin: Origin) -> tuple[ToolAnswered, ...]:
        """The answers that a reply would tell if it were begun now."""
        return tuple(item.message for item in self._wanted() if self._goes_with(item, origin))

    def take_for(self, origin: Origin) -> tuple[ToolAnswered, ...]:
        """Hand out the answers that a reply tells; `settle` or `give_back` says what became of them."""
        if isinstance(origin, CallerTurn):
            self._turn = origin.number
        wanted = self._wanted()
        self._taken = [item for item in wanted if self._goes_with(item, origin)]
        self._waiting = [item for item in wanted if item not in self._taken]
        if isinstance(origin, CallerTurn):
            # A wish may have been lost meanwhile, to a goodbye that was taken back or a full agenda.
            self._ask_for_the_floor(self._waiting)
        return tuple(item.message for item in self._taken)

    def settle(self, *, told: bool, begun: bool) -> tuple[set[str], tuple[ToolAnswered, ...]]:
        """The reply is over. Returns what to leave out of the history since it is told later, by request,
        and answers that were told beside those it took.
        """
        taken, beside = self._taken, tuple(self._told_with_it)
        self._taken, self._told_with_it = [], []
        if told:
            return set(), beside
        for item in taken:
            item.tellings += 1 if begun else 2
        again = [item for item in taken if item.tellings < TELLINGS]
        self._wait_again(again)
        later = {item.message.request_id for item in again}
        return later, tuple(message for message in beside if message.request_id not in later)

    def give_back(self) -> None:
        """The reply is withdrawn, as if it had never been asked for."""
        taken, self._taken, self._told_with_it = self._taken, [], []
        self._wait_again(taken)

    @property
    def untold(self) -> tuple[ToolAnswered, ...]:
        """Answers that the caller has not been told to an end."""
        return tuple(item.message for item in (*self._waiting, *self._taken))

    def recall(self, answers: Iterable[ToolAnswered]) -> None:
        """Tell these, which tools gave before the call came to this process."""
        stale_at = self._clock.now() + RECALLED_FOR_S
        self._wait_again([_Untold(answer, stale_at, words="") for answer in answers])

    def failed_text(self, answers: Iterable[ToolAnswered]) -> str:
        """What the last of these tools has for its failure, where the model has no words; or empty."""
        last = next(iter(reversed(list(answers))), None)
        tool = self._toolbox.tool(last.name) if last is not None and last.failed else None
        return tool.failed if tool is not None else ""

    # ------------------------------------------------------- from the toolbox

    def tool_started(self, request: ToolRequest, tool: Tool) -> None:
        """A tool began to run."""
        arguments = _without_keys(tool, request.arguments)
        self._journal.note("function-call", id=request.id, name=tool.name, arguments=arguments)
        self._feed(AgentBusy(True))

    def tool_slow(self, text: str, requests: Sequence[ToolRequest]) -> None:
        """A tool takes long: say so, if nobody is speaking, and somebody waits to hear of it."""
        if all(request.id in self._carried for request in requests):
            return
        self._feed(AgentWants(Say(text, FILLER, only_now=True)))

    def tool_answered(self, answer: Answer) -> None:
        """A tool's answer came after its request was answered with "pending"."""
        self._journal.note(
            "function-result",
            id=answer.requests[0].id,
            name=answer.tool.name,
            ok=answer.ok,
            ms=round(answer.took_s * 1000),
            text=_without_keys(answer.tool, answer.text),
        )
        if answer.context:
            self._learn(answer.context)
        stale_at = answer.asked_at + answer.tool.stale_after_s
        self._feed(AgentBusy(self.running))
        spoken = [it for it in answer.messages() if not self._is_carried(it, answer)]
        if spoken:
            self._wait_again(_Untold(message, stale_at, answer.fallback) for message in spoken)
            self._answer_came()

    def _is_carried(self, message: ToolAnswered, answer: Answer) -> bool:
        told = self._carried.get(message.request_id)
        if told is not None and not told.done():
            told.set_result(answer)
        return told is not None

    # ---------------------------------------------------------------- details

    def _wanted(self) -> list[_Untold]:
        """What waits and is still asked for."""
        # A request that was withdrawn and asked again has two answers; one is enough.
        newest = {item.message.request_id: item for item in self._waiting}
        return [item for name, item in newest.items() if self._history.waits_for(name)]

    def _goes_with(self, item: _Untold, origin: Origin) -> bool:
        fresh = self._clock.now() < item.stale_at
        if isinstance(origin, CallerTurn):
            return not (fresh and item.words)
        return fresh and item.origin == origin

    def _wait_again(self, items: Iterable[_Untold]) -> None:
        """Let answers wait to be told, and ask for the floor for those that are still news."""
        items = tuple(items)
        # All of them first: the floor may be free, and one reply then tells them together.
        self._waiting += items
        self._ask_for_the_floor(items)

    def _ask_for_the_floor(self, items: Iterable[_Untold]) -> None:
        for origin in dict.fromkeys(item.origin for item in items if self._clock.now() < item.stale_at):
            self._feed(AgentWants(origin))

    def _tell_with_the_reply(self, answer: ToolAnswered) -> None:
        """The reply that asks tells this answer: an earlier request for the same is not told again."""
        same = [
            item
            for item in self._waiting
            if (item.message.name, item.message.text) == (answer.name, answer.text)
        ]
        self._waiting = [item for item in self._waiting if item not in same]
        self._taken += same
        self._told_with_it += [item.message for item in same]


def _without_keys(tool: Tool, text: str) -> str:
    """What an event may show of a tool that sends or collects keys: how many, and not which."""
    if tool.kind not in BUILT_IN_TOOLS:
        return text
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError):
        return text
    if not isinstance(fields, dict):
        return text
    hidden = {name: f"{len(str(fields[name]))} keys" for name in ("digits", "sent") if name in fields}
    return json.dumps({**fields, **hidden}, ensure_ascii=False)
