"""Places the calls of the scoreboard and has them judged."""

from __future__ import annotations

__all__ = ["run_trials"]

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from offhook.config.assistant_loading import load_assistant
from offhook.config.errors import OffhookError
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.segmenter import clauses_of

from ..caller_audio import CallerSound, Speak, audio_of, caller_voice, table_talk
from ..line import surroundings
from ..measured_call import measure_call
from .calls import PlannedCall, plan_calls
from .corpus import HERE, Trial
from .outcome import Outcome, judge_call
from .serving import server_process

ASSISTANTS = HERE / "assistants"
_FRAME_BYTES = 160

Tell = Callable[[str], None]


async def run_trials(trials: Sequence[Trial], seed: int, say: Tell) -> tuple[Outcome, ...]:
    """Call with every trial; `say` is told how far it is. Raises OffhookError when nothing can be called."""
    clock = LoopClock(asyncio.get_running_loop())
    async with AsyncExitStack() as stack:
        speak = _remembered(await stack.enter_async_context(caller_voice(clock)))
        calls = [
            _Call(plan, await _prepared(plan, speak, seed + index), seed + index)
            for index, plan in enumerate(plan_calls(trials))
        ]
        names = {call.plan.scenario.assistant for call in calls}
        replies = {name: await _whole_reply(name, speak) for name in names}
        server = await stack.enter_async_context(server_process(ASSISTANTS / "talker.yaml"))
        round_of_calls = _Round(server.media_url, replies, len(trials), say)
        for at_once in sorted({call.plan.scenario.at_once for call in calls}):
            await round_of_calls.place([c for c in calls if c.plan.scenario.at_once == at_once], at_once)
    order = {trial: index for index, trial in enumerate(trials)}
    return tuple(sorted(round_of_calls.outcomes, key=lambda outcome: order[outcome.trial]))


@dataclass(frozen=True, slots=True)
class _Call:
    plan: PlannedCall
    sound: CallerSound
    seed: int


class _Round:
    """The calls to one server, and what came of them."""

    def __init__(self, url: str, replies: Mapping[str, bytes], count: int, say: Tell) -> None:
        self._url, self._replies, self._count, self._say = url, replies, count, say
        self.outcomes: list[Outcome] = []

    async def place(self, calls: Sequence[_Call], at_once: int) -> None:
        """Place calls, so many at a time."""
        free = asyncio.Semaphore(at_once)
        async with asyncio.TaskGroup() as tasks:
            for call in calls:
                tasks.create_task(self._place(call, free))

    async def _place(self, call: _Call, free: asyncio.Semaphore) -> None:
        scenario, script = call.plan.scenario, call.plan.script
        parameters = {"assistant": scenario.assistant}
        async with free:
            try:
                measured = await measure_call(
                    self._url,
                    script,
                    call.sound.audio,
                    call.seed,
                    bed=call.sound.bed,
                    parameters=parameters,
                )
                judged = judge_call(call.plan, measured, self._replies[scenario.assistant])
            except OffhookError as error:
                judged = tuple(Outcome(each.trial, void=f"no call: {error}") for each in call.plan.trials)
        self.outcomes += judged
        good = sum(outcome.passed for outcome in judged)
        self._say(
            f"{len(self.outcomes)} of {self._count}: {scenario.name}, {good} of {len(judged)} as wanted"
        )


async def _prepared(call: PlannedCall, speak: Speak, seed: int) -> CallerSound:
    """The caller's sounds. Speech begins anywhere within a frame, and so anywhere between two looks at it."""
    generator = random.Random(seed)
    made = await audio_of(call.script, speak, seed)
    audio = {i: b"\xff" * generator.randrange(_FRAME_BYTES) + speech for i, speech in made.items()}
    voices = await table_talk(speak) if call.script.line.noise == "cafe" else ()
    return CallerSound(audio, surroundings(call.script.line, audio.values(), seed, voices))


async def _whole_reply(assistant: str, speak: Speak) -> bytes:
    """What an assistant says at length, spoken to its end clause by clause, as it is in a call."""
    loaded = load_assistant(ASSISTANTS / f"{assistant}.yaml")
    text = loaded.first_message or loaded.model.fallback
    return b"".join([await speak(clause) for clause in clauses_of(text)])


def _remembered(speak: Speak) -> Speak:
    """A voice that says nothing twice."""
    said: dict[str, bytes] = {}

    async def again(text: str) -> bytes:
        if text not in said:
            said[text] = await speak(text)
        return said[text]

    return again
