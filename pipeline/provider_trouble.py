"""What a provider's client raises, as a failure of the provider."""

from __future__ import annotations

__all__ = ["as_provider_error"]

import asyncio

from offhook.config.errors import ProviderError

from .cancellation import cancelled_from_inside


def as_provider_error(stage: str, error: BaseException) -> ProviderError:
    """Read an exception of a client library's as a failure of its stage; its text may hold a caller's words.

    Raises the exception itself if it is the cancellation of whoever asks: a call that ends is no failure.
    """
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, asyncio.CancelledError) and not cancelled_from_inside():
        raise error
    return ProviderError(stage, type(error).__name__)
