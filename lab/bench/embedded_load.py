"""How many spoken calls the embedded engines carry: a real server, its models, and callers who talk with it.

Nothing is a stand-in: the server runs the demo assistant in a process of its own, recogniser and voice in
theirs, and every caller is a simulated telephone that waits for the agent to fall silent before it speaks.
"""

from __future__ import annotations

__all__ = ["measure_embedded"]

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from offhook.config.assistants import DEMO
from offhook.pipeline.clock import LoopClock

from ..caller_audio import caller_voice
from ..figures import find_underruns
from ..measured_call import MeasuredCall, measure_call
from ..scoreboard.serving import server_process
from .embedded_callers import QUESTIONS, Recorded, heard_turns, read_recordings, talk
from .embedded_result import EmbeddedResult, MachineUse, result_of
from .process_use import cores_busy_s, processes_of, use_between

_SPREAD_S = 8.0
"""All calls begin within so long, as long as one turn takes: then all phases of a turn happen at once."""
_SETTLED_MS = 6000


async def measure_embedded(
    calls: int,
    seconds: float,
    *,
    recordings: Path | None = None,
    assistant: Path = DEMO,
    say: Callable[[str], None] = lambda _: None,
) -> EmbeddedResult:
    """Place so many calls at a time, each of so many seconds (30 or more), and judge what the callers get.

    Callers say what is in `recordings`, a folder of WAV files with `transcripts.json`, or ask what the demo
    assistant can answer, with the embedded voice. `say` is told what goes on. Raises OffhookError.
    """
    speech = await _speech(recordings)
    async with server_process(assistant) as server:
        say(f"placing {calls} calls of {seconds:g} s")
        watching = asyncio.create_task(_watch(server.pid, seconds), name="process-use")
        placing = [
            asyncio.create_task(
                _place(server.media_url, number, speech, seconds, _SPREAD_S * number / calls),
                name=f"caller-{number}",
            )
            for number in range(calls)
        ]
        try:
            measured = await asyncio.gather(*placing)
            use = await watching
        finally:
            for task in (watching, *placing):
                task.cancel()
            await asyncio.gather(watching, *placing, return_exceptions=True)
    turns = [turn for call in measured for turn in heard_turns(call, settled_ms=_SETTLED_MS)]
    underruns = sum(len(find_underruns(call.gaps, call.utterances, call.events)) for call in measured)
    late = sum("20 ms late" in warning for call in measured for warning in call.warnings)
    return result_of(
        calls,
        turns,
        use,
        speaking_share=_speaking_share(measured),
        underruns=underruns,
        unserved=sum(not call.utterances for call in measured),
        late_callers=late,
    )


async def _speech(recordings: Path | None) -> tuple[Recorded, ...]:
    if recordings is not None:
        return read_recordings(recordings)
    async with caller_voice(LoopClock(asyncio.get_running_loop())) as speak:
        return tuple([Recorded(await speak(text), text) for text in QUESTIONS])


async def _place(
    media_url: str, number: int, speech: Sequence[Recorded], seconds: float, after_s: float
) -> MeasuredCall:
    await asyncio.sleep(after_s)
    script, audio = talk(number, speech, seconds)
    return await measure_call(media_url, script, audio, seed=number)


def _speaking_share(calls: Sequence[MeasuredCall]) -> float:
    spoken_ms = sum(u.last_sound_ms - u.first_sound_ms for call in calls for u in call.utterances)
    return spoken_ms * 8 / max(1, sum(len(call.said) for call in calls))


async def _watch(pid: int, seconds: float) -> MachineUse:
    """Watch from when all calls are up until the first ends."""
    await asyncio.sleep(_SPREAD_S)
    before, own_s, busy_s = processes_of(pid), time.process_time(), cores_busy_s()
    window_s = seconds - _SPREAD_S
    await asyncio.sleep(window_s)
    use = use_between(before, processes_of(pid))
    busy_now_s = cores_busy_s()
    if busy_s is None or busy_now_s is None:
        return MachineUse(window_s, use, None)
    ours_s = time.process_time() - own_s + sum(each.cpu_s for each in use.values())
    return MachineUse(window_s, use, max(0.0, busy_now_s - busy_s - ours_s) / window_s)
