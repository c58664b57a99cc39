"""Deepgram's recognisers, through the vendor's SDK: Nova on `/v1/listen`, Flux on `/v2/listen`."""

from __future__ import annotations

__all__ = ["DeepgramStream", "DeepgramTranscriber"]

import asyncio
import warnings
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, aclosing, suppress
from typing import TYPE_CHECKING, Any

from offhook.codecs.audio_format import MULAW_8K
from offhook.config.errors import ProviderError
from offhook.config.speech import TranscriberChoice
from offhook.config.vendors import Account

from ..clock import Clock
from ..ports import Transcript
from .deepgram_dialect import VENDOR, Dialect
from .deepgram_flux import Flux
from .deepgram_nova import Nova

if TYPE_CHECKING:
    from deepgram import AsyncDeepgramClient

GOODBYE_WITHIN_S = 0.2
MALFORMED = (AttributeError, IndexError, KeyError, TypeError, ValueError)
"""What comes of using a message that does not have its form: the SDK hands them on unchecked."""


class DeepgramTranscriber:
    """Recognises speech at Deepgram's; implements `Transcriber`."""

    audio_format = MULAW_8K

    def __init__(self, choice: TranscriberChoice, language: str, account: Account, clock: Clock) -> None:
        self._choice, self._language, self._account, self._clock = choice, language, account, clock
        self._client: AsyncDeepgramClient | None = None

    @property
    def takes_jobs(self) -> bool:
        """It was started."""
        return self._client is not None

    async def start(self) -> None:
        """Import the SDK and make its client; nothing is connected. Raises ProviderError without the SDK."""
        self._client = await asyncio.to_thread(_client, self._account)

    async def close(self) -> None:
        """Let go of the client; connections belong to the streams."""
        self._client = None

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> DeepgramStream:
        """Start a stream whose first pushed byte lies at `begins_at_s` of the caller's audio."""
        speaks = Flux if self._choice.model.startswith("flux") else Nova
        dialect: Dialect = speaks(
            self._choice,
            self._language,
            connection=connection,
            begins_at_s=begins_at_s,
            now=self._clock.now(),
        )
        return DeepgramStream(self._connect, dialect, self._clock, on_transcript)

    def _connect(self, dialect: Dialect) -> AbstractAsyncContextManager[Any]:
        if self._client is None:
            raise ProviderError(VENDOR, "it was not started")
        connection: AbstractAsyncContextManager[Any] = getattr(self._client.listen, dialect.version).connect(
            **dialect.query
        )
        return connection


class DeepgramStream:
    """One caller's audio on its way to the vendor, on a socket of its own; implements `TranscriberStream`."""

    def __init__(
        self,
        connect: Callable[[Dialect], AbstractAsyncContextManager[Any]],
        dialect: Dialect,
        clock: Clock,
        on_transcript: Callable[[Transcript], None],
    ) -> None:
        self._connect, self._dialect, self._clock = connect, dialect, clock
        self._on_transcript = on_transcript
        self._wake = asyncio.Event()
        self._has_sent = False

    @property
    def dropped_bytes(self) -> int:
        """Audio that waited too long to be sent and was dropped."""
        return self._dialect.audio.dropped_bytes

    def push(self, audio: bytes) -> None:
        """Hand over mu-law bytes; never waits.

        The oldest beyond two seconds are dropped, except for what is pushed first of all.
        """
        if self._dialect.push(audio, self._clock.now()):
            self._wake.set()

    def speech_started(self, media_s: float) -> None:
        """The vendor finds out by itself."""

    def speech_paused(self, media_s: float) -> None:
        """Speech ended at `media_s`: Nova is asked for the final words, Flux decides by itself."""
        self._dialect.speech_paused(media_s)
        self._wake.set()

    def end_utterance(self) -> None:
        """The turn is over: words that were said before now are not reported again."""
        self._dialect.end_utterance()
        self._wake.set()

    async def run(self) -> None:
        """Send and listen until cancelled; raises ProviderError when the vendor is lost."""
        async with self._connect(self._dialect) as connection:
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._send(connection), name="deepgram-send")
                    tasks.create_task(self._listen(connection), name="deepgram-listen")
            except BaseExceptionGroup as failures:
                raise failures.exceptions[0] from None
            except asyncio.CancelledError:
                await self._say_goodbye(connection)
                raise

    async def _send(self, connection: Any) -> None:
        while True:
            self._wake.clear()
            while (item := self._dialect.next(self._clock.now())) is not None:
                if isinstance(item, bytes):
                    await connection.send_media(item)
                else:
                    await getattr(connection, item.value)()
                self._has_sent = True
            timer = self._clock.call_at(self._dialect.next_deadline(), self._wake.set)
            try:
                await self._wake.wait()
            finally:
                timer.cancel()

    async def _listen(self, connection: Any) -> None:
        async with aclosing(aiter(connection)) as messages:
            async for message in messages:
                transcript = self._read(message)
                if transcript is not None:
                    self._on_transcript(transcript)

    def _read(self, message: Any) -> Transcript | None:
        try:
            return self._dialect.read(message)
        except MALFORMED:
            return None

    async def _say_goodbye(self, connection: Any) -> None:
        """Tell the vendor that no more comes; the socket is closed whether it listens or not."""
        if self._has_sent:
            with suppress(ProviderError, TimeoutError):
                async with asyncio.timeout(GOODBYE_WITHIN_S):
                    await connection.send_close_stream()


def _client(account: Account) -> AsyncDeepgramClient:
    """Import the SDK and make a client; takes a second, so it runs in a thread."""
    with warnings.catch_warnings():
        # The SDK imports websockets.legacy, which it is then not let use.
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            from deepgram import AsyncDeepgramClient
            from deepgram.environment import DeepgramClientEnvironment
        except ImportError:
            raise ProviderError(VENDOR, "its SDK is not installed: pip install 'offhook[deepgram]'") from None
        from .deepgram_socket import Socket, certificates

        certificates()
        environment = DeepgramClientEnvironment.PRODUCTION
        if account.base_url is not None:
            http = account.base_url.rstrip("/")
            ws = "ws" + http.removeprefix("http")
            environment = DeepgramClientEnvironment(base=http, production=ws, agent=ws, agent_rest=http)
        key = account.key.get_secret_value() if account.key is not None else ""
        client = AsyncDeepgramClient(api_key=key, environment=environment, transport_factory=Socket)
        # What the client imports when it is first used is imported here, off the event loop.
        _ = client.listen.v1, client.listen.v2
        return client
