"""What listeners say over a speaker, per language: backchannels, words that take the turn, mere hesitation.

An assistant file replaces the lists below by a list, or for single languages by a mapping of language tags.
"""

from __future__ import annotations

__all__ = ["BACKCHANNELS", "IGNORED", "STOP_WORDS", "Phrases", "by_language", "phrases_for", "plain_phrases"]

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

ANY_LANGUAGE = "*"
PhraseList = Annotated[tuple[str, ...], Field(max_length=500)]
Tag = Annotated[str, Field(pattern=r"^(\*|[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*)$")]
Phrases = Annotated[dict[Tag, PhraseList], Field(max_length=50)]
"""Lists by language tag; `*` is every language that has none of its own."""

BACKCHANNELS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "yeah", "yep", "yes", "uh-huh", "uh huh", "mm-hmm", "mm hmm", "mhm", "mm", "hmm", "huh", "okay",
        "ok", "right", "all right", "alright", "sure", "i see", "got it", "oh", "ah", "aha", "cool", "great",
        "good", "nice", "fine", "wow", "really", "of course", "exactly", "true", "makes sense", "go on",
        "thanks", "thank you",
    ),
    "de": (
        "ja", "jaja", "jawohl", "genau", "mhm", "hm", "okay", "ok", "gut", "alles klar", "klar", "richtig",
        "stimmt", "ach so", "aha", "ah", "oh", "verstehe", "ich verstehe", "super", "prima", "schön", "toll",
        "na gut", "danke", "vielen dank",
    ),
    "es": (
        "sí", "si", "ajá", "aja", "mhm", "vale", "claro", "bueno", "ok", "okay", "de acuerdo", "entiendo",
        "ya", "ya veo", "perfecto", "muy bien", "bien", "exacto", "cierto", "ah", "oh", "gracias",
        "muchas gracias",
    ),
    "fr": (
        "oui", "ouais", "mhm", "hm", "d'accord", "ok", "okay", "bien", "très bien", "ah bon", "je vois",
        "je comprends", "bien sûr", "exactement", "voilà", "c'est ça", "ah", "oh", "super", "parfait",
        "merci", "merci beaucoup",
    ),
    "it": (
        "sì", "si", "mhm", "ok", "okay", "va bene", "bene", "certo", "capisco", "ho capito", "esatto",
        "giusto", "perfetto", "ah", "oh", "davvero", "grazie", "grazie mille",
    ),
    "nl": (
        "ja", "jaja", "mhm", "hm", "oké", "ok", "okay", "goed", "prima", "precies", "klopt", "ik snap het",
        "natuurlijk", "ah", "oh", "leuk", "bedankt", "dank u", "dank je",
    ),
    "pt": (
        "sim", "mhm", "ok", "okay", "tá", "tá bom", "está bem", "certo", "claro", "entendi", "entendo",
        "pois", "pois é", "exato", "perfeito", "ah", "oh", "obrigado", "obrigada",
    ),
}  # fmt: skip
"""Words of a listener who wants the speaker to go on."""

STOP_WORDS: Mapping[str, tuple[str, ...]] = {
    "en": (
        "stop", "wait", "hold on", "hang on", "no", "nope", "one moment", "one second", "just a second",
        "just a moment", "pause", "quiet", "be quiet", "shut up", "enough", "excuse me", "sorry", "actually",
        "cancel", "never mind", "hello",
    ),
    "de": (
        "stopp", "stop", "halt", "warte", "warten sie", "moment", "einen moment", "sekunde", "nein", "nee",
        "ruhe", "genug", "entschuldigung", "abbrechen", "hallo", "aber",
    ),
    "es": (
        "para", "pare", "alto", "espera", "espere", "un momento", "un segundo", "no", "basta", "silencio",
        "perdón", "disculpe", "cancela", "cancelar", "hola", "pero",
    ),
    "fr": (
        "stop", "arrête", "arrêtez", "attends", "attendez", "un moment", "un instant", "une seconde", "non",
        "silence", "assez", "pardon", "excusez-moi", "annule", "annulez", "allô", "mais",
    ),
    "it": (
        "stop", "basta", "aspetta", "aspetti", "un momento", "un attimo", "un secondo", "no", "silenzio",
        "scusi", "scusa", "annulla", "pronto", "ma",
    ),
    "nl": (
        "stop", "wacht", "wacht even", "moment", "een moment", "momentje", "nee", "stil", "genoeg", "sorry",
        "pardon", "annuleer", "hallo", "maar",
    ),
    "pt": (
        "para", "pare", "espera", "espere", "um momento", "um segundo", "não", "chega", "silêncio",
        "desculpe", "desculpa", "cancela", "cancelar", "alô", "mas",
    ),
}  # fmt: skip
"""Words that always take the turn."""

IGNORED: Mapping[str, tuple[str, ...]] = {
    "en": ("um", "uh", "er", "erm", "uhm"),
    "de": ("äh", "ähm", "öh", "öhm"),
    "es": ("eh", "em", "este"),
    "fr": ("euh", "heu"),
    "it": ("ehm", "eh"),
    "nl": ("eh", "ehm", "uh", "uhm"),
    "pt": ("é", "hã", "hum", "ahn"),
}  # fmt: skip
"""Hesitation: alone it is neither an answer nor an interruption."""


def by_language(written: Any) -> Any:
    """Take a plain list as the one for every language."""
    return {ANY_LANGUAGE: written} if isinstance(written, list | tuple) else written


def plain_phrases(phrases: Phrases) -> Phrases:
    """Lower-case, single-spaced and each once, so that matching need not care."""
    return {
        tag.lower(): tuple(
            dict.fromkeys(" ".join(phrase.lower().split()) for phrase in words if phrase.strip())
        )
        for tag, words in phrases.items()
    }


def phrases_for(language: str, written: Phrases, built_in: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Find the list for a language tag: "de-AT" falls back on "de", then on `*`, then on what is built in."""
    tag = language.lower()
    primary = tag.partition("-")[0]
    found = (written.get(each) for each in (tag, primary, ANY_LANGUAGE))
    return next((phrases for phrases in found if phrases is not None), built_in.get(primary, ()))
