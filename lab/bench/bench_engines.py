"""The assistant of a benchmark's calls, and the engines that stand for recogniser, model and voice."""

from __future__ import annotations

__all__ = ["EnginesOfCall", "bench_assistant", "bench_engines"]

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from offhook.bridge.pool_workers import PoolWorkers
from offhook.codecs.audio_format import MULAW_8K, PCM_16K, PCM_24K
from offhook.config.assistant import Assistant, Model, Transcriber, Voice
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.line_up import LineUp, alone
from offhook.pipeline.ports import LanguageModel, VoiceActivity

from ..scripted_engines import CueTranscriber, QuietVoiceActivity, TalkativeModel, ToneVoice
from ..trials.engines import trial_engines
from ..vendors.server import account_at
from .null_engines import CheckingTranscriber, OwnVoice, SteadyModel, reply_text
from .own_sound import SoundCheck, recognised_blocks, spoken_blocks
from .plan import INTERRUPTION, BenchPlan
from .vendor_process import KEY

EnginesOfCall = Callable[[int], Engines]
"""Gives the engines of the call of a number."""


def bench_assistant(plan: BenchPlan) -> Assistant:
    """One that nobody can hang up on by being silent."""
    barge_in = "partial" if plan.vendors is not None else "pause" if plan.interrupting_calls else "off"
    turn_taking = {"barge_in": barge_in, "silence_prompts": (), "silence_hangup_s": 3600}
    stages = (
        {}
        if plan.vendors is None
        else {
            "transcriber": Transcriber(provider="deepgram"),
            "model": Model(provider="openai"),
            "voice": Voice(provider="elevenlabs", name="bench"),
        }
    )
    greeting = {"first_message": reply_text()} if plan.own_sound or plan.setups_per_s else {}
    return Assistant.model_validate(
        {"name": "bench", "turn_taking": turn_taking, "goodbye": "", "one_moment": "", **stages, **greeting}
    )


async def bench_engines(
    plan: BenchPlan,
    stack: AsyncExitStack,
    workers: PoolWorkers,
    clock: Clock,
    assistant: Assistant,
    sound: SoundCheck,
) -> EnginesOfCall:
    """Make what the plan wants; it is closed with `stack`. Raises ProviderError when a model is not there."""
    if plan.own_sound:
        return _null_engines(workers, clock, sound)
    voice_activity = await _voice_activity(plan, stack, clock)
    if plan.vendors is not None:
        account = partial(account_at, plan.vendors, key=KEY)
        vendor_engines = trial_engines(
            assistant, account, clock, voice_activity=voice_activity, workers=workers
        )
        engines = await stack.enter_async_context(vendor_engines)
    else:
        pcm = plan.engine_audio == "pcm"
        words = INTERRUPTION if plan.interrupting_calls else ""
        engines = Engines(
            voice_activity=voice_activity,
            transcribers=alone(CueTranscriber(PCM_16K if pcm else MULAW_8K, words), clock),
            models=alone(TalkativeModel(), clock),
            voices=alone(ToneVoice(PCM_24K if pcm else MULAW_8K), clock),
            workers=workers,
        )
    return lambda _: engines


def _null_engines(workers: PoolWorkers, clock: Clock, sound: SoundCheck) -> EnginesOfCall:
    recognised, spoken = recognised_blocks(), spoken_blocks()[0]
    models: LineUp[LanguageModel] = alone(SteadyModel(), clock)

    def of_call(call: int) -> Engines:
        return Engines(
            voice_activity=QuietVoiceActivity(),
            transcribers=alone(CheckingTranscriber(call, recognised, sound), clock),
            models=models,
            voices=alone(OwnVoice(call, spoken), clock),
            workers=workers,
        )

    return of_call


async def _voice_activity(plan: BenchPlan, stack: AsyncExitStack, clock: Clock) -> VoiceActivity:
    """Raises ProviderError when Silero's model is not there."""
    if plan.vad == "off":
        return QuietVoiceActivity()
    from offhook.pipeline.providers.embedded.silero import SileroVoiceActivity

    thread = await stack.enter_async_context(PoolWorkers(threads=1))
    silero = SileroVoiceActivity(thread, clock)
    await silero.start()
    stack.push_async_callback(silero.close)
    return silero
