"""Vendors in assistant files: what each can be asked for, and what is said about the rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.assistant import Assistant, ModelChoice
from offhook.config.assistant_loading import parse_assistant
from offhook.config.environment_texts import environment_lookup
from offhook.config.errors import ConfigError
from offhook.config.section import Section
from offhook.config.speech import TranscriberChoice, VoiceChoice
from offhook.config.vendors import FIELDS, Account, honoured_fields

DEEPGRAM = {"provider": "deepgram"}
FLUX = {"provider": "deepgram", "model": "flux-general-en"}
OPENAI = {"provider": "openai"}
ELEVEN = {"provider": "elevenlabs", "name": "21m00Tcm4TlvDq8ikWAM"}
INTENT = {"name": "i", "say": ["a", "b", "c"], "reply": "r"}


def parsed(**data: Any) -> Assistant:
    return parse_assistant({"name": "x", **data}, "a.yaml", environment_lookup({}, None))


def problems_of(**data: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parsed(**data)
    return {problem.key: f"{problem.message} {problem.fix}" for problem in caught.value.problems}


# ------------------------------------------------------- fields without a meaning

UNHONOURED = [
    ("transcriber", {**DEEPGRAM, "model_dir": "/"}, "model_dir", "it is for `embedded`"),
    (
        "transcriber",
        {**DEEPGRAM, "model": "nova-3", "eot_threshold": 0.7},
        "eot_threshold",
        "flux-general-en",
    ),
    ("transcriber", {**DEEPGRAM, "eager_eot_threshold": 0.4}, "eager_eot_threshold", "flux-general-en"),
    ("transcriber", {**DEEPGRAM, "eot_timeout_ms": 900}, "eot_timeout_ms", "other than Flux"),
    ("transcriber", {**FLUX, "smart_format": False}, "smart_format", "name a Nova model"),
    ("model", {**OPENAI, "intents": [INTENT]}, "intents", "it is for `embedded`"),
    ("model", {**OPENAI, "fallback": "Sorry?"}, "fallback", "means nothing to `openai`"),
    ("model", {**OPENAI, "floor": 0.5}, "floor", "means nothing to `openai`"),
]


@pytest.mark.parametrize(("stage", "section", "name", "words"), UNHONOURED)
def test_a_field_that_the_vendor_cannot_honour_is_an_error(
    stage: str, section: dict[str, Any], name: str, words: str
) -> None:
    told = problems_of(**{stage: section})
    assert set(told) == {f"{stage}.{name}"}
    assert words in told[f"{stage}.{name}"]


@pytest.mark.parametrize(("stage", "section", "name", "words"), UNHONOURED)
def test_so_it_is_in_a_fallback_and_its_place_is_named(
    stage: str, section: dict[str, Any], name: str, words: str
) -> None:
    told = problems_of(**{stage: {"fallbacks": [{"provider": "embedded"}, section]}})
    assert set(told) == {f"{stage}.fallbacks.1.{name}"}
    assert words in told[f"{stage}.fallbacks.1.{name}"]


def test_what_is_empty_or_assumed_anyway_asks_for_nothing() -> None:
    parsed(
        transcriber={**FLUX, "smart_format": True, "eot_threshold": None, "keyterms": []},
        model={**OPENAI, "intents": [], "floor": 0.22},
    )


def test_to_the_embedded_engines_a_vendors_field_is_a_notice_that_names_the_vendor() -> None:
    notices = " ".join(
        parsed(
            transcriber={"model": "nova-3", "keyterms": ["a"], "eot_threshold": 0.8},
            model={
                "base_url": "http://127.0.0.1:11434/v1",
                "fallbacks": [{"temperature": 1, "fallback": "s"}],
            },
            voice={"stability": 0.4, "speed": 1.2},
        ).notices
    )
    for told in (
        "transcriber.model has no effect on the embedded recogniser; it is for `deepgram`.",
        "transcriber.keyterms has no effect",
        "transcriber.eot_threshold has no effect",
        "model.base_url has no effect on the embedded model; it is for `openai`.",
        "model.fallbacks.0.temperature has no effect",
        "voice.stability has no effect on the embedded voice; it is for `elevenlabs`.",
    ):
        assert told in notices
    assert "speed" not in notices


def test_vendors_alone_have_no_notice() -> None:
    sentence = "Sorry, I cannot think right now."
    assert (
        parsed(
            instructions="Be kind.",
            transcriber={**DEEPGRAM, "model": "nova-3", "smart_format": False, "fallbacks": [{}]},
            model={**OPENAI, "temperature": 0.4, "max_tokens": 200, "fallbacks": [{"fallback": sentence}]},
            voice={**ELEVEN, "stability": 0.4, "optimize_streaming_latency": 3, "fallbacks": [{}]},
        ).notices
        == ()
    )


def test_an_embedded_model_without_intents_is_told_where_it_stands() -> None:
    notices = parsed(model={**OPENAI, "fallbacks": [{"provider": "embedded"}]}).notices
    assert any(notice.startswith("model.fallbacks.0.intents is empty") for notice in notices)


def test_instructions_are_read_where_any_language_model_may_answer() -> None:
    assert any(
        "instructions" in notice for notice in parsed(instructions="a", model={"intents": [INTENT]}).notices
    )
    later = parsed(instructions="a", model={"intents": [INTENT], "fallbacks": [OPENAI]})
    assert not any("instructions" in notice for notice in later.notices)


def test_the_intents_of_a_fallback_are_checked_like_any_others() -> None:
    lost = {"intents": [{**INTENT, "tool": "look_up"}, INTENT]}
    told = problems_of(model={**OPENAI, "fallbacks": [lost]})
    assert set(told) == {"model.fallbacks.0.intents.0.tool", "model.fallbacks.0.intents.1.name"}


@pytest.mark.parametrize(
    ("stage", "kind"), [("transcriber", TranscriberChoice), ("model", ModelChoice), ("voice", VoiceChoice)]
)
def test_every_field_has_somebody_who_honours_it(stage: str, kind: type[Section]) -> None:
    honoured = frozenset[str]().union(*FIELDS[stage].values())
    assert honoured == set(kind.model_fields) - {"provider"}
    assert honoured_fields(stage, "nobody", "") is None


# ------------------------------------------------------------------------- values


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"eager_eot_threshold": 0.8, "eot_threshold": 0.6}, "above the eot_threshold of 0.6"),
        ({"eager_eot_threshold": 0.8}, "Write at most 0.7."),
    ],
)
def test_an_eager_end_is_never_surer_than_the_end(fields: dict[str, Any], words: str) -> None:
    assert words in problems_of(transcriber={**FLUX, **fields})["transcriber.eager_eot_threshold"]


@given(st.floats(0.5, 1), st.floats(0.3, 0.9))
def test_thresholds_are_taken_exactly_when_they_are_in_order(sure: float, eager: float) -> None:
    section = {**FLUX, "eot_threshold": sure, "eager_eot_threshold": eager}
    try:
        taken = bool(parsed(transcriber=section))
    except ConfigError:
        taken = False
    assert taken == (eager <= sure)


def test_the_english_flux_model_is_not_asked_for_another_language() -> None:
    vendors = {"language": "de", "model": OPENAI, "voice": ELEVEN}
    assert "flux-general-multi" in problems_of(transcriber=FLUX, **vendors)["transcriber.model"]
    backed = {**DEEPGRAM, "fallbacks": [FLUX]}
    assert set(problems_of(transcriber=backed, **vendors)) == {"transcriber.fallbacks.0.model"}
    parsed(transcriber={**FLUX, "model": "flux-general-multi"}, **vendors)
    parsed(transcriber=FLUX, language="en-GB")


def test_a_voice_model_that_cannot_stream_is_refused() -> None:
    told = problems_of(voice={**ELEVEN, "fallbacks": [{**ELEVEN, "model": "eleven_v3"}]})
    assert "eleven_flash_v2_5" in told["voice.fallbacks.0.model"]


def test_an_english_voice_is_not_asked_for_another_language() -> None:
    vendors = {"transcriber": DEEPGRAM, "model": OPENAI, "voice": {**ELEVEN, "model": "eleven_flash_v2"}}
    assert "eleven_flash_v2_5" in problems_of(language="nl", **vendors)["voice.model"]
    parsed(language="en-AU", **vendors)


def test_a_fallback_that_says_the_same_is_told() -> None:
    notices = parsed(voice={**ELEVEN, "fallbacks": [{}, ELEVEN, {"speed": 1.0}]}).notices
    assert [notice.split()[0] for notice in notices if "stands in for nobody" in notice] == [
        "voice.fallbacks.1",
        "voice.fallbacks.2",
    ]


def test_a_language_is_checked_with_every_provider() -> None:
    told = problems_of(language="fr", transcriber={**DEEPGRAM, "fallbacks": [{}]}, model=OPENAI)
    assert set(told) == {"language", "transcriber.fallbacks.0.provider"}
    assert "the embedded voice" in told["language"]
    assert "transcriber.fallbacks.0 out" in told["transcriber.fallbacks.0.provider"]


def test_more_fallbacks_than_eight_are_refused() -> None:
    assert "9 items" in problems_of(voice={"fallbacks": [{}] * 9})["voice.fallbacks"]


# ------------------------------------------------------------------------ secrets


def test_a_key_is_in_no_text_of_the_choice_or_the_account() -> None:
    choice = parsed(model={**OPENAI, "base_url": "https://m.example/v1", "api_key": "s3cret"}).model
    account = Account(choice.api_key, "https://m.example/v1")
    for text in (repr(choice), str(choice), repr(choice.choices), choice.model_dump_json(), repr(account)):
        assert "s3cret" not in text
    assert choice.choices[0].api_key is not None
    assert choice.choices[0].api_key.get_secret_value() == "s3cret"


def test_a_key_of_the_wrong_kind_is_not_quoted() -> None:
    told = problems_of(model={**OPENAI, "api_key": ["s3cret"], "base_url": "ws://u:s3cret@x"})
    assert set(told) == {"model.api_key", "model.base_url"}
    assert "s3cret" not in str(told)
