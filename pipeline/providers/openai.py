"""OpenAI's language models, and any server that speaks their protocol: Ollama, vLLM, llama.cpp."""

from __future__ import annotations

__all__ = ["DEFAULT_MODEL", "OpenAIModel"]

import asyncio
import math
import re
import socket
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, aclosing, suppress
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from offhook.config.assistant import ModelChoice
from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout
from offhook.config.vendors import Account

from ..messages import AgentSaid, ModelDelta, ModelRequest
from .openai_chat import chat_messages, chat_tools
from .openai_stream import STAGE, ChatReader

if TYPE_CHECKING:
    import httpx2
    import openai
    from openai import AsyncOpenAI

DEFAULT_MODEL = "gpt-5.4-mini"
"""The smallest of its generation with no end announced; it answers without reasoning first if told so."""
VENDORS_OWN = re.compile("gpt-[5-9]|o[1-9]")
"""Models that only the vendor has, through whatever address they are reached."""
NO_REASONING = re.compile(r"gpt-(5\.([4-9]|\d\d)|[6-9])(?!.*chat)")
"""Models that reason unless told not to, and refuse tools in Chat Completions while they do."""
OWN_HOSTS = (".openai.com", ".openai.azure.com")
CONNECT_S = 3.0
READ_S = 10.0
"""Between two pieces; the conversation is less patient, this only frees a connection that is dead."""
KEPT_CONNECTIONS = 100
KEEP_ALIVE_S = 600.0
"""Turns are seconds to minutes apart; the client's own 5 s would pay TCP and TLS in every turn."""
PROBES = (("SO_KEEPALIVE", 1), ("TCP_KEEPIDLE", 60), ("TCP_KEEPINTVL", 15), ("TCP_KEEPCNT", 3))
"""Routers forget a connection that is silent for minutes, and a request into it would wait for nothing."""
PREWARM_WITHIN_S = 3.0
PREWARMED = 2
"""Connections: the round behind a tool may begin before the answer that asked for it is read to its end."""
REST_WITHIN_S = 1.0
PLAIN_HEADERS = frozenset(
    (
        *("accept", "accept-encoding", "connection", "content-length", "content-type", "host", "user-agent"),
        "x-stainless-raw-response",  # by which the SDK knows how it was asked
    )
)
OF_THE_REQUEST = (400, 413, 422)
"""One conversation was refused, for its length for instance; the others are none the worse."""
BUSY = frozenset((408, 409, 425, 429))


