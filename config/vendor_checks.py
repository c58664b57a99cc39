"""Whether what an assistant file asks of its vendors is something that they can do.

A field that a vendor cannot honour is an error: whoever wrote it counts on it. To the embedded engines it is
without effect, which is told, so that one file serves with a vendor and without.
"""

from __future__ import annotations

__all__ = [
    "VendorChoice",
    "idle_fallbacks",
    "ineffective_fields",
    "vendor_choices",
    "vendor_inconsistencies",
]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

from .assistant import Assistant, ModelChoice
from .documents import KeyPath
from .section import Section
from .speech import TranscriberChoice, VoiceChoice
from .vendors import FIELDS, honoured_fields, is_flux

_CHOICES: Mapping[str, type[Section]] = {
    "transcriber": TranscriberChoice,
    "model": ModelChoice,
    "voice": VoiceChoice,
}
_ENGINES = {"transcriber": "recogniser", "model": "model", "voice": "voice"}
_FLUX_EOT_THRESHOLD = 0.7
"""What counts where none is written (Deepgram documentation: Flux, end-of-turn configuration)."""
_NO_CONTEXTS = ("eleven_v3",)
"""Models without the multi-context WebSocket (ElevenLabs documentation: Multi-Context WebSocket)."""
_ENGLISH_VOICES = ("eleven_flash_v2", "eleven_turbo_v2", "eleven_monolingual_v1")
"""ElevenLabs documentation: Models, supported languages."""


@dataclass(frozen=True, slots=True)
class VendorChoice:
    """One provider of a stage, as an assistant file writes it."""

    stage: str
    path: KeyPath
    data: dict[str, Any]
    """Its fields in our own names; only what the file holds."""

    @property
    def provider(self) -> str:
        """Whom it names; empty where that is no name at all."""
        provider = self.data.get("provider", "embedded")
        return provider if isinstance(provider, str) else ""

    @property
    def model(self) -> str:
        """The recogniser's or voice's model; empty where none is named."""
        model = self.data.get("model", "")
        return model if isinstance(model, str) else ""

    @property
    def place(self) -> str:
        """Its path as it is said: "voice.fallbacks.0"."""
        return ".".join(map(str, self.path))

    def unhonoured(self) -> Iterator[str]:
        """Name the fields that are written here and mean nothing to the provider.

        What is empty, or just what is assumed anyway, asks for nothing.
        """
        honoured = honoured_fields(self.stage, self.provider, self.model)
        if honoured is None:
            return  # nobody knows this provider, which is told anyway
        for name, field in _CHOICES[self.stage].model_fields.items():
            asked = name in self.data and self.data[name] not in (None, "", [], (), {}, field.default)
            if asked and name != "provider" and name not in honoured:
                yield name


def vendor_choices(data: Mapping[str, Any]) -> Iterator[VendorChoice]:
    """Yield every provider of every stage in an assistant's data, the preferred one of each stage first."""
    for stage in FIELDS:
        section = data.get(stage, {})
        if not isinstance(section, dict):
            continue
        yield VendorChoice(stage, (stage,), section)
        fallbacks = section.get("fallbacks")
        for index, choice in enumerate(fallbacks if isinstance(fallbacks, list) else ()):
            if isinstance(choice, dict):
                yield VendorChoice(stage, (stage, "fallbacks", index), choice)


def ineffective_fields(assistant: Assistant) -> Iterator[str]:
    """Yield a sentence for every field of an embedded engine that changes nothing."""
    for choice in _choices_of(assistant):
        for name in choice.unhonoured() if choice.provider == "embedded" else ():
            others = " or ".join(f"`{other}`" for other in _honouring(choice.stage, name))
            told = f"{choice.place}.{name} has no effect on the embedded {_ENGINES[choice.stage]}"
            yield f"{told}; it is for {others}." if others else f"{told}."


def idle_fallbacks(assistant: Assistant) -> Iterator[str]:
    """Yield a sentence for every fallback that would fail together with what it stands behind."""
    for stage in FIELDS:
        choices = getattr(assistant, stage).choices
        for index, choice in enumerate(choices[1:]):
            if choice in choices[: index + 1]:
                yield f"{stage}.fallbacks.{index} says the same as one before it, and stands in for nobody."


def _choices_of(assistant: Assistant) -> Iterator[VendorChoice]:
    for stage in FIELDS:
        section = getattr(assistant, stage)
        yield VendorChoice(stage, (stage,), _written(section))
        for index, choice in enumerate(section.fallbacks):
            yield VendorChoice(stage, (stage, "fallbacks", index), _written(choice))


