"""A whole spoken call against a server in this process, with both sides kept to the byte."""

from __future__ import annotations

import asyncio
import math
import os
import random
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from offhook.bridge.app import RunningServer, serve_in_process
from offhook.config.settings import Settings
from offhook.lab.bridge_log import BridgeEvent, BridgeLog, control_url
from offhook.lab.caller import ScriptedCaller, StepFailure
from offhook.lab.carrier import SimulatedCarrier
from offhook.lab.dialling import new_sid
from offhook.lab.hearing import Sound, Utterance
from offhook.lab.phone import Phone, PhoneMoment
from offhook.lab.script import Script
from offhook.pipeline.clock import LoopClock

FRAME_BYTES = 160
FRAME_MS = 20


@dataclass
class MeasuredCall:
    """What a call was, by caller media time; item n of `taken_bytes` is as of (n + 1) * 20 ms."""

    said: bytearray = field(default_factory=bytearray)
    heard: bytearray = field(default_factory=bytearray)
    """mu-law of both sides of the line."""
    taken_bytes: list[int] = field(default_factory=list)
    """Agent audio that was played or cleared so far."""
    utterances: tuple[Utterance, ...] = ()
    agent: tuple[Sound, ...] = ()
    clears_ms: list[int] = field(default_factory=list)
    events: tuple[BridgeEvent, ...] = ()
    failures: list[StepFailure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def of_type(self, *types: str) -> list[BridgeEvent]:
        """The bridge's events of these types, in order."""
        return [event for event in self.events if event.type in types]

    def agent_frame(self, at_ms: int) -> bytes:
        """What was heard of the agent in the 20 ms that begin at `at_ms`."""
        start = at_ms // FRAME_MS * FRAME_BYTES
        return bytes(self.heard[start : start + FRAME_BYTES])


@asynccontextmanager
async def server_of(assistant: Path | None) -> AsyncIterator[RunningServer]:
    """A warm server for this assistant (None: the demo), private to this process."""
    async with serve_in_process(Settings(), assistant) as server:
        yield server


async def measure_call(
    server: RunningServer, script: Script, audio: Mapping[int, bytes], seed: int = 0
) -> MeasuredCall:
    """Place a call in which step n of the script says the mu-law `audio[n]`."""
    clock, generator = LoopClock(asyncio.get_running_loop()), random.Random(seed)
    caller, call = ScriptedCaller(script, audio), MeasuredCall()
    carrier = SimulatedCarrier(
        account_sid=new_sid("AC", generator),
        call_sid=f"CA{random.Random().getrandbits(128):032x}",
        stream_sid=new_sid("MZ", generator),
        parameters={},
        generator=generator,
    )

    def keep(moment: PhoneMoment) -> None:
        call.said += moment.said
        call.heard += moment.heard
        counts = carrier.counts()
        call.taken_bytes.append(counts.agent_bytes + counts.cleared_bytes)

    phone = Phone(clock, carrier, caller, max_s=script.max_s, on_moment=keep)
    await phone.stream(server.media_url)
    async with aiohttp.ClientSession(trust_env=False) as session:
        log = BridgeLog(session, control_url(server.media_url), carrier.call_sid)
        call.events = await log.read()
    call.utterances, call.agent = caller.utterances(), caller.agent_sounds
    call.clears_ms, call.failures = carrier.clears_ms, caller.failures
    call.warnings = [str(refusal) for refusal in carrier.refusals]
    if phone.late_periods:
        call.warnings.append(f"{phone.late_periods} frames of the caller went out more than 20 ms late")
    return call


def load_line() -> str:
    """The machine's load, to be printed beside figures."""
    one, five, _ = os.getloadavg()
    return f"load average {one:.2f} (1 min) {five:.2f} (5 min) on {os.cpu_count()} cores"


def nearest_rank(values: Sequence[int], share: float) -> int:
    """The smallest value that at least this share of all values does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def spread(values: Sequence[int]) -> str:
    """p50, p95 and the largest, in words."""
    return (
        f"p50 {nearest_rank(values, 0.5)} ms, p95 {nearest_rank(values, 0.95)} ms, max {max(values)} ms "
        f"of {len(values)}"
    )
