"""`<Dial>`: somebody else is rung, and talks; Twilio documentation of `<Dial>`, its `action` and statuses."""

from __future__ import annotations

__all__ = ["dial"]

from typing import TYPE_CHECKING

from .ending import Ending
from .telephones import Rung, ring_all
from .verbs import Dial

if TYPE_CHECKING:
    from .course import Course, Next

_TOLD_RUNGS = {"completed": "answered", "no-answer": "nobody answered"}


async def dial(course: Course, verb: Dial) -> Next:
    """Ring them all, let the first who answers talk, and ask what is next."""
    course.note(f"<Dial> {', '.join(verb.numbers)}")
    telephones = {number: course.world.telephone(number) for number in verb.numbers}
    number, rung = ring_all(telephones, verb.timeout_s)
    stayed = await course.unless_changed(course.subscriber.wait(rung.rang_s))
    if stayed is None:
        return await course.changed()
    gone: Ending | None = None
    talked_s = min(rung.talked_s, verb.time_limit_s)
    if not stayed:
        gone, rung, talked_s = course.hung_up("hung up while it rang"), Rung("no-answer", rung.rang_s), 0.0
    else:
        course.note(f"{number}: {_TOLD_RUNGS.get(rung.status, rung.status)} after {rung.rang_s:g} s")
    if rung.status == "completed":
        course.taken_by = number
        course.call.answer(course.world.clock.now())
        if await course.unless_changed(_talk(course, talked_s)) is None:
            return await course.changed()
    if verb.action is None:
        return gone
    told = {
        "DialCallStatus": rung.status,
        "DialCallSid": course.world.sid("CA"),
        "DialCallDuration": f"{talked_s:.0f}",
        "DialBridged": str(rung.status == "completed").lower(),
    }
    document = await course.fetch(verb.action, verb.method, told)
    return gone or document


async def _talk(course: Course, seconds: float) -> bool:
    clock = course.world.clock
    await clock.sleep_until(clock.now() + seconds)
    return True
