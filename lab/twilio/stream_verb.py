"""`<Connect><Stream>`: the call's audio goes to the bridge, and callbacks tell how that goes."""

from __future__ import annotations

__all__ = ["connect"]

import asyncio
from typing import TYPE_CHECKING

from offhook.config.errors import ProtocolError

from ..phone import StreamEnd
from ..script import HangUpKind
from .ending import Ending
from .verbs import ConnectStream

if TYPE_CHECKING:
    from .course import Course, Next

_KNOWN_AFTER_S = 0.05
"""Another machine asks the webhooks than has the stream: it learns of its end a network's way later."""


async def connect(course: Course, verb: ConnectStream) -> Next:
    """Stream until somebody ends it, and ask what is next; Twilio documentation of `<Connect>`, `action`."""
    course.note(f"<Connect><Stream> {verb.url}")
    course.taken_by = ""
    end = course.last = await _streamed(course, verb)
    await course.world.clock.sleep_until(course.world.clock.now() + _KNOWN_AFTER_S)
    if (changed := await course.changed()) is not None:
        # The bridge closes its socket behind the request; whichever came first, the request counts.
        return changed
    if end.by == "lost" and course.world.lost_stream_ends_call:
        course.end()
        return course.over()
    gone = _gone(end)
    if gone is not None:
        course.end()
    if verb.action and end.reason != HangUpKind.VANISH.value:
        document = await course.fetch(verb.action, verb.method)
        return gone or document
    return gone


def _gone(end: StreamEnd) -> Ending | None:
    """The end of the call where the caller's side ended the stream."""
    if end.by == "caller":
        return Ending("caller", end.reason)
    return Ending("limit", end.reason) if end.by == "limit" else None


async def _streamed(course: Course, verb: ConnectStream) -> StreamEnd:
    """Run the stream until it ends, or until the call is to do something else, and tell of it."""
    stream_sid = course.world.sid("MZ")

    def tell(event: str, error: str = "") -> None:
        """The stream's status callback; Twilio documentation, "Stream", `statusCallback`."""
        if verb.status_callback is None:
            return
        fields = {
            "AccountSid": course.call.leg.account_sid,
            "CallSid": course.call.leg.call_sid,
            "StreamSid": stream_sid,
            "StreamName": verb.name or stream_sid,
            "StreamEvent": event,
            "Timestamp": course.world.now().isoformat(timespec="milliseconds"),
        }
        more = {"StreamError": error} if error else {}
        course.callbacks.send(verb.status_callback, fields | more, verb.status_callback_method)

    streaming = asyncio.create_task(
        course.subscriber.stream(verb, stream_sid, lambda: tell("stream-started")), name="stream"
    )
    watching = asyncio.create_task(_first_update(course), name="updates")
    try:
        end = await streaming
    except ProtocolError as error:
        tell("stream-error", error.reason)
        raise
    finally:
        for task in (streaming, watching):
            task.cancel()
        await asyncio.gather(streaming, watching, return_exceptions=True)
    tell("stream-stopped")
    return end


async def _first_update(course: Course) -> None:
    """End the stream when there is an update, which is left where it is."""
    await course.call.updates.wait()
    course.subscriber.take_away()
