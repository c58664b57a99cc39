"""What an emulated Deepgram may be asked for in the query of a connection."""

from __future__ import annotations

__all__ = ["Asked", "asked"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from multidict import MultiMapping

from offhook.codecs.audio_format import AudioFormat

Check = Callable[[str], bool]


def _is_a_switch(text: str) -> bool:
    return text in ("true", "false")


def _anything(text: str) -> bool:
    return bool(text)


def _within(low: float, high: float) -> Check:
    def check(text: str) -> bool:
        try:
            return low <= float(text) <= high
        except ValueError:
            return False

    return check


def _one_of(*values: str) -> Check:
    return lambda text: text in values


def _begins_with(*beginnings: str) -> Check:
    return lambda text: text.startswith(beginnings)


def _is_endpointing(text: str) -> bool:
    return text == "false" or text.isdecimal()


_SWITCHES_V1 = (
    *(
        "detect_entities",
        "diarize",
        "dictation",
        "interim_results",
        "mip_opt_out",
        "multichannel",
        "numerals",
    ),
    *("profanity_filter", "punctuate", "smart_format", "vad_events"),
)
_TEXTS_V1 = (
    *("callback", "callback_method", "diarize_model", "extra", "keyterm", "keywords", "language"),
    *("language_hint", "redact", "replace", "search", "tag", "version"),
)
_HEARD: Mapping[str, Check] = {
    "encoding": _one_of("mulaw", "linear16"),
    "sample_rate": _one_of("8000", "16000"),
}
"""The vendor takes more; what this one cannot hear it refuses."""
KNOWN: Mapping[str, Mapping[str, Check]] = {
    "v1": {
        **dict.fromkeys(_SWITCHES_V1, _is_a_switch),
        **dict.fromkeys(_TEXTS_V1, _anything),
        **_HEARD,
        "channels": _one_of("1"),
        "endpointing": _is_endpointing,
        "model": _begins_with("nova", "enhanced", "base"),
        "utterance_end_ms": _within(1000, 5000),
    },
    "v2": {
        **dict.fromkeys(("mip_opt_out", "numerals", "profanity_filter"), _is_a_switch),
        **dict.fromkeys(("keyterm", "language_hint", "redact", "tag"), _anything),
        **_HEARD,
        "eager_eot_threshold": _within(0.3, 0.9),
        "eot_threshold": _within(0.5, 1.0),
        "eot_timeout_ms": _within(500, 60_000),
        "model": _one_of("flux-general-en", "flux-general-multi"),
    },
}
REPEATED = frozenset(("extra", "keyterm", "keywords", "language_hint", "redact", "replace", "search", "tag"))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a connection asks for."""

    values: Mapping[str, tuple[str, ...]]
    wrong: str = ""
    """What the vendor refuses, in words; empty if it is all right."""

    def text(self, name: str, default: str = "") -> str:
        """The value of a name that stands once."""
        return self.values.get(name, (default,))[0]

    def number(self, name: str, default: float) -> float:
        """The same as a number."""
        return float(self.text(name, str(default)))

    @property
    def audio_format(self) -> AudioFormat:
        """What the audio will be."""
        encoding = self.text("encoding")
        return AudioFormat("mulaw" if encoding == "mulaw" else "pcm16", int(self.number("sample_rate", 8000)))


def asked(query: MultiMapping[str], version: str) -> Asked:
    """Read a query, and find what is wrong with it."""
    values = {name: tuple(query.getall(name)) for name in query}
    return Asked(values, _wrong(values, KNOWN[version]))


def _wrong(values: Mapping[str, tuple[str, ...]], known: Mapping[str, Check]) -> str:
    for name, given in values.items():
        if name not in known:
            return f"Unknown query parameter: {name}"
        if len(given) > 1 and name not in REPEATED:
            return f"Query parameter given twice: {name}"
        if not all(known[name](value) for value in given):
            return f"Invalid value of query parameter: {name}"
    missing = [name for name in ("model", "encoding", "sample_rate") if name not in values]
    if missing:
        return f"Missing query parameter: {missing[0]}"
    return _contradiction(values)


def _contradiction(values: Mapping[str, tuple[str, ...]]) -> str:
    model = values["model"][0]
    if "keyterm" in values and not model.startswith(("nova-3", "flux")):
        return "keyterm needs nova-3 or flux"
    if "keywords" in values and model.startswith("nova-3"):
        return "keywords does not go with nova-3: use keyterm"
    if "language_hint" in values and model == "flux-general-en":
        return "language_hint needs a multilingual model"
    if "utterance_end_ms" in values and values.get("interim_results") != ("true",):
        return "utterance_end_ms needs interim_results"
    return ""
