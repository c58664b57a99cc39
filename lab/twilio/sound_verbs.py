"""`<Play>` and `<Record>`: what the caller hears of Twilio itself, and what is kept of the caller."""

from __future__ import annotations

__all__ = ["play", "record"]

import io
from typing import TYPE_CHECKING

import numpy as np

from offhook.codecs import g711, wav
from offhook.codecs.framing import SAMPLE_RATE_HZ
from offhook.codecs.resample import resample
from offhook.codecs.tones import dtmf

from .errors import twilio_error
from .verbs import Play, Record

if TYPE_CHECKING:
    from .course import Course, Next

_SILENCE = b"\xff"
_KEY_GAP = _SILENCE * (SAMPLE_RATE_HZ // 10)
_WAIT = _SILENCE * (SAMPLE_RATE_HZ // 2)
_BEEP_HZ, _BEEP_S = 1000.0, 0.5


async def play(course: Course, verb: Play) -> Next:
    """Let the caller hear a WAV file or keys; Twilio documentation of `<Play>`."""
    course.note(f"<Play> {verb.url or verb.digits}")
    if verb.url:
        audio = _mulaw(await course.webhook.fetch_sound(verb.url), verb.url)
    else:
        audio = b"".join(_WAIT if key == "w" else g711.encode(dtmf(key)) + _KEY_GAP for key in verb.digits)
    for _ in range(verb.loops):
        if (after := await course.stay(course.subscriber.listen(audio))) is not None:
            return after
    return None


async def record(course: Course, verb: Record) -> Next:
    """Keep what the caller says, and ask what is next; Twilio documentation of `<Record>`.

    Of a caller who says nothing there is no recording, and the document goes on.
    """
    course.note("<Record>")
    if verb.beep and (after := await course.stay(course.subscriber.listen(_beep()))) is not None:
        return after
    said = await course.unless_changed(course.subscriber.record(verb.longest_s, verb.silence_s))
    if said is None:
        return await course.changed()
    gone = course.hung_up() if said.hung_up else None
    if not said.audio:
        return gone
    recording = course.world.keep(course.call.leg.call_sid, said.audio)
    told = {
        "RecordingSid": recording.sid,
        "RecordingUrl": course.world.recording_url(recording),
        "RecordingDuration": str(recording.duration_s),
        "Digits": "hangup" if said.hung_up else "",
    }
    document = await course.fetch(verb.action, verb.method, told)
    return gone or document


def _mulaw(file: bytes, url: str) -> bytes:
    try:
        sound = wav.read(io.BytesIO(file))
        mono = np.rint(sound.pcm.mean(axis=1)).astype(np.int16)
        return g711.encode(resample(mono, sound.rate_hz, SAMPLE_RATE_HZ))
    except ValueError as error:
        raise twilio_error(12300, f"{url} is no sound that can be played: {error}") from error


def _beep() -> bytes:
    seconds = np.arange(round(_BEEP_S * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return g711.encode((8000 * np.sin(2 * np.pi * _BEEP_HZ * seconds)).astype(np.int16))
