"""Twenty cut-ins: how soon the agent is silent, and whether the bridge knows what was heard.

Three witnesses of what was heard. The bridge's own history; an ear, which recognises the recording
of the caller's side and knows nothing else; and a comparison, byte by byte, of that recording with
the same reply spoken to its end.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from warm_server import server_of

from offhook.bridge.app import RunningServer
from offhook.config.assistant_loading import load_assistant
from offhook.lab.agent_words import Listener, listening
from offhook.lab.caller_audio import caller_audio
from offhook.lab.cut_ins import CutIn, cut_ins, played_bytes, words_until
from offhook.lab.figures import nearest_rank, spread
from offhook.lab.heard_words import Rendition, heard_words, render
from offhook.lab.measured_call import measure_call
from offhook.lab.script import HangUp, Say, Script, Silence
from offhook.pipeline.clock import Clock, LoopClock
from offhook.pipeline.providers.embedded.hibari_voice import HibariVoice
from offhook.pipeline.providers.embedded.model_process import ModelProcess
from offhook.pipeline.segmenter import clauses_of

pytestmark = [pytest.mark.acceptance, pytest.mark.realtime, pytest.mark.timeout(400)]

HERE = Path(__file__).parent
AUDIO = HERE.parent / "audio"
ASSISTANT = HERE / "long_answer.yaml"
SEED = 7
CUT_INS_A_CALL = 5
FIRST_S, LAST_S = 1.0, 9.0
"""When the caller cuts in, after the agent became audible."""
FRAME_BYTES = 160
BYTES_PER_S = 8000
PHRASES: tuple[str | Path, ...] = (
    "Wait, I have another question.",
    AUDIO / "sb-spk1-snt1.ulaw.wav",
    "Just tell me when order 12345 arrives.",
    AUDIO / "sb-spk2-snt4.ulaw.wav",
    "Hold on a second.",
    AUDIO / "goforward.ulaw.wav",
    "Actually, what are your opening hours?",
    AUDIO / "sb-spk1-snt3.ulaw.wav",
    "No, that is not what I asked.",
    AUDIO / "weather.ulaw.wav",
    "Stop, please.",
    AUDIO / "arctic-a0024.ulaw.wav",
    "Can I return something instead?",
    AUDIO / "sb-spk2-snt2.ulaw.wav",
    "Let me talk to a person.",
    AUDIO / "sb-spk1-snt4.ulaw.wav",
    "How much is it for two parcels?",
    AUDIO / "sb-spk2-snt5.ulaw.wav",
    "Thank you, that is enough.",
    AUDIO / "librivox-0930.ulaw.wav",
)


@dataclass(frozen=True, slots=True)
class Reply:
    """The reply that is cut into, spoken to its end."""

    rendition: Rendition
    audio: bytes


@dataclass(frozen=True, slots=True)
class Trial:
    """One cut-in and its witnesses, each as a number of words; -1 where a witness has nothing to say."""

    cut_in: CutIn
    by_bridge: int
    by_ear: int
    by_bytes: int
    played: int
    """Bytes, by comparison."""
    sent: int
    """Words of which anything at all was sent."""


def plans(generator: random.Random) -> list[tuple[Say, ...]]:
    """The cut-ins of each call, at times that spread evenly over the range, in random order."""
    step_s = (LAST_S - FIRST_S) / (len(PHRASES) - 1)
    moments = [FIRST_S + index * step_s for index in range(len(PHRASES))]
    generator.shuffle(moments)
    says = [
        Say(text=phrase, cut_in_after_s=at) if isinstance(phrase, str) else Say(wav=phrase, cut_in_after_s=at)
        for phrase, at in zip(PHRASES, moments, strict=True)
    ]
    return [tuple(says[start : start + CUT_INS_A_CALL]) for start in range(0, len(says), CUT_INS_A_CALL)]


async def spoken_reply(clock: Clock) -> Reply:
    """The assistant's one answer in full."""
    text = load_assistant(ASSISTANT).model.fallback
    process = ModelProcess("hibari", {}, clock=clock)
    try:
        await process.start()
        voice = HibariVoice(process, clock)
        audio = [piece.audio for clause in clauses_of(text) async for piece in voice.speak(clause)]
        return Reply(await render(voice, text), b"".join(audio))
    finally:
        await process.close()


