"""A scripted caller on the line of a simulated Twilio: its streams, its sounds, and what was heard."""

from __future__ import annotations

__all__ = ["ScriptedSubscriber", "Watch"]

import asyncio
import random
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import fields, replace

import aiohttp

from offhook.codecs.framing import FRAME_BYTES
from offhook.pipeline.clock import Clock

from .bridge_log import BridgeEvent, BridgeLog, control_url
from .call_result import CallPlan, LiveLine
from .caller import ScriptedCaller
from .caller_audio import CallerSound
from .carrier import SILENCE_BYTE, CarrierCounts, Gap, SimulatedCarrier
from .hearing import FRAME_MS, SoundDetector
from .line import Microphone
from .live_lines import is_same_reply, line_of
from .phone import FRAME_S, Phone, PhoneMoment, StreamEnd
from .recording import Recording
from .script import HangUpKind, Press
from .twilio.calls import CallLeg
from .twilio.errors import numbered
from .twilio.verbs import ConnectStream
from .twilio.world import Recorded, Subscriber

Watch = Callable[[LiveLine], None]
_SILENCE = SILENCE_BYTE * FRAME_BYTES


class ScriptedSubscriber(Subscriber):
    """One call while it lasts; the script goes on while there is something to hear: in streams, and sounds.

    On a line without sound, where it rings elsewhere or Twilio pauses, `plan.patience_s` is what counts.
    """

    def __init__(
        self,
        plan: CallPlan,
        clock: Clock,
        sound: CallerSound,
        session: aiohttp.ClientSession,
        auth_token: str | None,
        watch: Watch,
        recording: Recording | None,
    ) -> None:
        """`auth_token` is that of the carrier; `recording` takes both sides of the line."""
        self.plan, self._bed = plan, sound.bed
        self.caller = ScriptedCaller(plan.script, sound.audio)
        self._clock, self._session, self._auth_token = clock, session, auth_token
        self._watch, self._recording = watch, recording
        self._generator = random.Random(plan.seed)
        self._phone: Phone | None = None
        self._waited_s = 0.0
        self._hung_up = False
        self._spoken = self._pressed = self._sounds = 0
        self._caller_acted_ms = 0
        self.call_sid = self._account_sid = ""
        self.log: BridgeLog | None = None
        """Once it is known where the bridge is."""
        self.agent_audio = bytearray()
        self.carriers: list[tuple[int, SimulatedCarrier]] = []
        """Each stream's carrier and the caller media time at which it began."""
        self.twiml: list[str] = []
        self.warnings: list[str] = []

    def begin(self, leg: CallLeg, address: str = "") -> ScriptedSubscriber:
        """Be on this call; the bridge is at `address`, or where its first stream goes."""
        self.call_sid, self._account_sid = leg.call_sid, leg.account_sid
        if address:
            self._open_log(address)
        return self

    async def stream(
        self, verb: ConnectStream, stream_sid: str, started: Callable[[], None] = lambda: None
    ) -> StreamEnd:
        """Be on a media stream until it ends. Raises ProtocolError."""
        self._waited_s = 0.0
        log = self.log or self._open_log(verb.url)
        carrier = SimulatedCarrier(
            account_sid=self._account_sid,
            call_sid=self.call_sid,
            stream_sid=stream_sid,
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
            auth_token=self._auth_token,
            on_open=started,
            on_moment=self._on_moment,
            line=self.plan.script.line,
            seed=self.plan.seed or 0,
        )
        self._phone = phone
        watching = asyncio.create_task(log.watch(self._on_event), name="call-watch")
        try:
            end = await phone.stream(verb.url)
            if end.reason == HangUpKind.VANISH.value:
                await self._clock.sleep_until(self._clock.now() + self.plan.vanish_hold_s)
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await phone.release()
            self._collect_warnings(phone, carrier)
        return end

    def take_away(self) -> None:
        """Let the stream end."""
        if self._phone is not None:
            self._phone.take_away()

    async def wait(self, seconds: float) -> bool:
        """Hold the line; False when the caller's patience ends meanwhile."""
        patience_s = self.plan.patience_s
        held_s = seconds if patience_s is None else min(seconds, max(0.0, patience_s - self._waited_s))
        await self._clock.sleep_until(self._clock.now() + held_s)
        self._waited_s += held_s
        return held_s == seconds

    async def listen(self, audio: bytes) -> bool:
        """Hear a sound out, and do what the script says meanwhile; False when it says to hang up."""
        self._waited_s = 0.0
        pieces = (audio[start : start + FRAME_BYTES] for start in range(0, len(audio), FRAME_BYTES))
        async for _ in self._periods(piece.ljust(FRAME_BYTES, SILENCE_BYTE) for piece in pieces):
            pass
        return not self._hung_up

    async def record(self, longest_s: float, silence_s: float) -> Recorded:
        """Do what the script says until a key, so long a silence, or so long at all."""
        detector, said = SoundDetector(), bytearray()
        frames = round(longest_s / FRAME_S)
        async with aclosing(self._periods(_SILENCE for _ in range(frames))) as periods:
            async for frame, digit in periods:
                said += frame
                detector.feed(frame)
                if digit or detector.now_ms - (detector.last_audible_ms or 0) >= silence_s * 1000:
                    break
        heard_ms = detector.last_audible_ms or 0
        return Recorded(bytes(said[: heard_ms * FRAME_BYTES // FRAME_MS]), self._hung_up)

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

    def note(self, line: str) -> None:
        """Keep and show what the line did."""
        self.twiml.append(line)
        self._watch(LiveLine(self.caller.now_ms, "line", line))

    def warn(self, line: str) -> None:
        """Keep what Twilio would log."""
        self.warnings.append(line)

    def _open_log(self, address: str) -> BridgeLog:
        self.log = BridgeLog(self._session, control_url(address), self.call_sid, self._auth_token)
        return self.log

    async def _periods(self, heard: Iterator[bytes]) -> AsyncGenerator[tuple[bytes, str], None]:
        """Let 20 ms after 20 ms pass in which the caller hears this; gives what was said and pressed."""
        act, began = self.caller.first_act(), self._clock.now()
        for count, frame in enumerate(heard, 1):
            if act.hang_up is not None:
                self._hung_up = True
                return
            await self._clock.sleep_until(began + count * FRAME_S)
            said, digit = act.frame or _SILENCE, act.digit
            act = self.caller.listen(said, frame)
            self._on_moment(PhoneMoment(self.caller.now_ms, said, frame, said))
            yield said, digit

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
