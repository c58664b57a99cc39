"""Puts a whole server together: assistants, engines, calls, and the port."""

from __future__ import annotations

__all__ = ["Membership", "RunningServer", "drain", "run_server", "serve_in_process", "serving", "unreachable"]

import asyncio
import errno
import os
import signal
import socket
from collections import Counter
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog

from offhook.config.assistant_files import AssistantFiles
from offhook.config.assistants import DEMO
from offhook.config.errors import ConfigError, ConfigProblem, ProviderError
from offhook.config.section import did_you_mean
from offhook.config.settings import Settings
from offhook.config.settings_checks import contradictions
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.providers.catalogue import unmet_needs
from offhook.pipeline.providers.web.late_results import LateResults

from .allocator import use_one_arena
from .assistant_request import assistant_requests
from .call_factory import ConversationFactory
from .call_store import CallStore
from .engine_room import EngineRoom
from .events_out.telling import telling
from .garbage import GarbageRounds
from .pool_workers import PoolWorkers
from .posted_assistants import PostedAssistants
from .recording.recorder import recorder_of, unmet_recording
from .server import Server
from .workers.place import WorkerPlace

DRAIN_S = 300.0
"""How long live calls may go on after the server was told to stop; a second signal ends them at once."""

log = structlog.get_logger("offhook.bridge")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that takes calls."""

    server: Server
    host: str
    port: int

    @property
    def base_url(self) -> str:
        """Where it is reached from this machine."""
        return f"http://{self.host}:{self.port}"

    @property
    def webhook_url(self) -> str:
        """What Twilio would be pointed at."""
        return f"{self.base_url}/voice/inbound"

    @property
    def media_url(self) -> str:
        """What a TwiML Bin would be pointed at."""
        return f"ws://{self.host}:{self.port}/media"


@dataclass(frozen=True, slots=True)
class Membership:
    """What makes a server one of several workers."""

    place: WorkerPlace
    store: CallStore
    listen_when_warm: bool = False
    """Take no connection before; else early callers hear an apology."""


@asynccontextmanager
async def serving(
    settings: Settings,
    assistant: Path | None = None,
    folder: Path | None = None,
    membership: Membership | None = None,
) -> AsyncIterator[RunningServer]:
    """Listen at once, and take calls as soon as the models are warm; yields when they are.

    One of several workers is told its `membership`. Whoever leaves the block ends all calls that are still
    up.

    Raises ConfigError, also for a port that cannot be listened on and for what the default assistant's
    vendors lack, ProviderError, and, as one of several workers, StoreUnavailable.
    """
    use_one_arena()
    clock = LoopClock(asyncio.get_running_loop())
    files = AssistantFiles(assistant or DEMO, folder, problems=_say_bad_edit)
    default = files.current()
    unmet = [
        *unmet_needs(default, settings.account),
        *unmet_recording(default, settings.data_folder),
        *contradictions(settings),
        *_numbers_of_nobody(settings, files.names()),
    ]
    if unmet:
        raise ConfigError(unmet)
    posts: Counter[str] = Counter()
    late_results = LateResults()
    async with (
        PoolWorkers() as workers,
        PoolWorkers(threads=1) as voice_activity_thread,
        telling(settings, clock, workers, posts) as announce,
        recorder_of(settings, clock) as recorder,
        assistant_requests(settings) as requests,
    ):
        room = EngineRoom(
            clock,
            workers,
            voice_activity_thread,
            account=settings.account,
            late_results=late_results,
            served=lambda: (*files.loaded(), *posted.loaded(), *factory.served),
        )
        posted = PostedAssistants(clock, room.warm)
        factory = ConversationFactory(
            clock=clock,
            assistants=files.current,
            engines=room.engines,
            is_ready=lambda: room.ready,
            posted=posted,
            announce=announce,
            expect=room.expect_call,
            recorder=recorder,
        )
        server = Server(
            settings,
            factory,
            clock,
            watchdog=True,
            store=None if membership is None else membership.store,
            place=None if membership is None else membership.place,
            posted=posted,
        )
        server.state.posts = posts
        server.state.late_results = late_results
        server.state.recorder = recorder
        server.state.assistant_requests = requests
        garbage = GarbageRounds(clock, lambda: server.state.registry.counts)
        late = membership is not None and membership.listen_when_warm
        port = None if late else await _listen(server, settings)
        try:
            await room.warm(default)
            for name in files.names():
                await _warm_beside(room, files, name)
            # The collection before the first call is no lag of the loop's.
            server.state.lag.stop()
            garbage.start()
            if port is None:
                port = await _listen(server, settings)
            else:
                server.state.lag.start()
            host = "127.0.0.1" if settings.host in ("", "0.0.0.0", "::") else settings.host  # noqa: S104
            log.info("server.ready", assistant=default.name, port=port, pid=os.getpid())
            yield RunningServer(server, host, port)
        finally:
            await server.stop()
            garbage.stop()
            await room.close()


@asynccontextmanager
async def serve_in_process(settings: Settings, assistant: Path | None = None) -> AsyncIterator[RunningServer]:
    """A server for one caller in this process, on a port that the system chooses."""
    async with serving(settings.model_copy(update={"host": "127.0.0.1", "port": 0}), assistant) as running:
        yield running


async def run_server(settings: Settings, assistant: Path | None, folder: Path | None) -> None:
    """Serve until SIGTERM or SIGINT, let live calls end, then stop; a second signal stops at once."""
    stop, now = asyncio.Event(), asyncio.Event()

    def told_to_stop() -> None:
        (now if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    async with serving(settings, assistant, folder) as running:
        await stop.wait()
        await drain(running.server, now)


async def drain(server: Server, now: asyncio.Event) -> None:
    """Take no new calls, and return when the live ones have ended, or had 300 s for it, or at `now`."""
    log.info(
        "server.draining",
        calls=len(server.state.registry.live()),
        within_s=DRAIN_S,
        meaning="live calls may end; a second signal ends them at once",
    )
    draining = asyncio.create_task(server.stop(DRAIN_S))
    impatient = asyncio.create_task(now.wait())
    await asyncio.wait((draining, impatient), return_when=asyncio.FIRST_COMPLETED)
    for task in (draining, impatient):
        task.cancel()
    await asyncio.gather(draining, impatient, return_exceptions=True)


def _numbers_of_nobody(settings: Settings, names: Collection[str]) -> Iterator[ConfigProblem]:
    for number, name in settings.assistant_numbers.items():
        if name not in names:
            yield ConfigProblem(
                "environment",
                "OFFHOOK_ASSISTANT_NUMBERS",
                f"gives {number} to {name!r}, which is no file in the folder of --assistants.",
                f"{did_you_mean(name, names)} There are: {', '.join(names) or 'none'}.".strip(),
            )


async def _listen(server: Server, settings: Settings) -> int:
    try:
        return await server.start(settings.host, settings.port)
    except OSError as error:
        raise ConfigError([unreachable(settings, error)]) from error


async def _warm_beside(room: EngineRoom, files: AssistantFiles, name: str) -> None:
    """Warm another assistant than the default one; if that fails its own calls are refused, and no others."""
    try:
        await room.warm(files.current(name))
    except ConfigError as error:
        _say_problems("assistant.not-served", error)
    except ProviderError as error:
        log.error("assistant.not-served", place=name, problem=str(error))


def _say_bad_edit(error: ConfigError) -> None:
    _say_problems("assistant.bad-edit", error)


def _say_problems(event: str, error: ConfigError) -> None:
    for problem in error.problems:
        place = f"{problem.source}: {problem.key}" if problem.key else problem.source
        log.error(event, place=place, problem=problem.message, fix=problem.fix)


def unreachable(settings: Settings, error: OSError) -> ConfigProblem:
    """Say why nobody can listen there, in the system's words, and what to do."""
    host_is_wrong = isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL
    name = error.strerror if isinstance(error, socket.gaierror) else os.strerror(error.errno or 0)
    return ConfigProblem(
        "server",
        f"{settings.host}:{settings.port}",
        f"cannot be listened on: {name}.",
        "Choose an address of this machine with --host or HOST."
        if host_is_wrong
        else "Stop what listens there, or choose another port with --port or PORT.",
    )
