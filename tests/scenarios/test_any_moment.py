"""A call may be taken away at any moment: nothing raises, nothing stays, and the history stays lawful."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from call_laws import WatchedRig, lawful_call
from everything_call import SCRIPT_S, assistant, conversation, model

from offhook.pipeline.ports import CallEvent

STEP_S = 0.05


Ending = Callable[[WatchedRig], None]


def hung_up(rig: WatchedRig) -> None:
    rig.call.line_closed("stopped")


def cancelled(rig: WatchedRig) -> None:
    rig.running.cancel()


def asked_to_end(rig: WatchedRig) -> None:
    rig.call.hang_up("api")


async def run_until(at_s: float, ending: Ending) -> None:
    """Hold the conversation up to this time, then end it while the caller, who does not know, talks on."""
    async with lawful_call(assistant(), model) as rig:
        talk = asyncio.create_task(conversation(rig))
        await rig.sleep(at_s)
        ending(rig)
        await rig.sleep(0.7)
        talk.cancel()
        await asyncio.gather(talk, return_exceptions=True)


async def run_until_event(kind: str, number: int, ending: Ending) -> int:
    """End the call in the loop pass of the n-th event of a kind; returns how many there were."""
    happened = 0
    async with lawful_call(assistant(), model) as rig:
        emit = rig.log.emit

        def watched(event: CallEvent) -> None:
            nonlocal happened
            emit(event)
            happened += event.type == kind
            if event.type == kind and happened == number:
                asyncio.get_running_loop().call_soon(ending, rig)

        rig.log.emit = watched  # type: ignore[method-assign]
        talk = asyncio.create_task(conversation(rig))
        await rig.sleep(SCRIPT_S)
        await talk
    return min(happened, number)


async def test_the_script_does_what_it_is_for() -> None:
    """Otherwise the sweeps below would sweep over nothing."""
    async with lawful_call(assistant(), model) as rig:
        await conversation(rig)
        assert [data["decision"] for data in rig.log.of("barge-in.decided")] == [
            *("commit", "resume", "commit", "resume", "commit", "commit")
        ]
        assert [data["name"] for data in rig.log.of("function-result")] == ["quick", "slow"]
        assert [data["reason"] for data in rig.log.of("call.ended")] == ["the assistant ended the call"]
        assert rig.call._ear.reconnects == 1


# ------------------------------------------------------------------ the sweeps


@pytest.mark.parametrize("ending", [hung_up, cancelled, asked_to_end])
@pytest.mark.parametrize("part", range(3))
async def test_a_call_may_end_at_any_moment(part: int, ending: Ending) -> None:
    for step in range(part, round(SCRIPT_S / STEP_S), 3):
        await run_until(step * STEP_S, ending)
