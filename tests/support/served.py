"""A server in a process of its own, which tells on demand how late its loop was, and what held it up.

Run as `python served.py ASSISTANT`. It prints one JSON line when it is ready, and answers each line of its
input ("reset" or "report") with another.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from bridge_rig import settings

from offhook.bridge.app import serve_in_process

PERIOD_S = 0.01
HELD_S = 0.02
"""A loop that is held for longer is looked at: its stack is kept."""
KEPT_STACKS = 20


def slow_lookup() -> dict[str, str]:
    """A tool that blocks its thread for 1.5 s, as a client of an old database would."""
    time.sleep(1.5)
    return {"status": "found"}


class Probe:
    """A timer every 10 ms, its lateness, and the stacks of those who made it late."""

    def __init__(self) -> None:
        self.late_ms: list[float] = []
        self.stacks: list[dict[str, Any]] = []
        self._due = float("inf")
        self._loop_thread = threading.get_ident()
        threading.Thread(target=self._look, daemon=True).start()

    async def run(self) -> None:
        """Measure until cancelled."""
        loop = asyncio.get_running_loop()
        ticked = asyncio.Event()
        while True:
            self._due = time.monotonic() + PERIOD_S
            ticked.clear()
            loop.call_later(PERIOD_S, ticked.set)
            await ticked.wait()
            self.late_ms.append(max(0.0, time.monotonic() - self._due) * 1e3)

    def report(self) -> dict[str, Any]:
        """The lateness so far, in milliseconds, and where the loop stood when it was late."""
        late = sorted(self.late_ms) or [0.0]
        return {
            "count": len(late),
            "p50_ms": late[len(late) // 2],
            "p99_ms": late[round(0.99 * (len(late) - 1))],
            "max_ms": late[-1],
            "stacks": self.stacks,
        }

    def reset(self) -> dict[str, Any]:
        """Forget what was measured."""
        self.late_ms.clear()
        self.stacks.clear()
        return {}

    def _look(self) -> None:
        while True:
            time.sleep(0.005)
            late_s = time.monotonic() - self._due
            if late_s > HELD_S and len(self.stacks) < KEPT_STACKS:
                frame = sys._current_frames()[self._loop_thread]
                stack = [
                    f"{item.filename}:{item.lineno} {item.name}" for item in traceback.extract_stack(frame)
                ]
                self.stacks.append({"late_ms": late_s * 1e3, "stack": stack[-6:]})


async def serve(assistant: Path) -> None:
    """Serve until the input ends."""
    loop = asyncio.get_running_loop()
    orders = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(orders), sys.stdin)
    async with serve_in_process(settings(), assistant) as running:
        probe = Probe()
        measuring = asyncio.create_task(probe.run())
        _tell({"url": running.media_url})
        while order := (await orders.readline()).decode().strip():
            _tell(probe.report() if order == "report" else probe.reset())
        measuring.cancel()


def _tell(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    import uvloop

    from offhook.cli.logs import configure_logs

    configure_logs()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(Path(sys.argv[1])))
