"""Places a simulated phone call and tells what came of it."""

from __future__ import annotations

__all__ = ["place_call"]

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict

import aiohttp

from offhook.config.errors import ProtocolError, ProviderError
from offhook.pipeline.clock import Clock

from .agent_words import HeardSpeech, listening
from .bridge_log import BridgeEvent
from .call_result import CallPlan, CallResult, TranscriptLine
from .caller import StepFailure
from .caller_audio import caller_sound
from .expectations import Evidence, judge
from .figures import find_underruns, turn_figures
from .hearing import Utterance, judge_barge_in
from .phone import StreamEnd
from .recording import Recording
from .script import Expect, HangUp
from .scripted_subscriber import ScriptedSubscriber, Watch
from .twilio.ending import Ending, told_ending
from .twilio.simulated_twilio import SimulatedTwilio
from .twilio.twiml import stream_url
from .twilio.verbs import ConnectStream


async def place_call(
    plan: CallPlan,
    clock: Clock,
    *,
    watch: Watch = lambda _: None,
    twilio: SimulatedTwilio | None = None,
) -> CallResult:
    """Place the call of `plan` in real time by `clock`; `watch` is shown what happens as it happens.

    The call goes through `twilio`, whose token then counts, or through a simulated Twilio of its own.
    Raises ConfigError for audio that cannot be read, ProviderError when the caller has no voice, and
    ProtocolError, with Twilio's error number, when no stream comes about.
    """
    twilio = twilio or SimulatedTwilio(clock, auth_token=plan.auth_token, seed=plan.seed)
    ways = [plan.webhook is not None, plan.url is not None, plan.answers or plan.to_number in twilio.numbers]
    if ways[:2] == [True, True] or not any(ways):
        raise ValueError("a call has either a webhook, or a stream, or a number of the simulated Twilio's")
    sound = await caller_sound(plan.script, clock, plan.seed or 0)
    # A connection of its own for each request: one that was kept may be closed just when it is used again.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        with ExitStack() as stack:
            recording = stack.enter_context(Recording(plan.record)) if plan.record is not None else None
            call = ScriptedSubscriber(plan, clock, sound, session, twilio.auth_token, watch, recording)
            ending = await _through(twilio, call)
        events = await call.log.read() if call.log else ()
    heard, trouble = await _recognise(plan, clock, call)
    return _result(call, ending, events, heard, trouble)


async def _through(twilio: SimulatedTwilio, call: ScriptedSubscriber) -> Ending:
    """Be on the phone until the call is over. Raises ProtocolError if it never began."""
    plan = call.plan
    try:
        if plan.answers:
            return await twilio.answer(plan.to_number, call.begin)
        leg = twilio.leg(plan.from_number, plan.to_number)
        if plan.url is not None:
            verb = ConnectStream(stream_url(plan.url), plan.parameters)
            return _ending(await call.begin(leg, plan.url).stream(verb, twilio.world.sid("MZ")))
        number = twilio.numbers.get(plan.to_number)
        address = plan.webhook or (number.voice_url if number else "")
        return await twilio.call_in(leg, call.begin(leg, address), plan.webhook or "")
    except ProtocolError as error:
        if not call.agent_audio:
            raise
        return Ending("lost", error.reason)


def _ending(end: StreamEnd) -> Ending:
    """A stream without a document around it: what ends it ends the call."""
    if end.by == "bridge":
        return Ending("agent", end.reason)
    if end.by == "lost":
        return Ending("lost", f"{end.close_code or ''} {end.reason}".strip())
    return Ending("limit" if end.by == "limit" else "caller", end.reason)


async def _recognise(
    plan: CallPlan, clock: Clock, call: ScriptedSubscriber
) -> tuple[tuple[HeardSpeech, ...], str]:
    """What the agent was heard to say, and why that is not known if it is not."""
    sounds = call.caller.agent_sounds
    if not plan.recognise or not sounds:
        return (), ""
    try:
        async with listening(clock) as listener:
            return await listener.hear(bytes(call.agent_audio), sounds), ""
    except ProviderError as error:
        return (), f"the agent's words were not recognised: {error}"


def _result(
    call: ScriptedSubscriber,
    ending: Ending,
    events: tuple[BridgeEvent, ...],
    heard: tuple[HeardSpeech, ...],
    trouble: str,
) -> CallResult:
    utterances, agent = call.caller.utterances(), call.caller.agent_sounds
    pressed = call.caller.key_presses()
    clears_ms = call.clears_ms()
    judged = (judge_barge_in(i, said, agent, clears_ms) for i, said in enumerate(utterances))
    barge_ins = tuple(cut_in for cut_in in judged if cut_in is not None)
    evidence = Evidence(
        call.plan.script, utterances, agent, barge_ins, heard, events, ending, call.caller.now_ms
    )
    verdicts, failures = judge(evidence), _failures(call, ending)
    return CallResult(
        call_sid=call.call_sid,
        passed=not failures and ending.by not in ("lost", "limit") and all(v.met for v in verdicts),
        ended_by=ending.by,
        end_reason=ending.reason,
        duration_ms=call.caller.now_ms,
        transcript=_transcript(evidence, pressed),
        turns=turn_figures(utterances + pressed, agent, events),
        barge_ins=barge_ins,
        underruns=find_underruns(call.gaps(), utterances, events),
        expectations=verdicts,
        failures=failures,
        warnings=tuple([*call.warnings, trouble] if trouble else call.warnings),
        twiml=tuple(call.twiml),
        counts=call.counts(),
        events=tuple(asdict(event) for event in events),
        recording=str(call.plan.record) if call.plan.record else None,
    )


def _failures(call: ScriptedSubscriber, ending: Ending) -> tuple[StepFailure, ...]:
    """Steps that went wrong, and the first that was never come to."""
    failures, done, script = list(call.caller.failures), call.caller.steps_done, call.plan.script
    by_agent = ending.by in ("agent", "transfer")
    if by_agent and script.complete_at is not None and done >= script.complete_at:
        return tuple(failures)
    for index, step in enumerate(script.steps[done:], done):
        if not isinstance(step, Expect | HangUp):
            told = told_ending(ending.by)
            how = f"the call was {told}" if told.startswith("ended") else told
            reason = f"{how} before this step was done"
            failures.append(StepFailure(index, call.caller.now_ms, reason, script.step_name(index)))
            break
    return tuple(failures)


def _transcript(evidence: Evidence, pressed: Sequence[Utterance]) -> tuple[TranscriptLine, ...]:
    lines = [TranscriptLine("caller", u.first_sound_ms, u.text, "script") for u in evidence.utterances]
    lines += [TranscriptLine("caller", p.first_sound_ms, f"presses {p.text}", "script") for p in pressed]
    lines += [TranscriptLine("agent", h.start_ms, h.text, "recogniser") for h in evidence.heard]
    return tuple(sorted(lines, key=lambda line: line.at_ms))
