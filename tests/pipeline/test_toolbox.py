"""The tools of a call and their ledger, on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from offhook.config.errors import ToolError
from offhook.config.tool import Tool
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.messages import ToolRequest
from offhook.pipeline.tool_run import ToolRun
from offhook.pipeline.tools import MAX_RUNNING, Answer, Toolbox

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


class Bench:
    """A toolbox with one tool, and what became of it."""

    def __init__(self, takes_s: float = 1.0, result: object = "done", **fields: Any) -> None:
        loop = asyncio.get_running_loop()
        self.runs: list[Mapping[str, Any]] = []
        self.answers: list[Answer] = []
        self.slow: list[str] = []
        self.takes_s, self.result = takes_s, result
        self._tasks: set[asyncio.Task[None]] = set()
        tool = Tool(name="look", callable="os:getcwd", parameters=SCHEMA, **fields)
        self.box = Toolbox(
            {"look": (tool, self._work)},
            clock=LoopClock(loop, loop.time),
            spawn=self._spawn,
            listener=self,
        )

    async def _work(self, arguments: Mapping[str, Any], run: ToolRun) -> object:
        self.runs.append(arguments)
        await asyncio.sleep(self.takes_s)
        if isinstance(self.result, Exception):
            raise self.result
        return self.result

    def _spawn(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def tool_started(self, request: ToolRequest, tool: Tool) -> None:
        pass

    def tool_slow(self, tool: Tool) -> None:
        self.slow.append(tool.filler)

    def tool_answered(self, answer: Answer) -> None:
        self.answers.append(answer)

    def ask(self, arguments: str = '{"id": 1}', *, name: str = "look", turn: int = 1, number: int = 0) -> Any:
        return self.box.request(ToolRequest(f"r{number}", name, arguments), turn)


async def test_a_finished_call_of_the_same_turn_shares_its_answer_within_the_window() -> None:
    bench = Bench(dedupe_s=10)
    assert bench.ask(number=1).pending
    await asyncio.sleep(2)
    again = bench.ask('{ "id":1 }', number=2)
    assert (again.text, again.pending) == ("done", False)
    await asyncio.sleep(10)
    assert bench.ask(number=3).pending
    await asyncio.sleep(0)
    assert len(bench.runs) == 2


async def test_a_new_request_of_the_callers_runs_the_tool_again() -> None:
    bench = Bench()
    bench.ask(turn=1)
    await asyncio.sleep(2)
    assert bench.ask(turn=2, number=1).pending
    await asyncio.sleep(2)
    assert len(bench.runs) == 2


async def test_other_arguments_run_beside_it() -> None:
    bench = Bench()
    bench.ask('{"id": 1}')
    bench.ask('{"id": 2}', number=1)
    await asyncio.sleep(1.5)
    assert len(bench.answers) == 2


async def test_every_request_that_shares_an_execution_gets_its_answer() -> None:
    bench = Bench(result={"day": "Tuesday"})
    bench.ask(number=1)
    bench.ask(number=2)
    await asyncio.sleep(2)
    (answer,) = bench.answers
    assert [message.request_id for message in answer.messages()] == ["r1", "r2"]
    assert json.loads(answer.text) == {"day": "Tuesday"}


async def test_a_failure_is_not_shared_but_tried_again() -> None:
    bench = Bench(result=ToolError("the shop is closed"))
    bench.ask()
    await asyncio.sleep(2)
    assert bench.answers[0].text == "the shop is closed"
    assert bench.ask(number=1).pending
    await asyncio.sleep(2)
    assert len(bench.runs) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("{", "not JSON"),
        ("[1]", "must be a JSON object"),
        ("{}", "'id' is a required property"),
        ('{"id": "x"}', "at id"),
    ],
)
async def test_bad_arguments_go_back_with_what_is_wrong(arguments: str, says: str) -> None:
    bench = Bench()
    answer = bench.ask(arguments)
    assert answer.failed
    assert says in answer.text
    assert bench.runs == []


async def test_an_unknown_tool_is_answered_with_those_there_are() -> None:
    assert "look" in Bench().ask(name="lok").text


async def test_more_than_the_limit_at_once_are_refused() -> None:
    bench = Bench(takes_s=5)
    for number in range(MAX_RUNNING):
        assert bench.ask(json.dumps({"id": number}), number=number).pending
    refused = bench.ask('{"id": 99}', number=99)
    assert refused.failed
    await asyncio.sleep(6)
    assert bench.box.running == 0


async def test_the_filler_comes_after_its_dwell_and_only_while_the_tool_runs() -> None:
    bench = Bench(takes_s=1, filler="One moment.", filler_after_ms=800)
    bench.ask()
    await asyncio.sleep(0.79)
    assert bench.slow == []
    await asyncio.sleep(0.02)
    assert bench.slow == ["One moment."]
    quick = Bench(takes_s=0.5, filler="One moment.", filler_after_ms=800)
    quick.ask()
    await asyncio.sleep(2)
    assert quick.slow == []


async def test_an_answer_that_is_no_json_fails_and_a_long_one_is_cut() -> None:
    bench = Bench(result=object())
    bench.ask()
    await asyncio.sleep(2)
    assert not bench.answers[0].ok
    long = Bench(result="x" * 10_000)
    long.ask()
    await asyncio.sleep(2)
    assert len(long.answers[0].text) == 4096
