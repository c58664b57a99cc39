"""Twilio, simulated: it takes calls to its numbers, places calls, follows their TwiML, and serves REST."""

from __future__ import annotations

__all__ = ["SimulatedTwilio"]

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager

import aiohttp

from offhook.config.errors import ProtocolError
from offhook.pipeline.clock import Clock

from .callbacks import Callbacks, Progress
from .calls import Call, CallLeg, CallUpdate, new_sid
from .course import Course
from .ending import Ending
from .own_numbers import OwnNumber
from .rest_interface import RestInterface
from .telephones import Telephone
from .webhook import Webhook
from .world import Routing, Subscriber, World

SubscriberOf = Callable[[CallLeg], Subscriber]


class SimulatedTwilio:
    """One account with its numbers, its calls, and the telephones around it.

    It may be used by many calls at once. Calls in need nothing more; those that the REST interface places, or
    changes, need it to be `listening`.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        account_sid: str | None = None,
        auth_token: str | None = None,
        telephones: Mapping[str, Telephone] | None = None,
        numbers: Iterable[str] = (),
        lost_stream_ends_call: bool = False,
        seed: int | None = None,
    ) -> None:
        """`auth_token` signs every request, and opens the REST interface; without it nothing is signed.

        `telephones` says what happens when a number is rung; `numbers` are the account's own.
        """
        generator = random.Random(seed)
        account_sid = account_sid or new_sid("AC", generator)
        self.world = World(clock, account_sid, generator, dict(telephones or {}), lost_stream_ends_call)
        self.account_sid, self.auth_token = account_sid, auth_token
        self.numbers = {number: OwnNumber(new_sid("PN", generator), number) for number in numbers}
        self.calls: dict[str, Call] = {}
        """Every call there was, by CallSid."""
        self.warnings: list[str] = []
        """What would be in Twilio's log of calls that the REST interface placed."""
        self._answering: dict[str, tuple[SubscriberOf, asyncio.Future[Ending]]] = {}
        self._placed: set[asyncio.Task[None]] = set()

    @property
    def telephones(self) -> dict[str, Telephone]:
        """What happens when a number (E.164) is rung; may be changed at any time."""
        return self.world.telephones

    def leg(self, from_number: str, to_number: str) -> CallLeg:
        """A new call from outside, before it rings."""
        return CallLeg(self.world.sid("CA"), self.account_sid, from_number, to_number)

    async def call_in(self, leg: CallLeg, subscriber: Subscriber, voice_url: str = "") -> Ending:
        """Let somebody call; `voice_url` is asked, or what the number that is called is routed to.

        Raises ProtocolError, with Twilio's error number, for what Twilio would refuse.
        """
        number = self.numbers.get(leg.to_number)
        routing = Routing(voice_url) if voice_url or number is None else number.routing()
        call = self.calls[leg.call_sid] = Call(leg)
        async with self._at_work(call, routing, subscriber.warn) as (webhook, callbacks, _):
            return await Course(call, routing, self.world, webhook, subscriber, callbacks).follow()

    async def answer(self, number: str, subscriber_of: SubscriberOf) -> Ending:
        """Sit at a telephone until the REST interface rings it, take the call, and return when it is over.

        Without this a number that is rung by the REST interface is not answered. Raises as `call_in`, and
        ProtocolError when the simulated Twilio stops `listening`.
        """
        ended: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._answering[number] = subscriber_of, ended
        try:
            return await ended
        finally:
            del self._answering[number]

    def answered_at(self, number: str) -> bool:
        """Somebody sits at the telephone of a number."""
        return number in self._answering

    def place(self, to_number: str, from_number: str, routing: Routing, timeout_s: float = 60.0) -> Call:
        """Have a number rung, as the REST interface does; it must be `listening`."""
        leg = CallLeg(self.world.sid("CA"), self.account_sid, from_number, to_number, "outbound-api")
        call = self.calls[leg.call_sid] = Call(leg, "queued")
        task = asyncio.create_task(self._ring(call, routing, timeout_s), name=f"placed-{leg.call_sid}")
        self._placed.add(task)
        task.add_done_callback(self._placed.discard)
        return call

    def update(self, call_sid: str, update: CallUpdate) -> bool:
        """Change a live call; False for too many changes. Raises KeyError for one that is not live."""
        call = self.calls[call_sid]
        if call.is_over:
            raise KeyError(call_sid)
        return call.updates.put(update)

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[str]:
        """Serve the REST interface on loopback while the block lasts; gives what stands for api.twilio.com.

        Calls that it placed and that go on at the end are cut off.
        """
        async with RestInterface(self).listening(port) as url:
            self.world.rest_url = url
            try:
                yield url
            finally:
                for task in self._placed:
                    task.cancel()
                await asyncio.gather(*self._placed, return_exceptions=True)
                for _, ended in self._answering.values():
                    if not ended.done():
                        ended.set_exception(ProtocolError("the simulated Twilio was closed"))

    @asynccontextmanager
    async def _at_work(
        self, call: Call, routing: Routing, warn: Callable[[str], None]
    ) -> AsyncIterator[tuple[Webhook, Callbacks, Progress]]:
        """What a call needs while it lasts; at the end it is over, and that is told."""
        # A connection for each request: one that was kept may be closed just when it is used again.
        connector = aiohttp.TCPConnector(force_close=True)
        async with aiohttp.ClientSession(connector=connector, trust_env=False) as session:
            webhook = Webhook(session, call.leg, self.auth_token)
            async with Callbacks(webhook, warn) as callbacks:
                progress = Progress(call, routing, self.world, callbacks)
                try:
                    yield webhook, callbacks, progress
                finally:
                    if not call.is_over:
                        call.end(self.world.clock.now(), "failed")
                    progress.tell("completed")

    async def _ring(self, call: Call, routing: Routing, timeout_s: float) -> None:
        """Ring a number, and if it is answered follow the call (Twilio's "Make outbound calls")."""
        async with self._at_work(call, routing, self.warnings.append) as (webhook, callbacks, progress):
            progress.tell("initiated")
            call.status = "ringing"
            progress.tell("ringing")
            number, clock = call.leg.to_number, self.world.clock
            rung = self.world.telephone(number).ring(timeout_s)
            there = rung.status != "completed" or self.answered_at(number)
            try:
                async with asyncio.timeout(rung.rang_s if there else timeout_s):
                    await call.updates.wait()
                call.end(clock.now(), "canceled")
                return
            except TimeoutError:
                pass
            if rung.status != "completed" or not self.answered_at(number):
                call.end(clock.now(), "no-answer" if rung.status == "completed" else rung.status)
                return
            subscriber_of, ended = self._answering[number]
            call.answer(clock.now())
            progress.tell("answered")
            course = Course(call, routing, self.world, webhook, subscriber_of(call.leg), callbacks)
            await _hand_on(course, ended)


async def _hand_on(course: Course, ended: asyncio.Future[Ending]) -> None:
    """Follow a call for somebody who waits for its end."""
    try:
        ending = await course.follow()
    except Exception as error:
        if not ended.done():
            ended.set_exception(error)
    else:
        if not ended.done():
            ended.set_result(ending)
