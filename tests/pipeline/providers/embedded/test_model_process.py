"""A model's process: warm, restarted when it dies, gone when it is closed."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from offhook.config.errors import ProviderError, ProviderTimeout, WorkerDied
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.providers.embedded.job_queue import FINAL_S, FIRST_SPEECH_S, PARTIAL_S, Job
from offhook.pipeline.providers.embedded.jobs import Answer, Speak, Spoken
from offhook.pipeline.providers.embedded.model_process import ModelProcess

pytestmark = [pytest.mark.realtime, pytest.mark.both_loops]

WORKER = """
import os, sys, time
from offhook.pipeline.providers.embedded.jobs import Spoken
from offhook.pipeline.providers.embedded.worker import serve

class Parrot:
    def answer(self, request):
        for word in request.text.split():
            if word.startswith("sleep"):
                time.sleep(float(word[5:]))
            elif word.startswith("dieonce") and not os.path.exists(word[7:]):
                open(word[7:], "w").close()
                os._exit(3)
            elif word == "die":
                os._exit(3)
            elif word == "fail":
                raise ValueError("the caller's secret words")
            print("noise on the standard output")
            yield Spoken(word.encode(), (), False)

def build():
    if sys.argv[1:] == ["broken"]:
        raise ModuleNotFoundError("no model here")
    return Parrot()

sys.exit(serve(build))
"""


@asynccontextmanager
async def running(**options: Any) -> AsyncIterator[ModelProcess]:
    process = ModelProcess(
        "parrot",
        {},
        clock=LoopClock(asyncio.get_running_loop()),
        command=(sys.executable, "-P", "-c", WORKER),
        **options,
    )
    await process.start()
    try:
        yield process
    finally:
        await process.close()
        assert process.pid is None


def submit(process: ModelProcess, text: str, wanted_s: float = FIRST_SPEECH_S) -> Job:
    return process.submit(Speak(text), wanted_s)


async def words(job: Job) -> list[str]:
    got: list[Answer] = []
    while (answer := await job.next()) is not None:
        got.append(answer)
    return [answer.mulaw.decode() for answer in got if isinstance(answer, Spoken)]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def open_files(pid: int | None) -> list[str]:
    """What a process holds open; nothing if it has ended and nobody has asked for its status."""
    try:
        return [str(path.readlink()) for path in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return []


async def test_jobs_are_answered_piece_by_piece_and_closing_leaves_no_process() -> None:
    async with running() as process:
        assert await words(submit(process, "one two three")) == ["one", "two", "three"]
        pid = process.pid
        assert pid is not None
    assert not alive(pid)
    assert not process.ready
    with pytest.raises(WorkerDied):
        await submit(process, "late").next()


async def test_the_waiting_job_that_is_needed_first_goes_first() -> None:
    async with running() as process:
        order: list[str] = []

        async def note(job: Job) -> None:
            order.extend(await words(job))

        jobs = [
            submit(process, "sleep0.2"),
            submit(process, "partial", PARTIAL_S),
            submit(process, "final", FINAL_S),
        ]
        await asyncio.gather(*(note(job) for job in jobs))
    assert order == ["sleep0.2", "final", "partial"]


async def test_a_job_that_was_running_when_the_process_was_killed_is_run_again() -> None:
    async with running() as process:
        job = submit(process, "first sleep0.5 last")
        assert isinstance(await job.next(), Spoken)
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        waiting = submit(process, "waiting")
        assert await words(job) == ["sleep0.5", "last"]
        assert await words(waiting) == ["waiting"]
        statistics = process.statistics()
    assert (statistics.restarts, statistics.retries) == (1, 1)


async def test_a_job_that_kills_the_process_twice_fails_alone(tmp_path: Path) -> None:
    async with running() as process:
        deadly, harmless = submit(process, "die"), submit(process, "harmless")
        with pytest.raises(WorkerDied):
            await words(deadly)
        assert await words(harmless) == ["harmless"]
        assert await words(submit(process, f"dieonce{tmp_path}/x yes")) == [f"dieonce{tmp_path}/x", "yes"]


async def test_a_job_over_its_time_is_killed_and_not_tried_again() -> None:
    async with running(job_limit_s=0.3) as process:
        stuck, next_one = submit(process, "sleep30"), submit(process, "fine")
        with pytest.raises(ProviderTimeout):
            await words(stuck)
        assert await words(next_one) == ["fine"]
        assert process.statistics().timeouts == 1


async def test_a_failed_job_tells_no_callers_words() -> None:
    async with running() as process:
        with pytest.raises(ProviderError, match="ValueError") as caught:
            await words(submit(process, "fail"))
        assert "secret" not in str(caught.value)
        assert await words(submit(process, "fine")) == ["fine"]


async def test_a_cancelled_job_is_dropped_or_its_answer_ignored() -> None:
    async with running() as process:
        started, waiting = submit(process, "sleep0.2 a"), submit(process, "b")
        started.cancel()
        waiting.cancel()
        assert await words(submit(process, "c")) == ["c"]
        assert await words(waiting) == []


async def test_waiting_jobs_fail_when_the_process_stays_down(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.pipeline.providers.embedded.model_process._DOWN_LIMIT_S", 0.3)
    async with running() as process:
        assert process.pid is not None
        process._command = (sys.executable, "-P", "-c", WORKER, "broken")
        os.kill(process.pid, signal.SIGKILL)
        job = submit(process, "anything")
        with pytest.raises(WorkerDied, match="down"):
            await words(job)
        assert not process.ready
        with pytest.raises(WorkerDied):
            await words(submit(process, "at once"))


async def test_a_model_that_cannot_be_loaded_is_named_at_start() -> None:
    process = ModelProcess(
        "parrot",
        {},
        clock=LoopClock(asyncio.get_running_loop()),
        command=(sys.executable, "-P", "-c", WORKER, "broken"),
    )
    with pytest.raises(WorkerDied, match="no model here"):
        await process.start()


async def test_a_command_that_does_not_exist_is_an_error_of_the_start() -> None:
    process = ModelProcess(
        "parrot", {}, clock=LoopClock(asyncio.get_running_loop()), command=("/nonexistent/python",)
    )
    with pytest.raises(WorkerDied):
        await process.start()


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs the proc file system")
async def test_the_child_inherits_no_socket() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        inode = os.fstat(server.fileno()).st_ino
        async with running() as process:
            assert f"socket:[{inode}]" not in open_files(process.pid)


async def test_the_child_ends_when_its_parent_dies() -> None:
    script = (
        "import asyncio, os, sys\n"
        "from offhook.pipeline.clock import LoopClock\n"
        "from offhook.pipeline.providers.embedded.model_process import ModelProcess\n"
        "async def main():\n"
        "    process = ModelProcess('parrot', {}, clock=LoopClock(asyncio.get_running_loop()),\n"
        "        command=(sys.executable, '-P', '-c', sys.argv[1]))\n"
        "    await process.start()\n"
        "    print(process.pid, flush=True)\n"
        "    os.kill(os.getpid(), 9)\n"
        "asyncio.run(main())\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", script, WORKER, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    await parent.wait()
    for _ in range(100):
        if not alive(pid) or not open_files(pid):
            break
        await asyncio.sleep(0.05)
    else:
        pytest.fail("the child outlived its parent")
