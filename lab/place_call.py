"""Places a simulated phone call and tells what came of it."""

from __future__ import annotations

__all__ = ["place_call"]

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, fields, replace

import aiohttp

from offhook.config.errors import ProtocolError, ProviderError
from offhook.pipeline.clock import Clock

from .agent_words import HeardSpeech, listening
from .bridge_log import BridgeEvent, BridgeLog, control_url
from .call_result import CallPlan, CallResult, LiveLine, TranscriptLine
from .caller import ScriptedCaller, StepFailure
from .caller_audio import CallerSound, caller_sound
from .carrier import CarrierCounts, Gap, SimulatedCarrier
from .dialling import CallLeg, Ending, Webhook, follow, new_sid, told_ending
from .expectations import Evidence, judge
from .figures import find_underruns, turn_figures
from .hearing import Utterance, judge_barge_in
from .line import Microphone
from .live_lines import is_same_reply, line_of
from .phone import Phone, PhoneMoment, StreamEnd
from .recording import Recording
from .rest_interface import LiveCalls
from .script import Expect, HangUp, HangUpKind, Press
from .twilio_error import numbered
from .twiml import ConnectStream, stream_url

Watch = Callable[[LiveLine], None]


async def place_call(plan: CallPlan, clock: Clock, *, watch: Watch = lambda _: None) -> CallResult:
    """Place the call of `plan` in real time by `clock`; `watch` is shown what happens as it happens.

    Raises ConfigError for audio that cannot be read, ProviderError when the caller has no voice, and
    ProtocolError, with Twilio's error number, when no stream comes about.
    """
    if (plan.webhook is None) == (plan.url is None):
        raise ValueError("a call has either a webhook or a stream URL")
    sound = await caller_sound(plan.script, clock, plan.seed or 0)
    # A connection of its own for each request: one that was kept may be closed just when it is used again.
    connector = aiohttp.TCPConnector(force_close=True)
    async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
        call = _Call(plan, clock, sound, session, watch)
        ending = await call.run()
        events = await call.log.read()
    heard, trouble = await _recognise(plan, clock, call)
    return _result(call, ending, events, heard, trouble)


