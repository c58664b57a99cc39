"""A whole spoken call against a server of ours, with both sides kept to the byte."""

from __future__ import annotations

__all__ = ["FRAME_MS", "MeasuredCall", "measure_call"]

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass, field

import aiohttp

from offhook.codecs.framing import FRAME_BYTES
from offhook.pipeline.clock import LoopClock

from .bridge_log import BridgeEvent, BridgeLog, control_url
from .caller import ScriptedCaller, SpokenUtterance, StepFailure
from .carrier import Gap, SimulatedCarrier
from .hearing import FRAME_MS, Sound, Utterance
from .line import Microphone
from .noises import Samples
from .phone import Phone, PhoneMoment
from .script import Script
from .twilio.calls import new_sid


@dataclass
class MeasuredCall:
    """What a call was, by caller media time; item n of `taken_bytes` is as of (n + 1) * 20 ms."""

    said: bytearray = field(default_factory=bytearray)
    heard: bytearray = field(default_factory=bytearray)
    """mu-law of both sides of the line; `said` without noise and echo."""
    taken_bytes: list[int] = field(default_factory=list)
    """Agent audio that was played or cleared so far."""
    utterances: tuple[Utterance, ...] = ()
    agent: tuple[Sound, ...] = ()
    clears_ms: list[int] = field(default_factory=list)
    events: tuple[BridgeEvent, ...] = ()
    spoken: tuple[SpokenUtterance, ...] = ()
    """What was put on the line, its silent edges included."""
    gaps: list[Gap] = field(default_factory=list)
    failures: list[StepFailure] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def of_type(self, *types: str) -> list[BridgeEvent]:
        """The bridge's events of these types, in order."""
        return [event for event in self.events if event.type in types]

    def agent_frame(self, at_ms: int) -> bytes:
        """What was heard of the agent in the 20 ms that begin at `at_ms`."""
        start = at_ms // FRAME_MS * FRAME_BYTES
        return bytes(self.heard[start : start + FRAME_BYTES])


async def measure_call(
    media_url: str,
    script: Script,
    audio: Mapping[int, bytes],
    seed: int = 0,
    *,
    bed: Samples | None = None,
    parameters: Mapping[str, str] | None = None,
) -> MeasuredCall:
    """Place a call in which step n of the script says the mu-law `audio[n]`, amid the noise of `bed`.

    Raises ProtocolError when no stream comes about.
    """
    clock, generator = LoopClock(asyncio.get_running_loop()), random.Random(seed)
    caller, call = ScriptedCaller(script, audio), MeasuredCall()
    carrier = SimulatedCarrier(
        account_sid=new_sid("AC", generator),
        call_sid=f"CA{random.Random().getrandbits(128):032x}",
        stream_sid=new_sid("MZ", generator),
        parameters=parameters or {},
        generator=generator,
        microphone=Microphone(script.line, bed),
    )

    def keep(moment: PhoneMoment) -> None:
        call.said += moment.said
        call.heard += moment.heard
        counts = carrier.counts()
        call.taken_bytes.append(counts.agent_bytes + counts.cleared_bytes)

    phone = Phone(clock, carrier, caller, max_s=script.max_s, on_moment=keep, line=script.line, seed=seed)
    await phone.stream(media_url)
    async with aiohttp.ClientSession(trust_env=False) as session:
        log = BridgeLog(session, control_url(media_url), carrier.call_sid)
        call.events = await log.read()
    call.utterances, call.agent = caller.utterances(), caller.agent_sounds
    call.spoken, call.gaps = tuple(caller.spoken), carrier.gaps
    call.clears_ms, call.failures = carrier.clears_ms, caller.failures
    call.warnings = [str(refusal) for refusal in carrier.refusals]
    if phone.late_periods:
        call.warnings.append(f"{phone.late_periods} frames of the caller went out more than 20 ms late")
    return call