async def place(
    server: RunningServer, says: tuple[Say, ...], clock: Clock, generator: random.Random
) -> list[CutIn]:
    """One call with several cut-ins, each into the answer to the one before."""
    script = Script(
        (Silence(0.4), Say("What is your shipping policy?"), *says, Silence(1.5), HangUp()), max_s=90
    )
    made = await caller_audio(script, clock)
    # Speech begins anywhere within a frame, and so anywhere between two looks at the caller's voice.
    audio = {index: b"\xff" * generator.randrange(FRAME_BYTES) + speech for index, speech in made.items()}
    call = await measure_call(server.media_url, script, audio, seed=generator.randrange(1000))
    assert not call.failures
    return cut_ins(call)


async def judged(cut_in: CutIn, listener: Listener, reply: Reply) -> Trial:
    """Ask every witness."""
    played = played_bytes(cut_in.reply_audio, reply.audio)
    return Trial(
        cut_in,
        by_bridge=len(cut_in.bridge_text.split()) if cut_in.bridge_text is not None else -1,
        by_ear=(await heard_words(listener, cut_in.reply_audio, reply.rendition)).count,
        by_bytes=words_until(reply.rendition, played).count if played is not None else -1,
        played=played or 0,
        sent=sum(word.start_s * BYTES_PER_S < cut_in.sent_bytes for word in reply.rendition.words),
    )


def line(trial: Trial) -> str:
    """One row of the table."""
    cut_in = trial.cut_in
    return (
        f"{cut_in.utterance.text:<39}{cut_in.stop_ms or '-':>6}"
        f"{cut_in.frames_after_clear:>6}{cut_in.resumes:>8}"
        f"{trial.by_bridge:>8}{trial.by_ear:>5}{trial.by_bytes:>7}{trial.sent:>6}"
        f"{cut_in.bridge_ms:>11}{trial.played / 8:>11.0f}  {', '.join(cut_in.decided)}"
    )


def summary(trials: list[Trial]) -> str:
    """The figures of all cut-ins together."""
    count = len(trials)
    by_ear = [abs(trial.by_bridge - trial.by_ear) for trial in trials]
    by_bytes = [abs(trial.by_bridge - trial.by_bytes) for trial in trials]
    behind = [trial.played / 8 - trial.cut_in.bridge_ms for trial in trials if trial.by_bytes >= 0]
    return (
        f"silent after: {spread([trial.cut_in.stop_ms or 99_999 for trial in trials])}\n"
        f"history against the ear: exact {by_ear.count(0)}, one word off {by_ear.count(1)} of {count}\n"
        f"history against the bytes: exact {by_bytes.count(0)}, one word off {by_bytes.count(1)} of {count}\n"
        f"the history is behind what was played by {min(behind):.0f} to {max(behind):.0f} ms"
    )


async def test_the_agent_falls_silent_and_knows_what_was_heard(report: Callable[[str], None]) -> None:
    clock, generator = LoopClock(asyncio.get_running_loop()), random.Random(SEED)
    reply = await spoken_reply(clock)
    found: list[CutIn] = []
    async with server_of(ASSISTANT) as server:
        for says in plans(generator):
            found += await place(server, says, clock, generator)
    async with listening(clock) as listener:
        trials = [await judged(cut_in, listener, reply) for cut_in in found]
    report(
        f"{'':<39}{'silent':>6}{'stale':>6}{'resumed':>8}{'history':>8}{'ear':>5}{'bytes':>7}{'sent':>6}"
        f"{'history ms':>11}{'played ms':>11}"
    )
    for trial in trials:
        report(line(trial))
    report(summary(trials))

    assert len(trials) == len(PHRASES)
    stops = [trial.cut_in.stop_ms for trial in trials if trial.cut_in.stop_ms is not None]
    assert len(stops) == len(PHRASES), "the agent spoke on"
    assert nearest_rank(stops, 0.5) <= 300
    assert max(stops) <= 600
    assert all(trial.cut_in.frames_after_clear == 0 for trial in trials)
    assert all(abs(trial.by_bridge - trial.by_ear) <= 1 for trial in trials)
    assert all(abs(trial.by_bridge - trial.by_bytes) <= 1 for trial in trials)
    assert sum(trial.by_bridge == trial.by_ear for trial in trials) >= 15
    assert sum(trial.by_bridge == trial.by_bytes for trial in trials) >= 15
    assert all(trial.by_bridge <= trial.sent for trial in trials)
