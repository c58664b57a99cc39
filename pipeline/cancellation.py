"""Who cancelled: whoever owns the task, or something within the work it awaits."""

from __future__ import annotations

__all__ = ["cancelled_from_inside"]

import asyncio


def cancelled_from_inside() -> bool:
    """Tell, in an `except asyncio.CancelledError`, that nobody asked this task to end.

    A client library may cancel its own inner task and let the exception out; that is a failure of the
    work, and the call goes on.
    """
    task = asyncio.current_task()
    return task is not None and not task.cancelling()
