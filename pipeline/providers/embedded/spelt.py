"""Numbers that people say digit by digit: telephone numbers, order numbers, codes."""

from __future__ import annotations

__all__ = ["spelt"]

import re

_TELEPHONE = re.compile(
    r"(?<![\w.])(?:\+\d{1,3}[ .-]?(?:\(?\d{1,5}\)?[ .-]?){1,4}\d{2,4}"
    r"|(?:1[ .-])?(?:\(\d{3}\) ?|\d{3}[ .-])\d{3}[ .-]\d{4})(?![\w-])"
)
"""International with a plus, and North American; seven digits alone are read well without help."""
_LONG_NUMBER = re.compile(r"(?<![\w$£€¥.,-])#?\d{5,}(?![\w%]|[.,]\d)")
"""Five digits without a thousands separator: nobody reads an order number as thousands."""
_CODE = re.compile(r"(?<![\w-])(?=[A-Z0-9-]*\d{2})([A-Z]{1,4})-?(\d{2,})(?![\w-])")
"""Capitals and at least two digits: "AB123"."""


def _digits(text: str) -> str:
    """The digits one by one, with a comma where the writer made groups."""
    return ", ".join(" ".join(group) for group in re.findall(r"\d+", text))


def _telephone(match: re.Match[str]) -> str:
    plus = "plus " if match[0].startswith("+") else ""
    return plus + _digits(match[0])


def spelt(text: str) -> str:
    """Put spaces between what is said one by one; all else stays as it is."""
    text = _TELEPHONE.sub(_telephone, text)
    text = _LONG_NUMBER.sub(lambda match: " ".join(match[0].lstrip("#")), text)
    return _CODE.sub(lambda match: " ".join([*match[1], *match[2]]), text)
