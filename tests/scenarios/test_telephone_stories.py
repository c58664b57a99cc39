"""Whole telephone stories on virtual time: a simulated Twilio, the bridge on its port, emulated vendors."""

from __future__ import annotations

import asyncio
import io
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import ClientSession
from bridge_rig import loop_clock, settings
from fake_engines import InlineWorkers
from pydantic import SecretStr
from vendor_rig import ANSWER, emulated

from offhook.bridge.call_factory import ConversationFactory
from offhook.bridge.recording.recorder import Recorder
from offhook.bridge.server import Server
from offhook.bridge.twilio.rest import SdkRest
from offhook.codecs import g711, wav
from offhook.config.settings import load_settings
from offhook.lab.call_result import CallPlan, CallResult
from offhook.lab.place_call import place_call
from offhook.lab.script import HangUp, Say, Script, Silence, Step, WaitFor
from offhook.lab.scripted_engines import AnsweringModel, Answers
from offhook.lab.spelled_speech import LevelVoiceActivity, spell
from offhook.lab.trials.conversation import trial_assistant
from offhook.lab.trials.engines import trial_engines
from offhook.lab.twilio.calls import CallUpdate
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
from offhook.lab.twilio.telephones import Telephone
from offhook.lab.vendors.fault_words import parse_fault
from offhook.lab.vendors.inside import spelled_inside
from offhook.pipeline.messages import CallerSaid, ModelDelta, ModelRequest, ToolRequest

# Twilio's package signs in by what aiohttp is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SID, TOKEN = "AC" + "0" * 32, "0123456789abcdef0123456789abcdef"
SALES, NIGHT_DESK = "+14155550101", "+14155550102"
HANDS_OVER: dict[str, Any] = {
    "tools": [
        {
            "name": "to_sales",
            "kind": "transfer_call",
            "destinations": {"sales": {"number": SALES, "message": "lantern."}},
        }
    ]
}


@dataclass
class Exchange:
    """The bridge and its vendors."""

    server: Server
    page: str
    folder: Path
    twilio: SimulatedTwilio

    async def call(self, *steps: Step, session: str = "", **telephones: Telephone) -> CallResult:
        """Place a call to the webhook; who is rung and is not named answers."""
        numbers = {"sales": SALES, "night_desk": NIGHT_DESK}
        plan = CallPlan(
            Script(steps, max_s=60),
            webhook=f"{self.page}/voice/inbound" + (f"?session={session}" if session else ""),
            recognise=False,
            seed=1,
        )
        self.twilio.telephones.update((numbers[name], telephone) for name, telephone in telephones.items())
        return await place_call(plan, loop_clock(), twilio=self.twilio)

    def says(self, words: str) -> Say:
        """What the caller says."""
        path = self.folder / f"{words.replace(' ', '-')}.wav"
        with path.open("wb") as sink, wav.Writer(sink, 8000, 1) as writer:
            writer.write(np.atleast_2d(g711.decode(spell(words))).T)
        return Say(wav=path)

    async def written(self, name: str, text: str) -> str:
        """Write to a conversation, and give the answer."""
        body = {"text": text, "answer": "text"}
        page = f"{self.page}/v1/calls/{name}/messages"
        async with ClientSession() as http, http.post(page, json=body) as answer:
            return str((await answer.json())["text"])

    async def written_in_call(self, name: str, text: str) -> str:
        """Write the same as soon as a call has gone on for a while."""
        while not self.server.state.registry.live():  # noqa: ASYNC110  time is virtual
            await asyncio.sleep(0.1)
        await asyncio.sleep(8)
        return await self.written(name, text)

    async def order(self, what: str, /, **body: Any) -> int:
        """Give the only live call an order, as soon as there is one."""
        async with asyncio.timeout(20):
            while not (live := self.server.state.registry.live()):  # noqa: ASYNC110  time is virtual
                await asyncio.sleep(0.1)
        await asyncio.sleep(4)
        page = f"{self.page}/v1/calls/{live[0].call_sid}/{what}"
        async with ClientSession() as http, http.post(page, json=body) as answer:
            return answer.status


def hands_over(request: ModelRequest) -> str | Sequence[ModelDelta]:
    """A model that hands the call over at the caller's first turn."""
    asked = any(isinstance(message, CallerSaid) for message in request.messages)
    return [ToolRequest("x", "to_sales", "{}")] if asked else ANSWER


