"""Scripted callers on the simulated Twilio: lost streams, patience, messages, and calls that were placed."""

from __future__ import annotations

import asyncio
import io
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bridge_rig import loop_clock
from telephone_rig import CALLED, CALLER, TOKEN, Site, simulated, site

from offhook.codecs import wav
from offhook.lab.call_result import CallPlan, CallResult
from offhook.lab.place_call import place_call
from offhook.lab.script import HangUp, Say, Script, Silence, Step, WaitFor
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
from offhook.lab.twilio.telephones import Telephone
from offhook.lab.twilio.world import Routing

from .scripted_bridge import Bridge, scripted_bridge

SALES = "+15550003333"


async def place(
    twilio: SimulatedTwilio, served: Site, *steps: Step, page: str = "voice", **options: Any
) -> CallResult:
    plan = CallPlan(
        Script(steps, max_s=60),
        webhook=None if options.get("answers") else f"{served.url}/{page}",
        from_number=CALLER,
        to_number=CALLED,
        recognise=False,
        seed=1,
        **options,
    )
    return await place_call(plan, loop_clock(), twilio=twilio)


def reset(bridge: Bridge) -> None:
    """Break the TCP connection as a process that is killed does."""
    transport = bridge.connection.transport
    with socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno())) as plain:
        plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def killed(bridge: Bridge, message: dict[str, Any]) -> None:
    if message["event"] == "media" and message["media"]["chunk"] == "50":
        reset(bridge)


async def closed(bridge: Bridge, message: dict[str, Any]) -> None:
    if message["event"] == "media" and message["media"]["chunk"] == "50":
        await bridge.connection.close()


def stream(url: str) -> str:
    return f'<Connect action="/after"><Stream url="{url}"/></Connect>'


@pytest.mark.parametrize(("ends", "by"), [(killed, "lost"), (closed, "agent")])
async def test_behind_a_socket_that_was_reset_or_closed_the_action_decides(
    ends: Callable[[Bridge, dict[str, Any]], Awaitable[None]], by: str
) -> None:
    async with scripted_bridge(ends) as (url, _), site(after="<Say>Sorry.</Say>") as served:
        served.pages["/voice"] = stream(url)
        call = await place(simulated(), served, Silence(20.0), HangUp())
    assert call.ended_by == by
    assert call.twiml[-1] == "<Say> Sorry."
    assert call.duration_ms == 1000


async def test_a_socket_that_was_reset_ends_the_call_where_twilio_is_so_set() -> None:
    twilio = simulated(lost_stream_ends_call=True)
    async with scripted_bridge(killed) as (url, _), site(after="<Say>Sorry.</Say>") as served:
        served.pages["/voice"] = stream(url)
        call = await place(twilio, served, Silence(20.0), HangUp())
        assert [path for _, path, _, _ in served.asked] == ["/voice"]
    assert call.ended_by == "lost"
    assert twilio.calls[call.call_sid].status == "completed"


async def test_a_caller_holds_a_silent_line_no_longer_than_their_patience() -> None:
    twilio = simulated(telephones={SALES: Telephone("no-answer")})
    async with scripted_bridge(closed) as (url, _), site(dialled="") as served:
        served.pages |= {
            "/voice": stream(url),
            "/after": f'<Pause length="3"/><Dial action="/dialled">{SALES}</Dial>',
        }
        call = await place(twilio, served, Silence(20.0), HangUp(), patience_s=8)
        assert served.asked[-1][2]["DialCallStatus"] == "no-answer"
    assert (call.ended_by, call.end_reason) == ("caller", "hung up while it rang")
    (ended,) = twilio.calls.values()
    assert ended.duration_s == 9


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """A second and a half of a tone at 8 kHz."""
    path = tmp_path / "words.wav"
    tone = (8000 * np.sin(2 * np.pi * 437 * np.arange(12_000) / 8000)).astype(np.int16)
    with path.open("wb") as sink, wav.Writer(sink, 8000, 1) as writer:
        writer.write(tone)
    return path


async def test_a_caller_leaves_a_message_behind_the_beep(words: Path) -> None:
    twilio = simulated()
    async with site(voice='<Record action="/kept"/>', kept="<Say>Thank you.</Say>") as served:
        steps = (WaitFor("agent_speaks"), Silence(1.0), Say(wav=words), Silence(30.0))
        call = await place(twilio, served, *steps)
    (recording,) = twilio.world.recordings.values()
    assert recording.duration_s == 2, "half a second of silence and the words"
    assert call.twiml == ("<Record>", "<Say> Thank you.")
    assert call.duration_ms == pytest.approx(500 + 500 + 1500 + 5000, abs=100)


async def test_a_caller_hears_what_is_played_and_may_hang_up_in_it(words: Path, tmp_path: Path) -> None:
    record, file = tmp_path / "call.wav", await asyncio.to_thread(words.read_bytes)
    voice = '<Play loop="9">/words.wav</Play>'
    async with site(voice=voice, **{"words.wav": file}) as served:
        call = await place(simulated(), served, Silence(2.0), HangUp(), record=record)
    assert (call.ended_by, call.duration_ms) == ("caller", 2000)
    heard = wav.read(io.BytesIO(await asyncio.to_thread(record.read_bytes))).pcm[:, 1]
    assert np.abs(heard[:12_000]).max() > 7000


async def test_somebody_answers_a_call_that_was_placed_and_is_on_its_stream() -> None:
    twilio = simulated(telephones={CALLED: Telephone(after_s=3)})
    async with (
        scripted_bridge(closed) as (url, streams),
        site(after="<Hangup/>") as served,
        twilio.listening(),
    ):
        served.pages["/voice"] = stream(url)
        answering = asyncio.create_task(place(twilio, served, Silence(20.0), HangUp(), answers=True))
        while not twilio.answered_at(CALLED):  # noqa: ASYNC110  time is virtual
            await asyncio.sleep(0.1)
        placed = twilio.place(CALLED, CALLER, Routing(f"{served.url}/voice"))
        call = await answering
        assert streams[0].events("start")[0]["start"]["callSid"] == placed.leg.call_sid == call.call_sid
    assert (call.ended_by, call.duration_ms) == ("agent", 1000)


async def test_a_plan_without_a_webhook_goes_where_the_number_is_routed() -> None:
    twilio = simulated(numbers=[CALLED])
    async with site(voice="<Say>Hello.</Say>") as served:
        twilio.numbers[CALLED].voice_url = f"{served.url}/voice"
        plan = CallPlan(Script((HangUp(),)), to_number=CALLED, recognise=False)
        call = await place_call(plan, loop_clock(), twilio=twilio)
        assert served.asked[0][3], f"signed with {TOKEN}"
    assert call.twiml == ("<Say> Hello.",)
