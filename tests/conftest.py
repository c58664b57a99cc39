"""Every async test runs on virtual time, but for those marked realtime."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from virtual_loop import VirtualLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Virtual time for unit tests; asyncio and uvloop for tests of real sockets."""
    if item.get_closest_marker("realtime") is None:
        return {"virtual": VirtualLoop}
    if item.get_closest_marker("both_loops") is None:
        return {"asyncio": asyncio.new_event_loop}
    import uvloop

    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