@asynccontextmanager
async def exchange(
    folder: Path,
    answers: Answers = (ANSWER,),
    *,
    faults: Sequence[str] = (),
    max_calls: int = 4,
    rest: bool = False,
    **fields: Any,
) -> AsyncIterator[Exchange]:
    """With `rest` requests are signed, and the bridge may use the simulated REST interface."""
    vendors = emulated(spelled_inside(AnsweringModel(answers)))
    assistant = trial_assistant(**{"goodbye": "meadow.", "handover": "nutmeg.", **fields})
    clock = loop_clock()
    async with vendors.listening():
        account = load_settings(vendors.environment(), env_file=None).account
        for words in faults:
            vendors.world.faults.plan(parse_fault(words))
        async with trial_engines(
            assistant, account, clock, voice_activity=LevelVoiceActivity(), workers=InlineWorkers()
        ) as engines:
            recorder = Recorder(folder / "recordings", clock=clock, workers=InlineWorkers())
            factory = ConversationFactory(
                clock=clock,
                assistants=lambda _: assistant,
                engines=lambda _: engines,
                is_ready=lambda: True,
                recorder=recorder,
            )
            if not rest:
                server = Server(settings(max_calls=max_calls), factory, clock)
                server.state.recorder = recorder
                port = await server.start("127.0.0.1", 0)
                try:
                    yield Exchange(server, f"http://127.0.0.1:{port}", folder, SimulatedTwilio(clock, seed=1))
                finally:
                    await server.stop()
                    await recorder.close()
                return
            twilio, port = SimulatedTwilio(clock, account_sid=SID, auth_token=TOKEN, seed=1), free_port()
            page = f"http://127.0.0.1:{port}"
            async with twilio.listening() as interface:
                signed = settings(public_url=page, twilio_auth_token=SecretStr(TOKEN), twilio_account_sid=SID)
                with_rest = Server(
                    signed, factory, clock, rest=SdkRest(SID, SecretStr(TOKEN), base_url=interface)
                )
                await with_rest.start("127.0.0.1", port)
                try:
                    yield Exchange(with_rest, page, folder, twilio)
                finally:
                    await with_rest.stop()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def test_a_transfer_is_answered(tmp_path: Path) -> None:
    async with exchange(tmp_path, hands_over, **HANDS_OVER) as line:
        call = await line.call(Silence(0.5), line.says("anchor basket candle"), Silence(20.0))
        assert (call.ended_by, call.end_reason) == ("transfer", f"transferred to {SALES}")
        assert call.twiml[-3:] == (f"<Dial> {SALES}", f"{SALES}: answered after 2 s", "<Hangup>")


async def test_a_transfer_that_nobody_answers_goes_to_the_fallback_number(tmp_path: Path) -> None:
    async with exchange(tmp_path, hands_over, fallback_number=NIGHT_DESK, **HANDS_OVER) as line:
        words = line.says("anchor basket candle")
        call = await line.call(Silence(0.5), words, Silence(20.0), sales=Telephone("no-answer"))
        assert (call.ended_by, call.end_reason) == ("transfer", f"transferred to {NIGHT_DESK}")
        assert f"{SALES}: nobody answered after 20 s" in call.twiml


async def test_a_transfer_that_nobody_takes_at_all_ends_with_an_apology(tmp_path: Path) -> None:
    async with exchange(tmp_path, hands_over, fallback_number=NIGHT_DESK, **HANDS_OVER) as line:
        words, busy = line.says("anchor basket candle"), Telephone("busy")
        call = await line.call(Silence(0.5), words, Silence(20.0), sales=busy, night_desk=busy)
        assert call.ended_by == "agent"
        assert "nobody can take your call" in call.twiml[-2]


async def test_the_operator_hands_a_live_call_over(tmp_path: Path) -> None:
    async with exchange(tmp_path) as line:
        call, status = await asyncio.gather(
            line.call(Silence(0.5), line.says("anchor basket candle"), Silence(20.0)),
            line.order("transfer", number=SALES),
        )
        assert status == 202
        assert call.ended_by == "transfer"


async def test_what_is_written_into_a_live_call_is_answered_by_voice(tmp_path: Path) -> None:
    asked: list[str] = []

    def model(request: ModelRequest) -> str:
        asked.append(next(m.text for m in reversed(request.messages) if isinstance(m, CallerSaid)))
        return ANSWER

    async with exchange(tmp_path, model) as line:
        call, status = await asyncio.gather(
            line.call(WaitFor("agent_silent", 2.0, within_s=30), HangUp()),
            line.order("messages", text="My order is number five."),
        )
        assert status == 202
        assert asked[-1] == "My order is number five."
        replies = [event["data"]["heard_text"] for event in call.events if event["type"] == "reply.ended"]
        assert replies[-1] == ANSWER
        assert call.counts.agent_frames > 50