class _Call:
    """One call while it lasts: who it is, its streams, and what was heard."""

    def __init__(
        self,
        plan: CallPlan,
        clock: Clock,
        sound: CallerSound,
        session: aiohttp.ClientSession,
        watch: Watch,
    ) -> None:
        self.plan, self._bed = plan, sound.bed
        self.caller = ScriptedCaller(plan.script, sound.audio)
        self._clock, self._watch = clock, watch
        self._generator = random.Random(plan.seed)
        self.leg = CallLeg.new(self._generator, plan.from_number, plan.to_number)
        self._webhook = Webhook(session, self.leg, plan.auth_token)
        self.log = BridgeLog(
            session, control_url(plan.webhook or plan.url or ""), self.leg.call_sid, plan.auth_token
        )
        self._recording: Recording | None = None
        self._phone: Phone | None = None
        self._spoken = self._pressed = self._sounds = 0
        self._caller_acted_ms = 0
        self.agent_audio = bytearray()
        self.carriers: list[tuple[int, SimulatedCarrier]] = []
        """Each stream's carrier and the caller media time at which it began."""
        self.twiml: list[str] = []
        self.warnings: list[str] = []

    async def run(self) -> Ending:
        """Be on the phone until the call is over. Raises ProtocolError if it never began."""
        with ExitStack() as stack:
            if self.plan.record is not None:
                self._recording = stack.enter_context(Recording(self.plan.record))
            try:
                if self.plan.url is not None:
                    verb = ConnectStream(stream_url(self.plan.url), self.plan.parameters)
                    return _ending(await self._stream(verb))
                webhook = self.plan.webhook or ""
                calls = self.plan.live_calls or LiveCalls()
                return await follow(
                    webhook,
                    self._webhook,
                    self._clock,
                    self._stream,
                    self._note,
                    self.plan.directory,
                    stack.enter_context(calls.entered(self.leg.call_sid)),
                    self._take_away,
                )
            except ProtocolError as error:
                if not self.agent_audio:
                    raise
                return Ending("lost", error.reason)

    def _take_away(self) -> None:
        if self._phone is not None:
            self._phone.take_away()

    async def _stream(self, verb: ConnectStream) -> StreamEnd:
        carrier = SimulatedCarrier(
            account_sid=self.leg.account_sid,
            call_sid=self.leg.call_sid,
            stream_sid=new_sid("MZ", self._generator),
            parameters=verb.parameters,
            generator=self._generator,
            microphone=Microphone(self.plan.script.line, self._bed),
        )
        self.carriers.append((self.caller.now_ms, carrier))
        phone = Phone(
            self._clock,
            carrier,
            self.caller,
            max_s=self.plan.script.max_s,
            auth_token=self.plan.auth_token,
            on_moment=self._on_moment,
            line=self.plan.script.line,
            seed=self.plan.seed or 0,
        )
        self._phone = phone
        await self._tell(verb, carrier, "stream-started")
        watching = asyncio.create_task(self.log.watch(self._on_event), name="call-watch")
        try:
            end = await phone.stream(verb.url)
            if end.reason == HangUpKind.VANISH.value:
                await self._clock.sleep_until(self._clock.now() + self.plan.vanish_hold_s)
        except ProtocolError as error:
            await self._tell(verb, carrier, "stream-error", error.reason)
            raise
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await phone.release()
            self._collect_warnings(phone, carrier)
        await self._tell(verb, carrier, "stream-stopped")
        return end

    async def _tell(
        self, verb: ConnectStream, carrier: SimulatedCarrier, event: str, error: str = ""
    ) -> None:
        """The stream's status callback; Twilio documentation, "Stream", `statusCallback`."""
        if verb.status_callback is None:
            return
        status = {
            "AccountSid": self.leg.account_sid,
            "CallSid": self.leg.call_sid,
            "StreamSid": carrier.stream_sid,
            "StreamName": verb.name or carrier.stream_sid,
            "StreamEvent": event,
        }
        try:
            await self._webhook.notify(
                verb.status_callback, status | ({"StreamError": error} if error else {})
            )
        except ProtocolError as failed:
            self.warnings.append(f"status callback: {failed.reason}")

    def _on_moment(self, moment: PhoneMoment) -> None:
        self.agent_audio += moment.heard
        if self._recording is not None:
            self._recording.add(moment.sent, moment.heard)
        self._show_caller()
        sounds = self.caller.agent_sounds
        if len(sounds) > self._sounds:
            self._sounds = len(sounds)
            if not is_same_reply(sounds, self._caller_acted_ms):
                self._watch(LiveLine(sounds[-1].start_ms, "agent", "(speaks)"))

    def _show_caller(self) -> None:
        if len(self.caller.spoken) > self._spoken:
            self._spoken = len(self.caller.spoken)
            latest = self.caller.spoken[-1]
            self._caller_acted_ms = latest.start_ms
            self._watch(LiveLine(latest.start_ms, "caller", latest.text))
        if len(self.caller.pressed) > self._pressed:
            self._pressed = len(self.caller.pressed)
            keys = self.caller.pressed[-1]
            self._caller_acted_ms = keys.start_ms
            step = self.plan.script.steps[keys.step]
            digits = step.digits if isinstance(step, Press) else keys.digits
            self._watch(LiveLine(keys.start_ms, "caller", f"presses {digits}"))

    def _on_event(self, event: BridgeEvent) -> None:
        line = line_of(event)
        if line is not None:
            self._watch(line)

    def _note(self, line: str) -> None:
        self.twiml.append(line)
        self._watch(LiveLine(self.caller.now_ms, "line", line))

    def _collect_warnings(self, phone: Phone, carrier: SimulatedCarrier) -> None:
        self.warnings += [str(refusal) for refusal in carrier.refusals]
        if phone.discarded_frames:
            unread = f"{phone.discarded_frames} caller frames the bridge did not read"
            self.warnings.append(numbered(31930, unread))
        if phone.late_periods:
            self.warnings.append(f"this machine sent {phone.late_periods} frames more than 20 ms late")

    def counts(self) -> CarrierCounts:
        """The figures of all streams together."""
        each = [carrier.counts() for _, carrier in self.carriers]
        names = [field.name for field in fields(CarrierCounts)]
        return CarrierCounts(**{name: sum(getattr(counts, name) for counts in each) for name in names})

    def gaps(self) -> list[Gap]:
        """Every stream's gaps in caller media time."""
        return [
            replace(gap, at_ms=gap.at_ms + began_ms)
            for began_ms, carrier in self.carriers
            for gap in carrier.gaps
        ]

    def clears_ms(self) -> list[int]:
        """When the bridge sent `clear`, caller media time."""
        return [began_ms + at_ms for began_ms, carrier in self.carriers for at_ms in carrier.clears_ms]


def _ending(end: StreamEnd) -> Ending:
    """A stream without a document around it: what ends it ends the call."""
    if end.by == "bridge":
        return Ending("agent", end.reason)
    if end.by == "lost":
        return Ending("lost", f"{end.close_code or ''} {end.reason}".strip())
    return Ending("limit" if end.by == "limit" else "caller", end.reason)


async def _recognise(plan: CallPlan, clock: Clock, call: _Call) -> tuple[tuple[HeardSpeech, ...], str]:
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
    call: _Call,
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
        call_sid=call.leg.call_sid,
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


def _failures(call: _Call, ending: Ending) -> tuple[StepFailure, ...]:
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
