"""What the caller hears of the carrier itself, and what is kept of the caller."""

from __future__ import annotations

import io

import numpy as np
import pytest
from aiohttp import ClientSession, encode_basic_auth
from telephone_rig import CALLED, CALLER, SID, TOKEN, Caller, simulated, site

from offhook.codecs import g711, wav
from offhook.codecs.tones import dtmf
from offhook.config.errors import ProtocolError
from offhook.lab.twilio.ending import Ending
from offhook.lab.twilio.world import Recorded

BEEP_BYTES = 4000


def tone_file(seconds: float = 0.5) -> bytes:
    file, time_s = io.BytesIO(), np.arange(round(16_000 * seconds)) / 16_000
    with wav.Writer(file, 16_000, 1) as writer:
        writer.write((8000 * np.sin(2 * np.pi * 437 * time_s)).astype(np.int16))
    return file.getvalue()


async def test_a_file_is_heard_as_often_as_asked() -> None:
    caller, twilio = Caller(None), simulated()
    async with site(voice='<Play loop="2">/tone.wav</Play>', **{"tone.wav": tone_file()}) as served:
        await twilio.call_in(twilio.leg(CALLER, CALLED), caller, f"{served.url}/voice")
        assert caller.notes == [f"<Play> {served.url}/tone.wav"]
    heard = g711.decode(caller.heard)
    assert len(heard) == 8000
    assert np.abs(heard).max() > 7000


async def test_keys_are_heard_as_tones_with_pauses() -> None:
    caller, twilio = Caller(None), simulated()
    async with site(voice='<Play digits="1w2"/>') as served:
        await twilio.call_in(twilio.leg(CALLER, CALLED), caller, f"{served.url}/voice")
    assert caller.heard.startswith(g711.encode(dtmf("1")))
    assert caller.heard[1600:5600] == b"\xff" * 4000
    assert caller.heard[5600:6400] == g711.encode(dtmf("2"))


async def test_what_is_no_sound_cannot_be_played() -> None:
    caller, twilio = Caller(None), simulated()
    async with site(voice="<Play>/hold.wav</Play>", **{"hold.wav": b"<html>"}) as served:
        with pytest.raises(ProtocolError, match="12300"):
            await twilio.call_in(twilio.leg(CALLER, CALLED), caller, f"{served.url}/voice")


LEAVES = '<Record action="/kept" maxLength="20"/><Say>Nothing was said.</Say>'


async def test_a_message_is_kept_behind_a_beep_and_its_address_told() -> None:
    caller, twilio = Caller(None), simulated()
    async with twilio.listening(), site(voice=LEAVES, kept="<Hangup/>") as served:
        await twilio.call_in(twilio.leg(CALLER, CALLED), caller, f"{served.url}/voice")
        form = served.asked[1][2]
        assert (form["RecordingDuration"], form["CallStatus"]) == ("2", "in-progress")
        async with ClientSession(headers={"Authorization": encode_basic_auth(SID, TOKEN)}) as http:
            async with http.get(f"{form['RecordingUrl']}.json") as answer:
                assert (await answer.json())["call_sid"] == form["CallSid"]
            async with http.get(f"{form['RecordingUrl']}.wav") as answer:
                sound = wav.read(io.BytesIO(await answer.read()))
    assert len(caller.heard) == BEEP_BYTES
    assert bytes(g711.encode(sound.pcm[:, 0])) == caller.says.audio


async def test_without_a_word_there_is_no_recording_and_the_document_goes_on() -> None:
    caller, twilio = Caller(None), simulated()
    caller.says = Recorded(b"")
    async with site(voice=LEAVES) as served:
        await twilio.call_in(twilio.leg(CALLER, CALLED), caller, f"{served.url}/voice")
    assert caller.notes[-1] == "<Say> Nothing was said."
    assert not twilio.world.recordings


async def test_who_hangs_up_has_left_a_message_all_the_same() -> None:
    caller, twilio = Caller(None), simulated()
    caller.says = Recorded(b"\x20" * 8000, hung_up=True)
    async with site(voice=LEAVES, kept="<Say>Still there?</Say>") as served:
        ending = await twilio.call_in(twilio.leg(CALLER, CALLED), caller, f"{served.url}/voice")
        form = served.asked[1][2]
    assert (form["Digits"], form["CallStatus"]) == ("hangup", "completed")
    assert ending == Ending("caller", "hung up")
    assert caller.notes == ["<Record>"]
