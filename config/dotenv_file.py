"""A `.env` file: its variables, and the lines that are none."""

from __future__ import annotations

__all__ = ["read_dotenv"]

from io import StringIO
from pathlib import Path

from dotenv import dotenv_values
from dotenv.parser import Binding, parse_stream

from .errors import ConfigProblem


def read_dotenv(path: Path) -> tuple[dict[str, str], list[ConfigProblem]]:
    """Read the variables of a `.env` file, and a problem for every line that cannot be read as one.

    No problem quotes what may be a secret. Raises OSError and UnicodeDecodeError.
    """
    good: list[str] = []
    problems: list[ConfigProblem] = []
    for binding in parse_stream(StringIO(path.read_text(encoding="utf-8-sig"))):
        message = _fault(binding)
        if message is None:
            good.append(binding.original.string)
        else:
            line = binding.original.line + _blank_lines_before(binding.original.string)
            problems.append(ConfigProblem(f"{path}:{line}", "", message, "Write NAME=value."))
    variables = dotenv_values(stream=StringIO("".join(good)))
    return {name: value for name, value in variables.items() if value is not None}, problems


def _fault(binding: Binding) -> str | None:
    if binding.error:
        text = binding.original.string.partition("=")[2].strip()
        if text[:1] in ("'", '"') and text[0] not in text[1:]:
            return "a quotation mark is not closed."
        return "is no variable."
    if binding.key is not None and binding.value is None:
        return "has no `=`."
    return None


def _blank_lines_before(text: str) -> int:
    return text[: len(text) - len(text.lstrip())].count("\n")
