"""What an assistant file says about an ElevenLabs voice, in the vendor's words; its errors in ours."""

from __future__ import annotations

__all__ = ["BASE_URL", "VENDOR", "SpeechOptions", "error_of_code", "error_of_status", "speech_options"]

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

from pydantic import SecretStr

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused
from offhook.config.speech import VoiceChoice
from offhook.config.vendors import Account

VENDOR = "elevenlabs"
BASE_URL = "https://api.elevenlabs.io"
DEFAULT_MODEL = "eleven_flash_v2_5"
OUTPUT_FORMAT = "ulaw_8000"
INACTIVITY_S = 180
"""The longest that a context may be idle (ElevenLabs documentation: multi-context WebSocket)."""
_SINGLE_CONTEXT = "eleven_v3"
_CODE = re.compile(r"[a-z0-9_]{1,48}")
_REFUSING = re.compile(
    r"api_key|unauthor|permission|quota|payment|not_exist|not_found|unsupported|output_format"
)
_BUSY = re.compile(r"busy|too_many|rate_limit|max_active|concurren")


@dataclass(frozen=True, slots=True)
class SpeechOptions:
    """How a voice speaks, as the vendor's API spells it."""

    base_url: str
    voice_id: str
    model_id: str
    language_code: str | None
    """ISO 639-1; None: the vendor hears it from the text."""
    optimize_streaming_latency: int | None
    voice_settings: Mapping[str, float]
    """Only what the assistant file sets."""
    key: SecretStr | None = field(repr=False)

    @property
    def unusable(self) -> str:
        """Why these options can never work, with the fix; empty if they can."""
        if self.key is None:
            return "no key is known; set ELEVENLABS_API_KEY"
        if self.model_id.startswith(_SINGLE_CONTEXT):
            return f"{self.model_id} cannot speak clause by clause; write `model: {DEFAULT_MODEL}`"
        return ""

    @property
    def socket_url(self) -> str:
        """Where the multi-context WebSocket is; the key is no part of it."""
        query: dict[str, str | int] = {
            "model_id": self.model_id,
            "output_format": OUTPUT_FORMAT,
            "auto_mode": "true",
            "sync_alignment": "true",
            "inactivity_timeout": INACTIVITY_S,
        }
        if self.language_code is not None:
            query["language_code"] = self.language_code
        if self.optimize_streaming_latency is not None:
            query["optimize_streaming_latency"] = self.optimize_streaming_latency
        voice = f"{re.sub('^http', 'ws', self.base_url)}/v1/text-to-speech/{quote(self.voice_id, safe='')}"
        return f"{voice}/multi-stream-input?{urlencode(query)}"


def speech_options(choice: VoiceChoice, language: str, account: Account) -> SpeechOptions:
    """Translate a voice of an assistant file."""
    settings = {
        "stability": choice.stability,
        "similarity_boost": choice.similarity_boost,
        "speed": None if choice.speed == 1.0 else choice.speed,
    }
    model_id = choice.model or DEFAULT_MODEL
    code = language.split("-")[0].lower()
    # ElevenLabs API reference: `language_code` is not supported for multilingual_v2 models.
    told = code != "en" and "multilingual_v2" not in model_id
    return SpeechOptions(
        (account.base_url or BASE_URL).rstrip("/"),
        choice.name,
        model_id,
        code if told else None,
        choice.optimize_streaming_latency,
        {name: value for name, value in settings.items() if value is not None},
        account.key,
    )


def error_of_status(status: int, retry_after: str | None = None) -> ProviderError:
    """Say what an HTTP status means; `retry_after` is that header."""
    reason = f"HTTP {status}"
    if status in (408, 425, 429) or status >= 500:
        seconds = retry_after if retry_after and re.fullmatch(r"\d{1,4}(\.\d+)?", retry_after) else None
        return ProviderBusy(VENDOR, reason, None if seconds is None else float(seconds))
    if 200 <= status < 300:
        return ProviderError(VENDOR, "an answer could not be read")
    return ProviderRefused(VENDOR, reason) if 400 <= status < 500 else ProviderError(VENDOR, reason)


def error_of_code(code: str) -> ProviderError:
    """Say what the `error` of the vendor's own error message means; nothing else of the message is kept."""
    known = code if _CODE.fullmatch(code) else "error"
    # First, for "max_active_conversations" and its like pass by themselves.
    if _BUSY.search(known):
        return ProviderBusy(VENDOR, known)
    return ProviderRefused(VENDOR, known) if _REFUSING.search(known) else ProviderError(VENDOR, known)
