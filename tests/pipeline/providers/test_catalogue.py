"""What an assistant file's words build, and what is said of what is lacking."""

from __future__ import annotations

import asyncio
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from typing import Any

import pytest
from bridge_rig import loop_clock
from call_rig import assistant_from
from pydantic import SecretStr

from offhook.codecs.audio_format import MULAW_8K
from offhook.config.assistant import Assistant, ModelChoice
from offhook.config.settings import load_settings
from offhook.config.speech import TranscriberChoice, VoiceChoice
from offhook.config.vendors import KEY_VARIABLES, Account
from offhook.pipeline.providers import catalogue
from offhook.pipeline.providers.catalogue import Making, candidate_name, unmet_needs
from offhook.pipeline.providers.deepgram import DeepgramTranscriber
from offhook.pipeline.providers.elevenlabs import ElevenLabsVoice
from offhook.pipeline.providers.embedded.agent import IntentsAgent
from offhook.pipeline.providers.embedded.hibari_voice import HibariVoice
from offhook.pipeline.providers.embedded.model_pool import ModelPool
from offhook.pipeline.providers.embedded.transcriber import WhisperTranscriber
from offhook.pipeline.providers.openai import OpenAIModel

VENDORS: dict[str, Any] = {
    "transcriber": {"provider": "deepgram"},
    "model": {"provider": "openai"},
    "voice": {"provider": "elevenlabs", "name": "anna"},
}
KEYS = dict.fromkeys(KEY_VARIABLES.values(), "s3cret")


def lacking(assistant: Assistant, **environ: str) -> dict[str, str]:
    settings = load_settings(environ, None)
    return {problem.key: str(problem) for problem in unmet_needs(assistant, settings.account)}


async def test_each_provider_has_its_engine() -> None:
    making = Making(loop_clock(), lambda vendor: Account(SecretStr("s3cret")))
    built = [
        catalogue.transcriber(TranscriberChoice(), "en", making),
        catalogue.transcriber(TranscriberChoice(provider="deepgram"), "en", making),
        catalogue.model(ModelChoice(), assistant_from(), making),
        catalogue.model(ModelChoice(provider="openai"), assistant_from(), making),
        catalogue.voice(VoiceChoice(), "en", making),
        catalogue.voice(VoiceChoice(provider="elevenlabs", name="anna"), "en", making),
    ]
    assert [type(each.engine) for each in built] == [
        WhisperTranscriber,
        DeepgramTranscriber,
        IntentsAgent,
        OpenAIModel,
        HibariVoice,
        ElevenLabsVoice,
    ]
    assert {built[index].engine.audio_format for index in (1, 4, 5)} == {MULAW_8K}  # type: ignore[attr-defined]
    before = asyncio.all_tasks()
    await asyncio.gather(*(each.lifecycle.close() for each in built))
    assert asyncio.all_tasks() == before, "what was never started is closed without a trace"


def test_a_candidate_is_named_by_its_vendor_and_model() -> None:
    assert candidate_name(TranscriberChoice(provider="deepgram", model="nova-3")) == "deepgram nova-3"
    assert candidate_name(ModelChoice(provider="openai")) == "openai"
    assert candidate_name(VoiceChoice()) == "embedded heart"


def test_the_embedded_engines_need_nothing() -> None:
    assert lacking(assistant_from()) == {}


def test_a_key_that_is_not_set_is_told_with_its_place_and_its_mend() -> None:
    assistant = assistant_from(name="Order line", **VENDORS)
    told = lacking(assistant)
    assert set(told) == {"transcriber.provider", "model.provider", "voice.provider"}
    assert told["voice.provider"] == (
        "assistant Order line: voice.provider: `elevenlabs` needs a key, and ELEVENLABS_API_KEY is not set. "
        "Set ELEVENLABS_API_KEY in the environment or in .env, or ELEVENLABS_API_KEY_FILE to a file that "
        "holds it."
    )
    assert lacking(assistant, **KEYS) == {}


def test_a_fallback_needs_its_key_too() -> None:
    assistant = assistant_from(voice={"fallbacks": [{}, {"provider": "elevenlabs", "name": "anna"}]})
    assert set(lacking(assistant)) == {"voice.fallbacks.1.provider"}


@pytest.mark.parametrize("fields", [{"base_url": "http://127.0.0.1:11434/v1"}, {"api_key": "own"}])
def test_a_model_with_an_address_or_a_key_of_its_own_needs_no_other(fields: dict[str, str]) -> None:
    assert lacking(assistant_from(model={"provider": "openai", **fields})) == {}


def test_a_model_behind_the_settings_address_needs_no_key_but_other_vendors_do() -> None:
    addresses = {f"{vendor.upper()}_BASE_URL": "http://127.0.0.1:1" for vendor in KEY_VARIABLES}
    told = lacking(assistant_from(**VENDORS), **addresses)
    assert set(told) == {"transcriber.provider", "voice.provider"}


def test_an_extra_that_is_not_installed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def without_deepgram(name: str) -> ModuleSpec | None:
        return None if name == "deepgram" else find_spec(name)

    monkeypatch.setattr("offhook.pipeline.providers.catalogue.find_spec", without_deepgram)
    told = lacking(assistant_from(**VENDORS), **KEYS)
    assert set(told) == {"transcriber.provider"}
    assert told["transcriber.provider"].endswith("Install it: pip install 'offhook[deepgram]'.")


@pytest.mark.parametrize(("cores", "recognisers"), [(1, 1), (2, 1), (4, 2), (64, catalogue.MOST_RECOGNISERS)])
async def test_there_is_a_recogniser_for_every_two_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, recognisers: int
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda pid: set(range(cores)), raising=False)
    making = Making(loop_clock(), lambda vendor: Account())
    pool = catalogue.transcriber(TranscriberChoice(), "en", making).lifecycle
    assert isinstance(pool, ModelPool)
    assert len(pool.processes) == recognisers
