"""Which reply is being prepared while a silence is waited out, and for which words; no I/O."""

from __future__ import annotations

__all__ = ["Speculation"]

from collections.abc import Callable

from .evidence import CallerTurn, DropPrepared, PrepareReply
from .phrases import normalised


class Speculation:
    """At most one prepared reply; `limit` of them in vain for one turn, none if that is 0."""

    def __init__(self, limit: int, new_number: Callable[[], int]) -> None:
        self._limit, self._new_number = limit, new_number
        self._prepared: PrepareReply | None = None
        self._spent = 0

    def prepare(self, turn: int, text: str) -> list[PrepareReply | DropPrepared]:
        """The turn may end with these words."""
        if self._prepared is not None and normalised(self._prepared.origin.text) == normalised(text):
            return []
        orders: list[PrepareReply | DropPrepared] = [*self.drop()]
        if self._spent < self._limit:
            self._spent += 1
            self._prepared = PrepareReply(self._new_number(), CallerTurn(turn, text))
            orders.append(self._prepared)
        return orders

    def take(self, text: str) -> int | None:
        """The turn has ended with these words: the reply that was prepared for them, or None."""
        self._spent = 0
        if self._prepared is None or normalised(self._prepared.origin.text) != normalised(text):
            return None
        number, self._prepared = self._prepared.reply, None
        return number

    def drop(self) -> list[DropPrepared]:
        """It was in vain."""
        dropped, self._prepared = self._prepared, None
        return [DropPrepared(dropped.reply)] if dropped is not None else []
