"""Messages that nobody took, posted again in the order of each call."""

from __future__ import annotations

__all__ = ["Replayed", "replay"]

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from offhook.config.server import Server
from offhook.pipeline.providers.web.web_client import Exchange

from .dead_letters import DeadLetter, read_dead_letters
from .posting import post


@dataclass(slots=True)
class Replayed:
    """What became of a file of messages."""

    delivered: int = 0
    kept: list[str] = field(default_factory=list)
    """A sentence for each call of which messages are left."""
    broken_lines: list[int] = field(default_factory=list)


async def replay(
    file: Path,
    servers: Mapping[str, Server],
    exchange: Exchange,
    wall_time: Callable[[], float] = time.time,
) -> Replayed:
    """Post every message to its own address, and leave in the file what was not taken.

    Of a call whose message is not taken the later ones are not tried. `servers` are the ones that are known
    by their address: nothing is posted anywhere else. The file is set aside first, so that a bridge that
    runs goes on to write to a new one. Raises OSError.
    """
    taken = _set_aside(file)
    result = Replayed()
    left: list[DeadLetter] = []
    stuck: set[str] = set()
    for letter in read_dead_letters(taken, result.broken_lines.append):
        if letter.call_sid in stuck:
            left.append(letter)
        elif (why := await _post(letter, servers, exchange, wall_time)) is None:
            result.delivered += 1
        else:
            left.append(letter)
            stuck.add(letter.call_sid)
            result.kept.append(f"{letter.call_sid}: {why}")
    _put_back(file, taken, left)
    return result


def _set_aside(file: Path) -> Path:
    taken = file.with_suffix(".replaying")
    if not taken.exists():
        # What an interrupted run left there comes first.
        file.rename(taken)
    return taken


async def _post(
    letter: DeadLetter, servers: Mapping[str, Server], exchange: Exchange, wall_time: Callable[[], float]
) -> str | None:
    """Say why a message was not taken; None when it was."""
    server = servers.get(letter.url)
    if server is None:
        return "its address is neither WEBHOOK_URL nor that of an assistant named with --assistant"
    attempt = await post(exchange, server, letter.id, letter.body, int(wall_time()))
    if attempt.taken:
        return None
    return f"the receiver answered with {attempt.why}" if attempt.status else attempt.why


def _put_back(file: Path, taken: Path, left: list[DeadLetter]) -> None:
    """What is left stands before what has come meanwhile."""
    lines = b"".join(msgspec.json.encode(letter) + b"\n" for letter in left)
    if lines and file.exists():
        lines += file.read_bytes()
    if lines:
        rest = file.with_suffix(".rest")
        descriptor = os.open(rest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(lines)
        rest.replace(file)
    taken.unlink()
