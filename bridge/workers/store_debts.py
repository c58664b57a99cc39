"""What a store must not lose, such as the end of a call: tried again until it is done."""

from __future__ import annotations

__all__ = ["AGAIN_AFTER_S", "OWED_LIMIT", "StoreDebts"]

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from ..call_store import StoreUnavailable

AGAIN_AFTER_S = 1.0
OWED_LIMIT = 10_000

Work = TypeVar("Work")


class StoreDebts(Generic[Work]):
    """The operations of one store that failed; each may be done more than once."""

    def __init__(
        self, do: Callable[[Work], Awaitable[object]], submit: Callable[[Work], asyncio.Future[object]]
    ) -> None:
        """`do` waits for its turn, and raises StoreUnavailable; `submit` puts work behind what waits.

        `submit` raises RuntimeError when the store is closed.
        """
        self._do, self._submit = do, submit
        self._owed: dict[tuple[str, str], Work] = {}
        """By what it is, and of which call or worker."""
        self._paying: asyncio.Task[None] | None = None

    def owe(self, what: tuple[str, str], work: Work) -> None:
        """Have it done behind what waits, and again until the store has taken it.

        Beyond the limit the oldest debt is forgotten.
        """
        self._owed[what] = work
        if len(self._owed) > OWED_LIMIT:
            del self._owed[next(iter(self._owed))]
        with contextlib.suppress(RuntimeError):
            self._submit(work).add_done_callback(lambda attempt: self._attempted(what, attempt))
        if self._paying is None or self._paying.done():
            self._paying = asyncio.create_task(self._pay(), name="store debts")

    async def settle(self) -> None:
        """Try all of them once more, and give them up."""
        if self._paying is not None:
            self._paying.cancel()
            await asyncio.wait((self._paying,))
        with contextlib.suppress(StoreUnavailable):
            await self._try_all()
        self._owed.clear()

    def _attempted(self, what: tuple[str, str], attempt: asyncio.Future[object]) -> None:
        if not attempt.cancelled() and attempt.exception() is None:
            self._owed.pop(what, None)

    async def _pay(self) -> None:
        while self._owed:
            await asyncio.sleep(AGAIN_AFTER_S)
            with contextlib.suppress(StoreUnavailable):
                await self._try_all()

    async def _try_all(self) -> None:
        for what, work in tuple(self._owed.items()):
            await self._do(work)
            self._owed.pop(what, None)