def _written(section: Section) -> dict[str, Any]:
    return {name: getattr(section, name) for name in section.model_fields_set}


def vendor_inconsistencies(data: Mapping[str, Any]) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield (path, message, fix) for all that no vendor could carry out, or not this one."""
    language = data.get("language", "en")
    for choice in vendor_choices(data):
        if choice.provider != "embedded":
            yield from _fields_it_cannot_honour(choice)
        if choice.stage == "transcriber" and choice.provider == "deepgram":
            yield from _flux_rules(choice, language)
        if choice.stage == "voice" and choice.provider == "elevenlabs":
            yield from _elevenlabs_rules(choice, language)
    yield from _languages_not_spoken(data, language)


def _fields_it_cannot_honour(choice: VendorChoice) -> Iterator[tuple[KeyPath, str, str]]:
    for name in choice.unhonoured():
        yield (*choice.path, name), f"means nothing to {_who(choice)}.", _fix(choice, name)


def _who(choice: VendorChoice) -> str:
    if choice.provider == "deepgram" and choice.stage == "transcriber":
        return "Deepgram's Flux models" if is_flux(choice.model) else "Deepgram's models other than Flux"
    return f"`{choice.provider}`"


def _fix(choice: VendorChoice, name: str) -> str:
    for model, words in (
        ("flux", "name a Flux model, as `flux-general-en`"),
        ("", "name a Nova model, as `nova-3`"),
    ):
        honoured = honoured_fields(choice.stage, choice.provider, model)
        if choice.stage == "transcriber" and honoured is not None and name in honoured:
            return f"Leave it out, or {words}."
    others = " or ".join(f"`{other}`" for other in _honouring(choice.stage, name))
    return f"Leave it out; it is for {others}." if others else "Leave it out."


def _honouring(stage: str, name: str) -> list[str]:
    """Name the providers of a stage that honour a field; Flux is Deepgram's."""
    names = [provider for provider, fields in FIELDS[stage].items() if name in fields]
    return list(dict.fromkeys(provider.split()[0] for provider in names))


def _flux_rules(choice: VendorChoice, language: Any) -> Iterator[tuple[KeyPath, str, str]]:
    """Deepgram documentation: Flux, end-of-turn configuration and language prompting."""
    if not is_flux(choice.model):
        return
    eager, sure = choice.data.get("eager_eot_threshold"), choice.data.get("eot_threshold")
    limit = _FLUX_EOT_THRESHOLD if sure is None else sure
    if _is_number(eager) and _is_number(limit) and eager > limit:
        message = f"is {eager:g}, above the eot_threshold of {limit:g}: a turn is sure to be over by then."
        yield (*choice.path, "eager_eot_threshold"), message, f"Write at most {limit:g}."
    if choice.model.endswith("-en") and not _is_english(language):
        yield _english_only(choice, language, "Write `flux-general-multi`.")


def _elevenlabs_rules(choice: VendorChoice, language: Any) -> Iterator[tuple[KeyPath, str, str]]:
    if choice.model in _NO_CONTEXTS:
        message = f"`{choice.model}` speaks only whole texts, and a reply is spoken while it is made."
        yield (*choice.path, "model"), message, "Write `eleven_flash_v2_5`."
    if choice.model in _ENGLISH_VOICES and not _is_english(language):
        yield _english_only(choice, language, "Write `eleven_flash_v2_5`.")


def _english_only(choice: VendorChoice, language: Any, fix: str) -> tuple[KeyPath, str, str]:
    message = f"`{choice.model}` knows English only, and the assistant's language is `{language}`."
    return (*choice.path, "model"), message, fix


def _languages_not_spoken(data: Mapping[str, Any], language: Any) -> Iterator[tuple[KeyPath, str, str]]:
    if _is_english(language):
        return
    embedded = [choice for choice in vendor_choices(data) if choice.provider == "embedded"]
    preferred = [choice.stage for choice in embedded if len(choice.path) == 1]
    if preferred:
        message = f"`{language}` is beyond the embedded {', '.join(preferred)}: these know English only."
        yield ("language",), message, "Write `language: en`."
    for choice in embedded:
        if len(choice.path) > 1:
            message = (
                f"is `embedded`, which knows English only, and the assistant's language is `{language}`."
            )
            fix = f"Leave {choice.place} out, or name another provider there."
            yield (*choice.path, "provider"), message, fix


def _is_english(language: Any) -> bool:
    """Or it is no language at all, which is told anyway."""
    return not isinstance(language, str) or language.lower().split("-")[0] == "en"


def _is_number(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool)
