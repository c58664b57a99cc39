"""The tools of a call and their ledger, on virtual time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Mapping, Sequence
from typing import Any

import pytest

from offhook.config.errors import ToolError
from offhook.config.tool import Tool
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.messages import ToolRequest
from offhook.pipeline.tool_run import ToolOutcome, ToolRun
from offhook.pipeline.tools import MAX_RUNNING, Answer, Toolbox

SCHEMA = {"type": "object", "properties": {"id": {"type": "integer"}}, "required": ["id"]}


class Bench:
    """A toolbox with one tool, and what became of it."""

    def __init__(
        self, takes_s: float = 1.0, result: object = "done", *, calls_per_turn: int = 20, **fields: Any
    ) -> None:
        loop = asyncio.get_running_loop()
        self.runs: list[Mapping[str, Any]] = []
        self.handed: list[ToolRun] = []
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
            call_id="CA1",
            variables={"from": "+15550100"},
            calls_per_turn=calls_per_turn,
        )

    async def _work(self, arguments: Mapping[str, Any], run: ToolRun) -> object:
        self.runs.append(arguments)
        self.handed.append(run)
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

    def tool_slow(self, text: str, requests: Sequence[ToolRequest]) -> None:
        self.slow.append(text)

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


async def test_each_execution_has_a_key_of_its_own_which_those_who_share_it_share() -> None:
    bench = Bench()
    bench.ask(number=1)
    bench.ask(number=2)
    bench.ask('{"id": 2}', number=3)
    await asyncio.sleep(2)
    keys = [run.key for run in bench.handed]
    assert len(keys) == len(set(keys)) == 2
    assert {(run.call_id, run.variables["from"]) for run in bench.handed} == {("CA1", "+15550100")}


async def test_what_works_on_the_same_resource_runs_in_order_and_the_rest_beside_it() -> None:
    bench = Bench(takes_s=1, resource="account-{id}", deadline_s=1.5)
    began = asyncio.get_running_loop().time()
    bench.ask('{"id": 1, "amount": 5}', number=1)
    bench.ask('{"id": 1, "amount": 7}', number=2)
    bench.ask('{"id": 2, "amount": 9}', number=3)
    bench.ask('{"id": 1, "amount": 8}', number=4)
    await asyncio.sleep(0.5)
    assert [run["amount"] for run in bench.runs] == [5, 9]
    await asyncio.sleep(3)
    assert [run["amount"] for run in bench.runs] == [5, 9, 7, 8]
    assert all(answer.ok for answer in bench.answers), "the deadline counts from where it runs"
    assert [round(answer.took_s) for answer in bench.answers] == [1, 1, 2, 3]
    assert asyncio.get_running_loop().time() - began == pytest.approx(3.5)
    assert bench.box.running == 0


async def test_a_failure_or_a_late_one_lets_the_next_of_its_resource_run() -> None:
    bench = Bench(takes_s=60, resource="the printer", deadline_s=2)
    bench.ask('{"id": 1}', number=1)
    bench.ask('{"id": 2}', number=2)
    await asyncio.sleep(5)
    assert [answer.ok for answer in bench.answers] == [False, False]
    assert [round(answer.took_s) for answer in bench.answers] == [2, 4]


async def test_the_budget_of_a_turn_refuses_what_comes_beyond_it_and_a_new_turn_has_its_own() -> None:
    bench = Bench(calls_per_turn=2)
    assert bench.ask('{"id": 1}', number=1).pending
    assert bench.ask("{", number=2).failed, "what is wrong counts too"
    refused = bench.ask('{"id": 2}', number=3)
    assert refused.failed
    assert "no more tools in this turn" in refused.text
    assert bench.ask('{"id": 1}', number=4).pending, "what runs already costs nothing"
    assert bench.ask('{"id": 2}', turn=2, number=5).pending
    await asyncio.sleep(2)
    assert len(bench.runs) == 2


async def test_an_outcome_carries_context_and_words_beside_its_value() -> None:
    bench = Bench(result=ToolOutcome({"day": 1}, context={"tier": "gold"}, fallback="It is Tuesday."))
    bench.ask()
    await asyncio.sleep(2)
    (answer,) = bench.answers
    assert (answer.text, answer.ok) == ('{"day": 1}', True)
    assert (dict(answer.context), answer.fallback) == ({"tier": "gold"}, "It is Tuesday.")


async def test_a_failure_carries_its_words() -> None:
    bench = Bench(result=ToolError("503", fallback="The book is closed."))
    bench.ask()
    await asyncio.sleep(2)
    assert (bench.answers[0].text, bench.answers[0].fallback) == ("503", "The book is closed.")


async def test_arguments_of_the_file_stand_in_for_those_the_model_leaves_out() -> None:
    bench = Bench(arguments={"id": 7})
    bench.ask("{}", number=1)
    bench.ask('{"id": 8}', number=2)
    await asyncio.sleep(2)
    assert bench.runs == [{"id": 7}, {"id": 8}]


async def test_messages_come_at_their_times_and_only_while_the_tool_runs() -> None:
    stages = [{"after_ms": 300, "text": "a"}, {"after_ms": 900, "text": "b"}, {"after_ms": 1100, "text": "c"}]
    bench = Bench(takes_s=1, messages=stages)
    bench.ask()
    await asyncio.sleep(0.5)
    assert bench.slow == ["a"]
    await asyncio.sleep(2)
    assert bench.slow == ["a", "b"]


async def test_a_closed_toolbox_says_nothing_more() -> None:
    bench = Bench(takes_s=9, filler="One moment.", filler_after_ms=800)
    bench.ask()
    bench.box.close()
    await asyncio.sleep(2)
    assert bench.slow == []


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
