"""Twilio's error numbers in words."""

from __future__ import annotations

__all__ = ["error_number", "numbered", "twilio_error"]

import re

from offhook.config.errors import ProtocolError


def twilio_error(number: int, reason: str) -> ProtocolError:
    """The error that Twilio would log under `number` of its error dictionary."""
    return ProtocolError(numbered(number, reason))


def numbered(number: int, reason: str) -> str:
    """One sentence with the number, for those who look it up: "Twilio error 31902: no connection"."""
    return f"Twilio error {number}: {reason}"


def error_number(error: ProtocolError) -> str:
    """The number of one of Twilio's errors; empty for another one."""
    found = re.match(r"Twilio error (\d+): ", error.reason)
    return found[1] if found else ""
