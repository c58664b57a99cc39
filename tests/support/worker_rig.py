"""Several workers in one process: a server each, one store, and private sockets between them."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web
from bridge_rig import EchoFactory, loop_clock, settings
from websockets.asyncio.client import connect

from offhook.bridge.call_store import CallStore
from offhook.bridge.server import Server
from offhook.bridge.workers.place import WorkerPlace
from offhook.bridge.workers.sqlite_store import SqliteStore


@dataclass
class Worker:
    """One of them, on a port of its own: so a test chooses whom it asks."""

    server: Server
    factory: EchoFactory
    place: WorkerPlace
    port: int

    @property
    def page(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stream(self) -> connect:
        return connect(f"ws://127.0.0.1:{self.port}/media", compression=None, proxy=None)


@asynccontextmanager
async def workers(
    count: int = 2,
    wrap: Callable[[CallStore], CallStore] = lambda store: store,
    routes: Iterable[web.RouteDef] = (),
    **fields: Any,
) -> AsyncIterator[list[Worker]]:
    """Start them, and stop those that still run."""
    with tempfile.TemporaryDirectory(prefix="offhook-") as folder:
        async with AsyncExitStack() as stack:
            crew = []
            for index in range(count):
                place = WorkerPlace(index, f"{folder}/{index}.sock", "s3cret", b"k" * 32)
                chosen = settings(**{"max_calls": 4, **fields})
                file = Path(folder) / "calls.sqlite"
                store = await stack.enter_async_context(SqliteStore(file, chosen.max_calls))
                factory = EchoFactory()
                server = Server(chosen, factory, loop_clock(), store=wrap(store), place=place)
                server.app.add_routes(routes)
                port = await server.start("127.0.0.1", 0)
                stack.push_async_callback(server.stop)
                crew.append(Worker(server, factory, place, port))
            yield crew