async def test_above_capacity_a_caller_hears_why_and_the_calls_that_go_on_are_left_alone(
    tmp_path: Path,
) -> None:
    async with exchange(tmp_path, max_calls=1) as line:

        async def late() -> CallResult:
            await asyncio.sleep(2)
            return await line.call(Silence(5.0), HangUp())

        first = line.call(Silence(0.5), line.says("anchor basket candle"), Silence(6.0), HangUp())
        held, turned_away = await asyncio.gather(first, late())
        assert turned_away.twiml == (
            "<Say> Sorry, all our lines are busy. Please call again in a few minutes. Goodbye.",
            "<Hangup>",
        )
        assert held.ended_by == "caller"
        assert held.counts.agent_frames > 50


async def test_above_capacity_a_caller_is_put_through_to_whoever_takes_calls_then(tmp_path: Path) -> None:
    async with exchange(tmp_path, max_calls=1, fallback_number=NIGHT_DESK) as line:

        async def late(after_s: float, night_desk: Telephone) -> CallResult:
            await asyncio.sleep(after_s)
            return await line.call(Silence(20.0), HangUp(), night_desk=night_desk)

        held, put_through, unlucky = await asyncio.gather(
            line.call(Silence(50.0), HangUp()), late(2, Telephone()), late(12, Telephone("no-answer"))
        )
        why = "<Say> Sorry, all our lines are busy. One moment, I will put you through."
        assert put_through.twiml[:2] == (why, f"<Dial> {NIGHT_DESK}")
        assert put_through.end_reason == f"transferred to {NIGHT_DESK}"
        assert unlucky.twiml[-2:] == (
            "<Say> Sorry, nobody can take your call right now. Please call again later. Goodbye.",
            "<Hangup>",
        )
        assert held.ended_by == "caller"


async def test_what_was_written_before_the_call_is_known_in_it_and_what_is_written_in_it_is_answered_so(
    tmp_path: Path,
) -> None:
    heard: list[list[str]] = []

    def knows(request: ModelRequest) -> str:
        heard.append([message.text for message in request.messages if isinstance(message, CallerSaid)])
        return ANSWER

    async with exchange(tmp_path, knows) as line:
        assert await line.written("chat-1", "My order is number five.") == ANSWER
        during, call = await asyncio.gather(
            line.written_in_call("chat-1", "And my name is Lee."),
            line.call(Silence(0.5), line.says("anchor basket"), Silence(12.0), HangUp(), session="chat-1"),
        )
        assert during == ANSWER
        assert heard[-1][:1] == ["My order is number five."]
        assert any("anchor" in text for text in heard[-1])
        assert heard[-1][-1] == "And my name is Lee."
        replies = [event["data"]["heard_text"] for event in call.events if event["type"] == "reply.ended"]
        assert replies == [ANSWER], "what is answered in writing is not spoken"


DEAD = tuple(
    f"{place} refuse times=1000" for place in ("deepgram connect", "openai request", "elevenlabs connect")
)


async def test_with_all_vendors_dead_the_caller_is_put_through(tmp_path: Path) -> None:
    async with exchange(tmp_path, faults=DEAD, fallback_number=NIGHT_DESK, first_message=ANSWER) as line:
        call = await line.call(Silence(0.5), line.says("anchor basket candle"), Silence(40.0))
        assert (call.ended_by, call.end_reason) == ("transfer", f"transferred to {NIGHT_DESK}")
        assert call.duration_ms < 30_000


async def test_with_all_vendors_dead_and_nobody_behind_them_the_caller_hears_a_tone(tmp_path: Path) -> None:
    async with exchange(tmp_path, faults=DEAD, first_message=ANSWER) as line:
        call = await line.call(Silence(0.5), line.says("anchor basket candle"), Silence(20.0), HangUp())
        assert call.counts.agent_frames > 0, "it stands for the voice that nobody has"


