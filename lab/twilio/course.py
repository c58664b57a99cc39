"""The course of one call: its documents are asked for, and what they say is done, to the end."""

from __future__ import annotations

__all__ = ["Course", "Next"]

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

from offhook.config.errors import ProtocolError

from ..phone import StreamEnd
from . import dial_verb, sound_verbs, stream_verb
from .callbacks import Callbacks
from .calls import Call, CallUpdate
from .ending import Ending
from .errors import error_number, twilio_error
from .twiml import parse_twiml
from .verbs import ConnectStream, Dial, Hangup, Pause, Play, Record, Redirect, Reject, SayText, Verb
from .webhook import Webhook
from .world import Routing, Subscriber, World

T = TypeVar("T")
Next = tuple[Verb, ...] | Ending | None
"""What a verb leads to: another document, the end of the call, or the next verb."""

_MAX_DOCUMENTS = 20


class Course:
    """One call while it lasts; `follow` runs it."""

    def __init__(
        self,
        call: Call,
        routing: Routing,
        world: World,
        webhook: Webhook,
        subscriber: Subscriber,
        callbacks: Callbacks,
    ) -> None:
        self.call, self.routing, self.world = call, routing, world
        self.webhook, self.subscriber, self.callbacks = webhook, subscriber, callbacks
        self.last: StreamEnd | None = None
        """How the latest stream ended."""
        self.taken_by = ""
        """Who answered when the call was handed over."""
        self._documents = 0

    async def follow(self) -> Ending:
        """Do what the documents say until the call ends. Raises ProtocolError where Twilio would refuse."""
        outcome: Next
        if self.routing.twiml:
            outcome = parse_twiml(self.routing.twiml.encode(), self.routing.voice_url)
        else:
            outcome = await self.fetch(self.routing.voice_url, self.routing.voice_method)
        while not isinstance(outcome, Ending):
            outcome = await self._perform_all(outcome)
        return outcome

    async def fetch(
        self, url: str, method: str = "POST", more: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[Verb, ...]:
        """Ask for a document, with `more` fields; where that fails, the fallback is asked.

        Raises ProtocolError when there is none, or when it fails as well.
        """
        self._documents += 1
        if self._documents > _MAX_DOCUMENTS:
            raise twilio_error(11200, f"the call was redirected more than {_MAX_DOCUMENTS} times")
        try:
            return await self.webhook.fetch(url, self.call.status, method, more)
        except ProtocolError as error:
            fallback = self.routing.fallback_url
            if not fallback or self.call.is_over:
                raise
            self.note(f"fallback: {error.reason}")
            failed = {"ErrorCode": error_number(error), "ErrorUrl": url}
            return await self.webhook.fetch(fallback, self.call.status, self.routing.fallback_method, failed)

    def note(self, line: str) -> None:
        """Tell what the call does."""
        self.subscriber.note(line)

    async def unless_changed(self, doing: Coroutine[Any, Any, T]) -> T | None:
        """Do something, but no further than to a change over the REST interface: None then."""
        working = asyncio.create_task(doing, name="verb")
        watching = asyncio.create_task(self.call.updates.wait(), name="updates")
        try:
            await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
            return None if watching.done() else working.result()
        finally:
            for task in (working, watching):
                task.cancel()
            await asyncio.gather(working, watching, return_exceptions=True)

    async def changed(self) -> Next:
        """Do what was asked over the REST interface, if anything was; no `action` is asked then."""
        update = self.call.updates.take()
        if update is None:
            return None
        return await self._updated(update)

    async def stay(self, doing: Coroutine[Any, Any, bool]) -> Next:
        """Have the caller wait or listen: a change, the end if the caller hung up, or nothing of the kind."""
        stayed = await self.unless_changed(doing)
        if stayed is None:
            return await self.changed()
        return None if stayed else self.hung_up()

    def hung_up(self, reason: str = "hung up") -> Ending:
        """The caller has ended the call."""
        self.end()
        return Ending("caller", reason)

    def end(self) -> None:
        """The call is over; what is asked behind it is told so."""
        self.call.end(self.world.clock.now())

    def over(self) -> Ending:
        """The TwiML is over: somebody took the call, or a stream that broke before makes it a lost one."""
        if self.taken_by:
            return Ending("transfer", f"transferred to {self.taken_by}", self.taken_by)
        if self.last is not None and self.last.by == "lost":
            code = f" with code {self.last.close_code}" if self.last.close_code else ""
            return Ending("lost", f"the stream ended{code}: {self.last.reason}".rstrip(": "))
        return Ending("agent", "" if self.last else "the TwiML ended without a stream")

    async def _updated(self, update: CallUpdate) -> Next:
        if update.completed:
            self.note("REST: completed")
            return self.over()
        self.note("REST: other TwiML")
        if update.url:
            return await self.fetch(update.url, update.method)
        return parse_twiml(update.twiml.encode(), self.routing.voice_url)

    async def _perform_all(self, verbs: tuple[Verb, ...] | None) -> Next:
        """Do the verbs of one document."""
        for verb in verbs or ():
            if (changed := await self.changed()) is not None:
                return changed
            if not _leaves_unanswered(verb):
                self.call.answer(self.world.clock.now())
            after = await _PERFORM[type(verb)](self, verb)
            if after is not None:
                return after
        return self.over()


def _leaves_unanswered(verb: Verb) -> bool:
    """Twilio goes on ringing while it does these (its reference of each verb)."""
    return isinstance(verb, Pause | Reject) or (isinstance(verb, Dial) and verb.answer_on_bridge)


async def _hangup(course: Course, _: Hangup) -> Next:
    course.note("<Hangup>")
    return course.over()


async def _reject(course: Course, verb: Reject) -> Next:
    course.note(f"<Reject> {verb.reason}")
    course.call.end(course.world.clock.now(), "busy" if verb.reason == "busy" else "no-answer")
    return Ending("agent", f"the call was not answered: {verb.reason}")


async def _redirect(course: Course, verb: Redirect) -> Next:
    course.note(f"<Redirect> {verb.url}")
    return await course.fetch(verb.url, verb.method)


async def _say(course: Course, verb: SayText) -> Next:
    course.note(f"<Say> {verb.text}")
    return None


async def _pause(course: Course, verb: Pause) -> Next:
    course.note(f"<Pause> {verb.length_s:g} s")
    return await course.stay(course.subscriber.wait(verb.length_s))


_PERFORM: dict[type, Callable[[Course, Any], Awaitable[Next]]] = {
    ConnectStream: stream_verb.connect,
    Dial: dial_verb.dial,
    Hangup: _hangup,
    Pause: _pause,
    Play: sound_verbs.play,
    Record: sound_verbs.record,
    Redirect: _redirect,
    Reject: _reject,
    SayText: _say,
}
