"""JSON exactly as JavaScript's `JSON.stringify` prints it.

A receiver that verifies a signature over `JSON.stringify(req.body)` has parsed the body and printed it
again. Such a signature fits only if our bytes are those that come out there: compact, numbers as doubles
in their shortest form, keys that are array indices first (ECMAScript 2024, 25.5.2 JSON.stringify,
6.1.6.1.20 Number::toString, 10.1.11 OrdinaryOwnPropertyKeys).
"""

from __future__ import annotations

__all__ = ["javascript_json"]

import json
import math
import re
from collections.abc import Mapping
from typing import Any

_SURROGATE = re.compile("[\ud800-\udfff]")
_LARGEST_INDEX = 2**32 - 2
_EXACT = 2**53


def javascript_json(value: Any) -> bytes:
    """Print a value of mappings, sequences, text, numbers, truth values and None as UTF-8.

    Raises TypeError for anything else.
    """
    return _printed(value).encode()


def _printed(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str():
            return _text(value)
        case int() | float():
            return _number(value)
        case Mapping():
            return "{" + ",".join(f"{_text(key)}:{_printed(held)}" for key, held in _ordered(value)) + "}"
        case list() | tuple():
            return "[" + ",".join(map(_printed, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no place in JSON")


def _text(text: str) -> str:
    if _SURROGATE.search(text):
        # JavaScript's text is UTF-16: there, a pair that came in halves is one character.
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    printed = json.dumps(text, ensure_ascii=False)
    return _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", printed)


def _ordered(value: Mapping[Any, Any]) -> list[tuple[str, Any]]:
    entries = [(str(key), held) for key, held in value.items()]
    indices = sorted((entry for entry in entries if _is_index(entry[0])), key=lambda entry: int(entry[0]))
    return indices + [entry for entry in entries if not _is_index(entry[0])]


def _is_index(key: str) -> bool:
    digits = key.isascii() and key.isdigit() and (key == "0" or key[0] != "0")
    return digits and len(key) <= 10 and int(key) <= _LARGEST_INDEX


def _number(number: float) -> str:
    if isinstance(number, int) and abs(number) <= _EXACT:
        return str(number)
    try:
        double = float(number)
    except OverflowError:
        return "null"
    if not math.isfinite(double):
        return "null"
    if double == 0:
        return "0"
    sign = "-" if double < 0 else ""
    mantissa, _, exponent = f"{abs(double)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    leading = len(whole) - (len(whole + fraction) - len(digits)) if digits else 0
    point = leading + int(exponent or 0)
    return sign + _placed(digits.rstrip("0"), point)


def _placed(digits: str, point: int) -> str:
    """Print `digits` with the decimal point behind the first `point` of them (Number::toString)."""
    count = len(digits)
    if count <= point <= 21:
        return digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"0.{'0' * -point}{digits}"
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if point > 0 else '-'}{abs(point - 1)}"
