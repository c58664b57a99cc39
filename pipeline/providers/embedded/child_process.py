"""A child process at the other end of two pipes of frames."""

from __future__ import annotations

__all__ = ["ChildProcess"]

import asyncio
import contextlib
import logging
import os
from collections.abc import Sequence

from .jobs import MAX_FRAME_BYTES, Order, Report, frame, report_decoder

log = logging.getLogger(__name__)

_STOP_STEP_S = 1.0
_ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "VECLIB_MAXIMUM_THREADS": "1",
}
"""A model that takes all cores would hold up the audio."""


class ChildProcess:
    """One started child: orders go in, reports come out, what it complains about is logged at debug level."""

    def __init__(
        self,
        name: str,
        process: asyncio.subprocess.Process,
        orders: asyncio.StreamWriter,
        reports: asyncio.StreamReader,
        errors: asyncio.StreamReader,
    ) -> None:
        self._name, self._process, self._orders, self._reports = name, process, orders, reports
        self._error_log = asyncio.create_task(self._log(errors), name=f"{name}-errors")

    @classmethod
    async def start(cls, name: str, command: Sequence[str]) -> ChildProcess:
        """Start a command; raises OSError. It inherits nothing but its three pipes."""
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | _ONE_THREAD,
            # A terminal's Ctrl-C is for the parent, which then closes the child in order.
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise OSError(f"{name} has no pipes")
        return cls(name, process, process.stdin, process.stdout, process.stderr)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def send(self, order: Order) -> None:
        """Write an order; never waits. A child that has ended takes none: `receive` tells of that."""
        # uvloop raises where asyncio's own loop only drops what is written to a pipe that is closed.
        with contextlib.suppress(RuntimeError, OSError):
            self._orders.write(frame(order))

    async def receive(self) -> Report:
        """Return the next report; raises EOFError when the child has ended."""
        length = int.from_bytes(await self._reports.readexactly(4), "little")
        if length > MAX_FRAME_BYTES:
            raise EOFError(f"it sent a frame of {length} bytes, over the limit")
        return report_decoder.decode(await self._reports.readexactly(length))

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """Close its input, then terminate it, then kill it; each gets a second."""
        try:
            self._orders.close()
            for force in (self._process.terminate, self._process.kill):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_STOP_STEP_S):
                        await self._process.wait()
                    return
                with contextlib.suppress(ProcessLookupError):
                    force()
            await self._process.wait()
        finally:
            self.kill()
            self._error_log.cancel()

    async def _log(self, errors: asyncio.StreamReader) -> None:
        while text := await errors.read(1 << 12):
            log.debug("%s: %s", self._name, text.decode("utf-8", "replace").rstrip())