async def test_with_credentials_a_transfer_goes_over_the_rest_interface_and_action_is_asked_behind_it(
    tmp_path: Path,
) -> None:
    async with exchange(tmp_path, hands_over, rest=True, fallback_number=NIGHT_DESK, **HANDS_OVER) as line:
        words, busy = line.says("anchor basket candle"), Telephone("busy")
        call = await line.call(Silence(0.5), words, Silence(20.0), sales=busy)
        assert call.twiml[1:] == (
            "REST: other TwiML",
            f"<Dial> {SALES}",
            f"{SALES}: busy after 2 s",
            f"<Dial> {NIGHT_DESK}",
            f"{NIGHT_DESK}: answered after 2 s",
            "<Hangup>",
        )
        assert (call.ended_by, call.end_reason) == ("transfer", f"transferred to {NIGHT_DESK}")


async def test_with_credentials_the_agents_hang_up_goes_over_the_rest_interface(tmp_path: Path) -> None:
    ends: dict[str, Any] = {"tools": [{"name": "bye", "kind": "end_call"}]}
    async with exchange(tmp_path, lambda _: [ToolRequest("x", "bye", "{}")], rest=True, **ends) as line:
        call = await line.call(Silence(0.5), line.says("anchor basket candle"), Silence(20.0))
        assert call.twiml[1:] == ("REST: completed",)
        assert call.ended_by == "agent"


async def test_somebody_else_takes_a_call_off_its_stream_and_the_bridge_lets_it_go(tmp_path: Path) -> None:
    async with exchange(tmp_path, rest=True) as line:

        async def take() -> None:
            while not (live := line.server.state.registry.live()):  # noqa: ASYNC110  time is virtual
                await asyncio.sleep(0.1)
            await asyncio.sleep(2)
            line.twilio.update(live[0].call_sid, CallUpdate(twiml="<Response><Say>Hold on.</Say></Response>"))

        call, _ = await asyncio.gather(line.call(Silence(20.0), HangUp()), take())
        assert call.twiml[1:] == ("REST: other TwiML", "<Say> Hold on.")
        (ended,) = (entry.outcome for entry in line.server.state.registry.all())
        assert ended is not None
        assert ended["by"] == "carrier"


async def test_a_call_that_rings_elsewhere_can_be_ended_over_the_rest_interface(tmp_path: Path) -> None:
    async with exchange(tmp_path, hands_over, rest=True, **HANDS_OVER) as line:

        async def end() -> None:
            while not line.server.state.registry.all():  # noqa: ASYNC110  time is virtual
                await asyncio.sleep(0.1)
            entry = line.server.state.registry.all()[0]
            while entry.outcome is None:  # noqa: ASYNC110  time is virtual
                await asyncio.sleep(0.1)
            await asyncio.sleep(5)
            line.twilio.update(entry.call_sid, CallUpdate(completed=True))

        words, away = line.says("anchor basket candle"), Telephone("no-answer")
        call, _ = await asyncio.gather(line.call(Silence(0.5), words, Silence(60.0), sales=away), end())
        assert call.twiml[1:] == ("REST: other TwiML", f"<Dial> {SALES}", "REST: completed")
        assert call.ended_by == "agent"


async def test_a_recording_is_silent_on_both_sides_while_it_is_paused_and_whole_beside(
    tmp_path: Path,
) -> None:
    async with exchange(tmp_path, recording={"enabled": True}) as line:

        async def pause() -> None:
            assert await line.order("recording", action="pause") == 200
            await asyncio.sleep(3)
            assert await line.order("recording", action="resume") == 200

        said = line.says("anchor basket candle dolphin")
        steps = [step for _ in range(5) for step in (said, Silence(2.0))]
        call, _ = await asyncio.gather(line.call(Silence(0.5), *steps, HangUp()), pause())
        page = f"{line.page}/v1/calls/{call.call_sid}/recording"
        async with ClientSession() as http, http.get(page) as answer:
            assert answer.status == 200
            sound = wav.read(io.BytesIO(await answer.read()))
        at_s = {event["type"]: event["at_ms"] / 1000 for event in call.events}
        paused, resumed = at_s["recording.paused"], at_s["recording.resumed"]
        assert resumed - paused > 5
        heard = np.abs(sound.pcm.astype(int)) > 1000
        before, during, after = np.split(heard, [round(paused * 8000), round(resumed * 8000)])
        assert before.any(axis=0).all(), "both sides"
        assert not during[400:-400].any()
        assert after.any(axis=0).all()
        assert abs(len(heard) / 8000 - call.duration_ms / 1000) < 0.5, "nothing is cut out"
