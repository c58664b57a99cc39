"""What holds in every call, whatever happens in it, and a call that is watched for it."""

from __future__ import annotations

import asyncio
import gc
import warnings
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any

from call_rig import CallRig
from fake_engines import WORD_S, Answerer

from offhook.config.assistant import Assistant
from offhook.pipeline.messages import AgentSaid, CallerSaid, Instructions, Message, ToolAnswered

ENDS_WITHIN_S = 2.0
BYTES_PER_S = 8000
WORD_BYTES = int(WORD_S * BYTES_PER_S)
HEARD_WITHIN_BYTES = 400
"""The heard point may be 50 ms off: a frame, and an echo that is on its way."""
ENGINE_STAGES = {"transcriber", "model", "voice", "reply"}


class WatchedRig(CallRig):
    """A rig that knows the task its call runs in."""

    running: asyncio.Task[None]


class Watch:
    """Notes what breaks a law while a call goes on; `problems` is empty at the end of a lawful call."""

    def __init__(self, rig: CallRig) -> None:
        self._rig = rig
        self.problems: list[str] = []
        self._send_audio = rig.line.send_audio
        # The line that the call already holds is given a sharper eye.
        rig.line.send_audio = self._audio  # type: ignore[method-assign]

    def _audio(self, audio: bytes) -> None:
        turns, playout = self._rig.call._turns, self._rig.call._replies.speaker._playout
        if turns.reply is None or playout.reply != turns.reply:
            self.problems.append(f"{self._now}: audio of reply {playout.reply}, but {turns.reply} is present")
        if turns.paused:
            self.problems.append(f"{self._now}: audio while the reply is paused")
        if self._rig.line.congested:
            self.problems.append(f"{self._now}: audio on a congested line")
        if self._rig.line.closed:
            self.problems.append(f"{self._now}: audio on a closed line")
        self._send_audio(audio)

    def note_exception(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what a callback of the loop raised."""
        error = context.get("exception")
        self.problems.append(f"{self._now}: the loop was left with {error!r}: {context.get('message')}")

    @property
    def _now(self) -> str:
        return f"{self._rig.clock.now():.3f}"


def history_of(rig: CallRig) -> tuple[Message, ...]:
    """The conversation as the model would be told it now."""
    return rig.call._replies.history.messages()


def broken_laws(rig: CallRig) -> list[str]:
    """What is wrong with a call that has ended: its history, its faults, its left-overs."""
    histories = [list(request.messages) for request in rig.model.requests]
    problems = [problem for messages in histories for problem in history_faults(messages, so_far=True)]
    problems += history_faults(history_of(rig))
    problems += heard_faults(rig)
    for fault in rig.log.of("fault"):
        if fault["stage"] not in ENGINE_STAGES:
            problems.append(f"a part of the call failed: {dict(fault)}")
    problems += left_over(rig)
    return problems


def history_faults(messages: Sequence[Message], *, so_far: bool = False) -> list[str]:
    """How a history breaks the rules that every model's provider has."""
    problems = []
    if not isinstance(messages[0], Instructions):
        problems.append("the instructions do not come first")
    for before, after in pairwise(messages):
        if isinstance(before, CallerSaid) and isinstance(after, CallerSaid):
            problems.append(f"two turns of the caller's in a row: {before.text!r}, {after.text!r}")
    for said in messages:
        if isinstance(said, AgentSaid):
            if not said.generated.startswith(said.text):
                problems.append(f"heard {said.text!r}, but {said.generated!r} was made")
            if not so_far and not said.interrupted and said.text != said.generated:
                problems.append(f"not interrupted, but only {said.text!r} of {said.generated!r} was heard")
    return problems + tool_faults(messages)


def tool_faults(messages: Sequence[Message]) -> list[str]:
    """Requests without an answer right behind them ("pending" is one), and answers that nobody waits for."""
    problems = []
    waiting: dict[str, bool] = {}
    """By request: whether its last answer was "pending"."""
    for place, message in enumerate(messages):
        if isinstance(message, AgentSaid):
            behind = _answers_behind(messages, place)
            for request in message.tool_requests:
                if request.id not in behind:
                    problems.append(f"request {request.id} has no answer right behind it")
                waiting[request.id] = True
        elif isinstance(message, ToolAnswered):
            if not waiting.get(message.request_id, False):
                problems.append(f"an answer to {message.request_id}, which waits for none")
            waiting[message.request_id] = message.pending
    return problems


def _answers_behind(messages: Sequence[Message], place: int) -> set[str]:
    answers = set()
    for message in messages[place + 1 :]:
        if not isinstance(message, ToolAnswered):
            break
        answers.add(message.request_id)
    return answers


def heard_faults(rig: CallRig) -> list[str]:
    """Words in the history that were not played, by the audio that the far end got.

    Only words with a number count; the scripted voice spells them in bytes.
    """
    played = Counter(rig.line.heard_bytes())
    problems = []
    for said in history_of(rig):
        if not isinstance(said, AgentSaid):
            continue
        for word in said.text.split():
            digits = "".join(sign for sign in word if sign.isdigit())
            if word.startswith("word") and played[int(digits)] < WORD_BYTES // 2 - HEARD_WITHIN_BYTES:
                problems.append(
                    f"{word} is in the history, but only {played[int(digits)]} bytes of it sounded"
                )
    return problems


def left_over(rig: CallRig) -> list[str]:
    """Timers and streams of ours that outlive the call."""
    problems = []
    if rig.voice_activity.open_streams:
        problems.append("a stream of voice activity is still open")
    if rig.wheel._members or rig.wheel._timer is not None:
        problems.append("the pacing wheel still serves the call")
    return problems + [f"timer left: {name}" for name in our_timers()]


def our_timers() -> list[str]:
    """What the loop would still run for the product, by name (asyncio's own loop only)."""
    loop: Any = asyncio.get_running_loop()
    handles: Iterable[asyncio.TimerHandle] = getattr(loop, "_scheduled", ())
    names = []
    for handle in handles:
        callback: Any = handle._callback  # type: ignore[attr-defined]
        if handle.cancelled() or callback is None:
            continue
        owner = getattr(callback, "__self__", None)
        module = type(owner).__module__ if owner is not None else getattr(callback, "__module__", "")
        if str(module).startswith(("offhook.", "asyncio.timeouts")):
            names.append(str(callback))
    return names


@asynccontextmanager
async def lawful_call(
    assistant: Assistant, answerer: Answerer, *, latency_s: float = 0.02, closes: bool = True
) -> AsyncIterator[WatchedRig]:
    """Run a call under watch until the block ends, then close its line; every broken law fails the test."""
    loop = asyncio.get_running_loop()
    rig = WatchedRig(assistant, answerer, latency_s=latency_s)
    watch = Watch(rig)
    handler_before = loop.get_exception_handler()
    loop.set_exception_handler(watch.note_exception)
    before = asyncio.all_tasks()
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        call = rig.running = asyncio.create_task(rig.call.run())
        pump = asyncio.create_task(rig.pump())
        try:
            yield rig
        finally:
            if closes:
                rig.call.line_closed("test over")
            async with asyncio.timeout(ENDS_WITHIN_S):
                await asyncio.wait((call,))
            # What comes late must find nothing to break: frames, marks and words go on for a while.
            await asyncio.sleep(0.5)
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            loop.set_exception_handler(handler_before)
        if not call.cancelled():
            call.result()
        assert asyncio.all_tasks() == before, "the call left tasks behind"
        problems = watch.problems + broken_laws(rig)
        del call, pump
        # What only cycles hold is let go of here, so that its warnings are this call's.
        gc.collect(1)
    problems += [str(warning.message) for warning in warned]
    assert not problems, "\n".join(problems)