class OpenAIModel:
    """Answers with Chat Completions; implements `LanguageModel`. One client serves all calls."""

    def __init__(self, choice: ModelChoice, account: Account) -> None:
        self._choice, self._account = choice, account
        self._client: AsyncOpenAI | None = None
        self._used_at_s = 0.0
        """When a connection was last used, by the loop's clock."""
        self._reading: set[asyncio.Task[None]] = set()
        self.first_token_s = choice.first_token_ms / 1000
        """A caller waits no longer for the first piece of an answer."""

    @property
    def takes_jobs(self) -> bool:
        """It was started."""
        return self._client is not None

    async def start(self) -> None:
        """Import the SDK, make the client, and open a connection; raises ProviderError without the SDK."""
        try:
            self._client = await asyncio.to_thread(self._make_client)
        except ImportError as error:
            raise ProviderError(STAGE, "its SDK cannot be imported") from error
        self._used_at_s = asyncio.get_running_loop().time()
        await self._prewarm(self._client)

    async def connect(self) -> None:
        """Open a connection if none can be open any more."""
        now_s = asyncio.get_running_loop().time()
        if self._client is not None and now_s - self._used_at_s > KEEP_ALIVE_S:
            self._used_at_s = now_s
            await self._prewarm(self._client)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        for task in tuple(self._reading):
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)
        if client is not None:
            await client.close()

    async def respond(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        """Yield text and tool requests as they come; an empty text is a sign of life. Raises ProviderError.

        Closing the iterator ends the request at once; the server sees the connection go.
        """
        if self._client is None:
            raise ProviderError(STAGE, "it was not started")
        self._used_at_s = asyncio.get_running_loop().time()
        asked = (it.tool_requests for it in request.messages if isinstance(it, AgentSaid))
        reader = ChatReader({tool.id for requests in asked for tool in requests})
        try:
            async with AsyncExitStack() as held:
                create = self._client.chat.completions.with_streaming_response.create
                response = await held.enter_async_context(create(**self._parameters(request)))
                body = response.http_response.aiter_bytes()
                await held.enter_async_context(aclosing(body))
                async for received in body:
                    for delta in reader.feed(received):
                        yield delta
                    if reader.finished:
                        self._read_to_end(body, held.pop_all())
                        return
            raise ProviderError(STAGE, "the answer ended early")
        except ProviderError:
            raise
        except Exception as error:
            raise _as_provider_error(error) from None

    # --------------------------------------------------------------- details

    def _read_to_end(self, body: AsyncGenerator[bytes, None], held: AsyncExitStack) -> None:
        """What follows an answer is bookkeeping that nobody waits for; unread, it costs the connection."""

        async def read() -> None:
            # The answer is whole: what fails here costs no more than another connection.
            with suppress(Exception):
                async with held, asyncio.timeout(REST_WITHIN_S):
                    async for _ in body:
                        pass

        task = asyncio.create_task(read(), name="openai-rest")
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)

    def _make_client(self) -> AsyncOpenAI:
        import httpx2
        import openai.resources.chat
        import openai.resources.models
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient

        del openai
        own = self._choice.base_url
        # The account's key is for the account's server: a file's address gets the file's key or none.
        key = self._choice.api_key if own else self._account.key
        limits = httpx2.Limits(
            max_connections=None,
            max_keepalive_connections=KEPT_CONNECTIONS,
            keepalive_expiry=KEEP_ALIVE_S,
        )
        transport = httpx2.AsyncHTTPTransport(
            limits=limits, trust_env=False, socket_options=_socket_options()
        )
        secret = key.get_secret_value() if key else "none"
        hooks = {"request": [_without_ambient_headers(secret)]} if own else {}
        return AsyncOpenAI(
            api_key=secret,
            base_url=own or self._account.base_url,
            timeout=httpx2.Timeout(max(READ_S, self.first_token_s), connect=CONNECT_S),
            max_retries=0,  # the conversation knows better whom to ask next, and how long a caller waits
            http_client=DefaultAsyncHttpxClient(transport=transport, trust_env=False, event_hooks=hooks),
        )

    async def _prewarm(self, client: AsyncOpenAI) -> None:
        """Open connections and load what the first request would; a server may still be down."""
        with suppress(Exception):
            async with asyncio.timeout(PREWARM_WITHIN_S):
                opening = (client.models.list() for _ in range(PREWARMED))
                await asyncio.gather(*opening, return_exceptions=True)

    def _parameters(self, request: ModelRequest) -> dict[str, Any]:
        choice = self._choice
        name = choice.name or DEFAULT_MODEL
        own = self._at_the_vendors() or VENDORS_OWN.match(name) is not None
        effort = choice.reasoning_effort
        if effort is None and own and NO_REASONING.match(name):
            effort = "none"
        parameters: dict[str, Any] = {
            "model": name,
            "messages": chat_messages(request.messages),
            "stream": True,
        }
        if request.tools:
            parameters["tools"] = chat_tools(request.tools)
        if choice.temperature is not None:
            parameters["temperature"] = choice.temperature
        if effort is not None:
            parameters["reasoning_effort"] = effort
        if choice.max_tokens is not None:
            # The vendor's newer models refuse the old name, other servers do not know the new one.
            parameters["max_completion_tokens" if own else "max_tokens"] = choice.max_tokens
        return parameters

    def _at_the_vendors(self) -> bool:
        address = self._choice.base_url or self._account.base_url
        return address is None or f".{urlsplit(address).hostname}".endswith(OWN_HOSTS)


def _socket_options() -> list[tuple[int, int, int]]:
    """Keep-alive probes, as far as this system has them."""
    level = {"SO": socket.SOL_SOCKET, "TCP": socket.IPPROTO_TCP}
    known = ((name, value) for name, value in PROBES if hasattr(socket, name))
    return [(level[name[: name.index("_")]], getattr(socket, name), value) for name, value in known]


def _without_ambient_headers(secret: str) -> Callable[[httpx2.Request], Awaitable[None]]:
    """The SDK sends what its environment variables say, the account's organisation too, to any address."""

    async def strip(request: httpx2.Request) -> None:
        for name in set(request.headers) - PLAIN_HEADERS:
            del request.headers[name]
        request.headers["authorization"] = f"Bearer {secret}"

    return strip


def _as_provider_error(error: Exception) -> ProviderError:
    """What an error of the SDK, or of its HTTP client, means; its own text may hold the request."""
    import httpx2
    import openai

    match error:
        case openai.APITimeoutError() | httpx2.TimeoutException():
            return ProviderTimeout(STAGE, "nothing came in time")
        case openai.APIStatusError():
            return _as_refusal(error)
        case openai.APIConnectionError() | httpx2.TransportError():
            return ProviderError(STAGE, "the connection failed")
    return ProviderError(STAGE, f"the answer broke off ({type(error).__name__})")


def _as_refusal(error: openai.APIStatusError) -> ProviderError:
    """What an answer with an HTTP error means, with the vendor's own name for it if that is one word."""
    status, code = error.status_code, error.code
    named = isinstance(code, str) and re.fullmatch("[a-z_]{1,40}", code)
    reason = f"HTTP {status} {code}" if named else f"HTTP {status}"
    spent = code == "insufficient_quota"  # 429 as well, but no pause mends it
    if (status in BUSY or status >= 500) and not spent:
        return ProviderBusy(STAGE, reason, _retry_after_s(error.response.headers))
    return ProviderRefused(STAGE, reason, only_this=status in OF_THE_REQUEST)


def _retry_after_s(headers: httpx2.Headers) -> float | None:
    """How long the server wants to be left alone, if it says so in seconds or milliseconds."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        with suppress(ValueError):
            if (text := headers.get(name)) is not None and math.isfinite(wait := float(text)):
                return max(0.0, wait * unit_s)
    return None
