"""Messages that nobody took, posted again in the order of each call."""

from __future__ import annotations

__all__ = ["Replayed", "replay"]

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offhook.config.server import Server
from offhook.pipeline.providers.web.javascript_json import javascript_json
from offhook.pipeline.providers.web.web_client import Exchange

from .dead_letter_file import DeadLetter, put_back, read_letter, taken_aside
from .posting import Attempt, post


@dataclass(slots=True)
class Replayed:
    """What became of a file of messages."""

    delivered: int = 0
    kept: list[str] = field(default_factory=list)
    """A sentence for each message that was tried and is left."""
    broken_lines: list[int] = field(default_factory=list)


async def replay(
    file: Path,
    servers: Mapping[str, Server],
    exchange: Exchange,
    wall_time: Callable[[], float] = time.time,
) -> Replayed:
    """Post every message to its own address, and leave in the file what was not taken.

    Of a call whose receiver is away the later messages are not tried; one that is refused for good stays,
    and holds up no other. `servers` are the ones that are known by their address: nothing is posted
    anywhere else. The file is set aside first, so that a bridge that runs goes on to write to a new one.
    Raises OSError, BlockingIOError among them while another replay goes on.
    """
    result = Replayed()
    left: list[bytes] = []
    stuck: set[str] = set()
    with taken_aside(file) as lines:
        for number, line in enumerate(lines, 1):
            letter = read_letter(line)
            if letter is None:
                result.broken_lines.append(number)
            elif letter.call_sid not in stuck:
                attempt = await _post(letter, servers, exchange, wall_time)
                if attempt.taken:
                    result.delivered += 1
                    continue
                result.kept.append(f"{letter.call_sid}: {_reason(attempt)}")
                if not attempt.refused:
                    stuck.add(letter.call_sid)
            left.append(line.removesuffix(b"\n") + b"\n")
        put_back(file, b"".join(left))
    return result


async def _post(
    letter: DeadLetter, servers: Mapping[str, Server], exchange: Exchange, wall_time: Callable[[], float]
) -> Attempt:
    server = servers.get(letter.url)
    if server is None:
        return Attempt(
            0, "its address is neither WEBHOOK_URL nor that of an assistant named with --assistant"
        )
    return await post(exchange, server, letter.id, javascript_json(letter.body), int(wall_time()))


def _reason(attempt: Attempt) -> str:
    return f"the receiver answered with {attempt.why}" if attempt.status else attempt.why
