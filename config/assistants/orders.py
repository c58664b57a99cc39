"""The order book of the demo shop, behind a back office that takes its time."""

from __future__ import annotations

__all__ = ["ORDERS", "check_order_status"]

import asyncio
from dataclasses import dataclass

_BACK_OFFICE_S = 1.5


@dataclass(frozen=True, slots=True)
class Order:
    """One order, told in words that a voice can read aloud."""

    status: str
    """Goes on from "Order 12345 ..."."""
    arrival: str
    """A sentence."""


ORDERS = {
    "12345": Order("is out for delivery", "It arrives today, between two and five in the afternoon."),
    "23456": Order("left our warehouse this morning", "It arrives on Thursday."),
    "34567": Order("is being packed", "It arrives on Friday."),
    "45678": Order("was delivered on Monday", "Your neighbour at number nine signed for it."),
    "54321": Order("is waiting at the post office", "You can collect it until Saturday, at noon."),
    "67890": Order("is held by customs", "We expect it by the end of next week."),
    "76543": Order("was cancelled", "Your money is on its way back, and arrives within five days."),
    "87654": Order("is on its way", "It arrives on Wednesday morning."),
    "98765": Order("has not been paid yet", "It leaves us on the day your payment arrives."),
}


async def check_order_status(order_number: str) -> dict[str, str]:
    """Look an order up; an unknown number is an answer too, not a failure."""
    await asyncio.sleep(_BACK_OFFICE_S)  # stands for a slow back office
    order = ORDERS.get(order_number)
    if order is None:
        return {"status": "is not in our books", "arrival": "Please check the number, and tell me again."}
    return {"status": order.status, "arrival": order.arrival}
