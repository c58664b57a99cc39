"""What a provider's client raises, and its silence, as failures of the provider."""

from __future__ import annotations

__all__ = ["as_provider_error", "each_within"]

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import TypeVar, cast

from offhook.config.errors import ProviderError, ProviderTimeout

from .cancellation import cancelled_from_inside

T = TypeVar("T")


def as_provider_error(stage: str, error: BaseException) -> ProviderError:
    """Read an exception of a client library's as a failure of its stage; its text may hold a caller's words.

    Raises the exception itself if it is the cancellation of whoever asks: a call that ends is no failure.
    """
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, asyncio.CancelledError):
        if not cancelled_from_inside():
            raise error
        return ProviderError(stage, "its work was cancelled")
    return ProviderError(stage, type(error).__name__)


async def each_within(
    items: AsyncIterator[T], limit_s: float, stage: str, silence: str = "nothing came"
) -> AsyncGenerator[T, None]:
    """Yield each item, waiting `limit_s` for it at the most.

    Raises ProviderTimeout, and ProviderError where the work was cancelled by somebody else than the waiter.
    """
    async with aclosing(cast("AsyncGenerator[T, None]", items)):
        while True:
            try:
                async with asyncio.timeout(limit_s):
                    item = await anext(items)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise ProviderTimeout(stage, f"{silence} for {limit_s:g} s") from None
            except asyncio.CancelledError as error:
                raise as_provider_error(stage, error) from None
            yield item
