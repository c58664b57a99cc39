"""The file of variables that points offhook at emulated vendors, while they run."""

from __future__ import annotations

__all__ = ["env_file"]

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from offhook.config.dotenv_file import read_dotenv
from offhook.config.errors import OffhookError


@contextmanager
def env_file(path: Path, variables: Mapping[str, str]) -> Iterator[None]:
    """Write `NAME=value` lines, for the owner's eyes alone; the file is gone when the block ends.

    A file with anything else in it is left alone. Raises OffhookError for that, or if it cannot be written.
    """
    text = "".join(f"{name}={value}\n" for name, value in variables.items())
    try:
        if path.is_symlink() or not _may_be_replaced(path, variables):
            raise OffhookError(f"{path} holds more than the vendors' variables: name a file of its own")
        path.parent.mkdir(exist_ok=True)
        path.unlink(missing_ok=True)
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise OffhookError(f"{path} cannot be written: {reason}") from None
    try:
        yield
    finally:
        with suppress(OSError, UnicodeDecodeError):
            if path.read_text() == text:
                path.unlink()


def _may_be_replaced(path: Path, variables: Mapping[str, str]) -> bool:
    if not path.exists():
        return True
    found, problems = read_dotenv(path)
    return not problems and set(found) <= set(variables)
