"""What may be asked of a live conversation over HTTP: the types of the bodies."""

from __future__ import annotations

__all__ = ["ORDERS", "CallOrder", "Text"]

from collections.abc import Mapping
from typing import Annotated

import msgspec

from offhook.config.phone_numbers import E164

from .live_call import LiveCall

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=2_000)]
Number = Annotated[str, msgspec.Meta(pattern=rf"^{E164}\Z")]


class Say(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Words for the agent to say as they stand, at the next free moment."""

    text: Text

    def give(self, call: LiveCall) -> None:
        """Tell the conversation."""
        call.say(self.text)


class Transfer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hand the call to somebody else."""

    number: Number
    say: Annotated[str, msgspec.Meta(max_length=2_000)] = ""

    def give(self, call: LiveCall) -> None:
        """Tell the conversation."""
        call.transfer(self.number, last_words=self.say)


CallOrder = Say | Transfer
ORDERS: Mapping[str, type[CallOrder]] = {"say": Say, "transfer": Transfer}
"""By the last word of their address."""
