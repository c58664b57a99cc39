"""Recordings of calls over real sockets, beside what the carrier at the other end says was said and heard."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import numpy as np
from aiohttp import ClientSession
from bridge_rig import loop_clock
from fake_engines import InlineWorkers
from numpy.typing import NDArray
from recording_rig import recorded_assistant
from socket_rig import ScriptedServer, scripted_server

from offhook.bridge.recording.recorder import Recorder
from offhook.bridge.recording.shelf import recordings_in
from offhook.codecs import g711, wav
from offhook.lab.phone import PhoneMoment
from offhook.lab.script import HangUp, Say, Step, WaitFor
from offhook.lab.scripted_engines import AnsweringModel

LEFT, RIGHT = 0, 1
RATE_HZ = 8000
WORDS = " ".join(["word"] * 30) + "."
TICK = 160

Sound = NDArray[np.int16]


def sounding(side: Sound) -> bytes:
    """The samples that are not silent; idle codes of the line, which are nearly silent, count as such."""
    return side[np.abs(side) > 8].tobytes()


async def place(server: ScriptedServer, *steps: Step) -> tuple[str, Sound, Sound]:
    """Place a call; returns its CallSid, what the caller said, and what they heard."""
    moments: list[PhoneMoment] = []
    phone, call_sid = server.phone(*steps, on_moment=moments.append)
    await phone.stream(server.url)
    said = g711.decode(b"".join(moment.sent for moment in moments))
    return call_sid, said, g711.decode(b"".join(moment.heard for moment in moments))


async def test_the_file_holds_what_the_carrier_played_and_sent_sample_for_sample(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path, clock=loop_clock(), workers=InlineWorkers())
    assistant = recorded_assistant(first_message=WORDS)
    async with scripted_server(assistant, AnsweringModel([WORDS]), recorder) as server:
        steps = (Say("hello", cut_in_after_s=2.0), WaitFor("agent_speaks"), WaitFor("agent_silent"), HangUp())
        call_sid, said, heard = await place(server, *steps)
        entry = server.server.state.registry.get(call_sid)
        assert entry is not None
        assert "audio.cancelled" in {event.type for event in entry.log.events}, "the caller cut in"
        await asyncio.sleep(2.0)
        place_of_file = server.url.replace("ws://", "http://").replace(
            "/media", f"/v1/calls/{call_sid}/recording"
        )
        async with ClientSession() as session, session.get(place_of_file) as answer:
            assert answer.status == 200
            sound = wav.read(io.BytesIO(await answer.read())).pcm
    await recorder.close()
    assert sounding(sound[:, LEFT]) == sounding(said)
    assert len(sounding(heard)) > 4 * RATE_HZ
    assert abs(len(sounding(sound[:, RIGHT])) - len(sounding(heard))) <= 2 * TICK, "cut within a tick"
    for kept, there in ((sound[:, LEFT], said), (sound[:, RIGHT], heard)):
        first = [int(np.flatnonzero(np.abs(side) > 8)[0]) for side in (kept, there)]
        # The carrier begins to play at its next tick.
        assert 0 <= first[1] - first[0] <= 2 * TICK
    assert abs(len(sound) - len(said)) <= 2 * TICK
    (kept_file,) = recordings_in(tmp_path)
    assert kept_file.note.call == call_sid
