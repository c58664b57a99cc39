"""The server that is called: a process of its own, with the embedded engines and a folder of assistants.

Run as `python -m offhook.lab.scoreboard.serving ASSISTANT FOLDER`: prints the stream's URL when it is ready,
and serves until its input ends.
"""

from __future__ import annotations

__all__ = ["ServerProcess", "server_process"]

import asyncio
import logging
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from offhook.bridge.app import serving
from offhook.config.errors import OffhookError
from offhook.config.settings import Settings

READY_WITHIN_S = 60.0
ENDED_WITHIN_S = 10.0
_MAX_CALLS = 1000
"""How many it serves well is what is measured, not what is configured."""


@dataclass(frozen=True, slots=True)
class ServerProcess:
    """A warm server."""

    media_url: str
    pid: int
    """Its models' processes are children of this one."""


@asynccontextmanager
async def server_process(assistant: Path) -> AsyncIterator[ServerProcess]:
    """Serve an assistant, and by name those in the same folder; ends with the context.

    Raises OffhookError.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __name__,
        str(assistant),
        str(assistant.parent),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None  # noqa: S101 - both are pipes
    assert process.stdout is not None  # noqa: S101
    try:
        async with asyncio.timeout(READY_WITHIN_S):
            url = (await process.stdout.readline()).decode().strip()
        if not url:
            raise OffhookError("the server that is to be called ended before it was ready")
        yield ServerProcess(url, process.pid)
    finally:
        process.stdin.close()
        try:
            async with asyncio.timeout(ENDED_WITHIN_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _serve(assistant: Path, folder: Path) -> None:
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    settings = Settings().model_copy(
        update={
            "host": "127.0.0.1",
            "port": 0,
            "public_url": None,
            "twilio_auth_token": None,
            "max_calls": _MAX_CALLS,
        }
    )
    async with serving(settings, assistant, folder) as running:
        sys.stdout.write(f"{running.media_url}\n")
        sys.stdout.flush()
        await orders.read()


def _main() -> None:
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    arguments = Path(sys.argv[1]), Path(sys.argv[2])
    try:
        import uvloop
    except ImportError:
        asyncio.run(_serve(*arguments))
    else:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(*arguments))


if __name__ == "__main__":
    _main()
