"""ElevenLabs' voices: a call's clauses through a socket of its own, single phrases through the SDK."""

from __future__ import annotations

__all__ = ["ElevenLabsVoice"]

import asyncio
import base64
import ssl
from collections.abc import AsyncGenerator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from offhook.codecs.audio_format import MULAW_8K
from offhook.config.errors import ProviderError, ProviderRefused, ProviderTimeout
from offhook.config.speech import VoiceChoice
from offhook.config.vendors import Account

from ..clock import Clock
from ..ports import SpokenAudio, VoiceStream
from .elevenlabs_clause import Clause, SpokenCharacters
from .elevenlabs_options import OUTPUT_FORMAT, VENDOR, SpeechOptions, error_of_status, speech_options

if TYPE_CHECKING:
    import httpx
    from elevenlabs.client import AsyncElevenLabs

CONNECT_WITHIN_S = 4.0
PHRASE_WITHIN_S = 20.0
CLOSE_WITHIN_S = 2.0


class ElevenLabsVoice:
    """Speaks through the multi-context WebSocket, one for each call; implements `Voice`."""

    audio_format = MULAW_8K

    def __init__(self, choice: VoiceChoice, language: str, account: Account, clock: Clock) -> None:
        self._options = speech_options(choice, language, account)
        self._clock = clock
        self._tls: ssl.SSLContext | None = None
        self._http: httpx.AsyncClient | None = None
        self._client: AsyncElevenLabs | None = None

    @property
    def takes_jobs(self) -> bool:
        """It was started."""
        return self._client is not None

    async def start(self) -> None:
        """Import the SDK and make its client. Raises ProviderRefused for a model that cannot serve a call."""
        if self._options.unusable:
            raise ProviderRefused(VENDOR, self._options.unusable)
        if self._client is None:
            self._tls, self._http, self._client = await asyncio.to_thread(_make_client, self._options)

    async def close(self) -> None:
        """Close the connections of single phrases; calls close their own."""
        http, self._http, self._client = self._http, None, None
        if http is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await http.aclose()

    def open(self) -> VoiceStream:
        """Start one call's use of it; never waits."""
        from .elevenlabs_stream import ElevenLabsStream

        return ElevenLabsStream(self._options, self._tls, self._clock)

    async def speak(self, text: str) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the speech of a phrase that belongs to no call. Raises ProviderError."""
        if not any(sign.isalnum() for sign in text):
            return
        clause = Clause(text, 0, lambda: None)
        clause.add(*_audio_of(await self._request(text)))
        while (piece := clause.take()) is not None:
            yield piece

    async def _request(self, text: str) -> Any:
        if self._client is None:
            raise ProviderError(VENDOR, "the voice was not started")
        import httpx
        from elevenlabs.core.api_error import ApiError
        from elevenlabs.types import VoiceSettings

        options = self._options
        told: dict[str, Any] = {"language_code": options.language_code} if options.language_code else {}
        if options.voice_settings:
            told["voice_settings"] = VoiceSettings.model_validate(options.voice_settings)
        try:
            async with asyncio.timeout(PHRASE_WITHIN_S):
                return await self._client.text_to_speech.convert_with_timestamps(
                    options.voice_id,
                    text=text,
                    model_id=options.model_id,
                    output_format=OUTPUT_FORMAT,
                    optimize_streaming_latency=options.optimize_streaming_latency,
                    request_options={"max_retries": 0},
                    **told,
                )
        except (TimeoutError, httpx.TimeoutException):
            raise ProviderTimeout(VENDOR, f"a phrase was not spoken within {PHRASE_WITHIN_S:g} s") from None
        except ApiError as error:
            # Not chained: the SDK's error shows headers.
            told_after = (error.headers or {}).get("retry-after")
            raise error_of_status(error.status_code or 0, told_after) from None
        except httpx.HTTPError:
            raise ProviderError(VENDOR, "a phrase's answer broke off") from None
        except (TypeError, ValueError, AttributeError):
            # The SDK builds its models from whatever JSON it gets.
            raise ProviderError(VENDOR, "a phrase's answer could not be read") from None


def _make_client(options: SpeechOptions) -> tuple[ssl.SSLContext, httpx.AsyncClient, AsyncElevenLabs]:
    """Import what is slow to import, read the certificates, and make a client; for a thread."""
    import httpx
    from elevenlabs.client import AsyncElevenLabs

    from . import elevenlabs_stream  # noqa: F401  (it imports the socket library)

    tls = httpx.create_ssl_context()
    # Neither proxies nor redirects: the key goes to this address and to no other.
    http = httpx.AsyncClient(
        verify=tls,
        timeout=httpx.Timeout(PHRASE_WITHIN_S, connect=CONNECT_WITHIN_S),
        follow_redirects=False,
        trust_env=False,
    )
    key = options.key.get_secret_value() if options.key is not None else ""
    return (
        tls,
        http,
        AsyncElevenLabs(api_key=key, base_url=options.base_url, timeout=PHRASE_WITHIN_S, httpx_client=http),
    )


def _audio_of(answer: Any) -> tuple[bytes, SpokenCharacters | None]:
    """Read an answer of the SDK, which checks none of its fields. Raises ProviderError."""
    try:
        audio = base64.b64decode(answer.audio_base_64, validate=True)
        if (times := answer.alignment) is None:
            return audio, None
        starts_s = [float(start) for start in times.character_start_times_seconds]
        ends_s = [float(end) for end in times.character_end_times_seconds]
        return audio, SpokenCharacters([str(sign) for sign in times.characters], starts_s, ends_s)
    except (AttributeError, TypeError, ValueError):
        raise ProviderError(VENDOR, "a phrase's answer could not be read") from None
