"""Which field of an assistant file means something to which provider, and how a vendor is reached.

A field that a vendor cannot honour is refused where it is written; to the embedded engines it is without
effect, which is told. `pipeline.providers` carries out what stands here, a file for each vendor.
"""

from __future__ import annotations

__all__ = ["FIELDS", "KEY_VARIABLES", "Account", "honoured_fields", "is_flux"]

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import SecretStr

FIELDS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "transcriber": {
        "embedded": frozenset(("model_dir",)),
        "deepgram": frozenset(("model", "smart_format", "keyterms")),
        "deepgram flux": frozenset(
            ("model", "keyterms", "eot_threshold", "eager_eot_threshold", "eot_timeout_ms")
        ),
    },
    "model": {
        "embedded": frozenset(("intents", "fallback", "floor")),
        "openai": frozenset(
            (
                *("name", "base_url", "api_key", "temperature", "max_tokens"),
                *("reasoning_effort", "first_token_ms"),
            )
        ),
    },
    "voice": {
        "embedded": frozenset(("name", "speed")),
        "elevenlabs": frozenset(
            ("name", "model", "speed", "stability", "similarity_boost", "optimize_streaming_latency")
        ),
    },
}
"""Stage -> provider -> its fields beside `provider` and `fallbacks`; Flux is a turn-taking model."""

KEY_VARIABLES: Mapping[str, str] = {
    "deepgram": "DEEPGRAM_API_KEY",
    "openai": "OPENAI_API_KEY",
    "elevenlabs": "ELEVENLABS_API_KEY",
}


@dataclass(frozen=True, slots=True)
class Account:
    """How this server reaches a vendor."""

    key: SecretStr | None = None
    base_url: str | None = None
    """None: the vendor's own address."""


def is_flux(model: str) -> bool:
    """Tell whether a model of Deepgram's is one that takes turns itself."""
    return model.startswith("flux")


def honoured_fields(stage: str, provider: str, model: str) -> frozenset[str] | None:
    """Name the fields that a provider honours in a stage, or None for one that does not serve it."""
    if provider == "deepgram" and is_flux(model):
        provider = "deepgram flux"
    return FIELDS[stage].get(provider)
