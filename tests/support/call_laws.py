"""What holds in every call, whatever happens in it, and a call that is watched for it.

Each law is a function named by what it demands; it yields how a call breaks it. `call_watch` has those of
every moment, this file those of a call that is over.
"""

from __future__ import annotations

import asyncio
import gc
import json
import warnings
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import groupby, pairwise
from typing import Any, TypeVar

import structlog.testing
from call_watch import (
    AUDIO_LAWS,
    BYTES_PER_S,
    EVENT_LAWS,
    Breach,
    Watch,
    WatchedRig,
    everything_that_waits_is_bounded,
)
from fake_engines import WORD_S, Answerer

from offhook.config.assistant import Assistant
from offhook.pipeline.messages import AgentSaid, CallerSaid, Instructions, Message, ToolAnswered

__all__ = [
    "HEARD_WITHIN_BYTES",
    "LAWS",
    "WORD_BYTES",
    "Unlawful",
    "WatchedRig",
    "history_of",
    "lawful_call",
    "watched",
]

ENDS_WITHIN_S = 2.0
WORD_BYTES = int(WORD_S * BYTES_PER_S)
HEARD_WITHIN_BYTES = 400
"""The heard point may be 50 ms off: a frame, and an echo that is on its way."""
ANSWER_BEGINS_WITHIN_S = 30.0
"""A turn of the caller's that nobody takes up again is answered, if only by an apology."""
PAUSE_ENDS_WITHIN_S = 12.0
"""Twice the time to decide, and the longest that a random call keeps the caller's audio away."""
ENGINE_STAGES = {"transcriber", "model", "voice", "reply", "voice-activity"}
OWN_FAILURES = {"call.broke", "pacing.member-failed", "call.control-failed"}

Log = Sequence[Mapping[str, Any]]
EndLaw = Callable[[WatchedRig, Log], Iterable[str]]


def history_of(rig: WatchedRig) -> tuple[Message, ...]:
    """The conversation as the model would be told it now."""
    return rig.call._replies.history.messages()


def _histories(rig: WatchedRig) -> Iterator[tuple[Message, ...]]:
    """All that the model was ever told, and what it would be told now."""
    yield from (request.messages for request in rig.model.requests)
    yield history_of(rig)


# ------------------------------------------------------------------ what the model is told


def history_alternates(rig: WatchedRig, log: Log) -> Iterator[str]:
    """The instructions come first, and no two turns of the caller's stand in a row."""
    for messages in _histories(rig):
        if not isinstance(messages[0], Instructions):
            yield "the instructions do not come first"
        for before, after in pairwise(messages):
            if isinstance(before, CallerSaid) and isinstance(after, CallerSaid):
                yield f"two turns of the caller's in a row: {before.text!r}, {after.text!r}"


def heard_text_begins_what_was_made(rig: WatchedRig, log: Log) -> Iterator[str]:
    """A reply's heard words are the first of those that were made; all of them, if nobody cut in."""
    for said in history_of(rig):
        if isinstance(said, AgentSaid):
            if not said.generated.startswith(said.text):
                yield f"heard {said.text!r}, but {said.generated!r} was made"
            if not said.interrupted and said.text != said.generated:
                yield f"not interrupted, but only {said.text!r} of {said.generated!r} was heard"


def each_tool_call_is_answered_once(rig: WatchedRig, log: Log) -> Iterator[str]:
    """Right behind its request (perhaps "pending"), and once more if that was no answer yet."""
    for messages in _histories(rig):
        waiting: dict[str, bool] = {}
        """By request: whether its last answer was "pending"."""
        for place, message in enumerate(messages):
            if isinstance(message, AgentSaid):
                behind = _answers_behind(messages, place)
                for request in message.tool_requests:
                    if request.id not in behind:
                        yield f"request {request.id} has no answer right behind it"
                    if request.id in waiting:
                        yield f"request {request.id} is in the history twice"
                    waiting[request.id] = True
            elif isinstance(message, ToolAnswered):
                if not waiting.get(message.request_id, False):
                    yield f"an answer to {message.request_id}, which waits for none"
                waiting[message.request_id] = message.pending


def _answers_behind(messages: Sequence[Message], place: int) -> set[str]:
    answers = set()
    for message in messages[place + 1 :]:
        if not isinstance(message, ToolAnswered):
            break
        answers.add(message.request_id)
    return answers


def equal_tool_calls_do_not_run_at_once(rig: WatchedRig, log: Log) -> Iterator[str]:
    """While a tool runs, the same request shares its execution."""
    running: dict[str, str] = {}
    for event in rig.log.events:
        if event.type == "function-call":
            arguments = json.loads(str(event.data["arguments"]) or "{}")
            key = json.dumps([event.data["name"], arguments], sort_keys=True)
            if key in running.values():
                yield f"{key} was started while it ran"
            running[str(event.data["id"])] = key
        elif event.type == "function-result":
            running.pop(str(event.data["id"]), None)


def each_text_is_answered_once(rig: WatchedRig, log: Log) -> Iterator[str]:
    """Whoever writes is told once what became of it, and what was answered is told as an event, too."""
    for number, answers in enumerate(rig.posts, 1):
        if len(answers) != 1:
            yield f"text {number} got {len(answers)} answers"
    told = sum(not answer.why for answers in rig.posts for answer in answers)
    if told != len(rig.log.of("message.answered")):
        yield f"{told} texts were answered, {len(rig.log.of('message.answered'))} events tell of it"


# --------------------------------------------------------------------- what was heard


def history_holds_only_heard_words(rig: WatchedRig, log: Log) -> Iterator[str]:
    """Every word of a reply's heard text sounded for more than half of its length."""
    sounded = _sounded(rig, sum)
    for reply, number in _heard_words(rig):
        if sounded[reply, number] < WORD_BYTES / 2 - _tolerance(rig):
            yield f"word{number} of reply {reply} counts as heard, but {sounded[reply, number]} bytes sounded"


def every_heard_word_is_in_the_history(rig: WatchedRig, log: Log) -> Iterator[str]:
    """A word that sounded for more than half of its length is in the heard text of its reply."""
    heard = set(_heard_words(rig))
    settled = {reply for reply, _ in _settled(rig)}
    for (reply, number), length in _sounded(rig, max).items():
        long_enough = length > WORD_BYTES / 2 + _tolerance(rig)
        if long_enough and reply in settled and number in rig.word_born and (reply, number) not in heard:
            yield f"word{number} of reply {reply} sounded for {length} bytes, but does not count as heard"


def _tolerance(rig: WatchedRig) -> float:
    return rig.heard_within_s * BYTES_PER_S


def _settled(rig: WatchedRig) -> list[tuple[int, str]]:
    """Every reply that is over, with its heard text."""
    return [(int(data["reply"]), str(data["heard_text"])) for data in rig.log.of("reply.ended")]


def _heard_words(rig: WatchedRig) -> list[tuple[int, int]]:
    """(reply, number) of the words that count as heard; only words with a number can be judged."""
    return [
        (reply, int(digits))
        for reply, text in _settled(rig)
        for word in text.split()
        if word.startswith("word") and (digits := "".join(sign for sign in word if sign.isdigit()))
    ]


def _sounded(rig: WatchedRig, measure: Callable[[Iterable[int]], int]) -> defaultdict[tuple[int, int], int]:
    """Bytes of each word, by reply and number, that the far end played: of all its runs, or of the longest.

    A gap in the middle of a word makes two runs of it; so does a word that is said again after a pause.
    """
    runs: dict[tuple[int, int], list[int]] = defaultdict(list)
    for reply, audio in rig.line.heard_pieces():
        for number, run in groupby(audio):
            runs[reply, number].append(len(list(run)))
    return defaultdict(int, {word: measure(lengths) for word, lengths in runs.items()})


def every_turn_is_answered(rig: WatchedRig, log: Log) -> Iterator[str]:
    """After a caller's turn the agent is heard, or the caller goes on, or the call is over."""
    ends = {"playout.first-frame", "reply.withdrawn", "call.ended"}
    for since in _overdue(rig, "turn.ended", ends, ANSWER_BEGINS_WITHIN_S):
        yield f"the turn that ended at {since:.3f} s got no answer"


def every_pause_is_decided(rig: WatchedRig, log: Log) -> Iterator[str]:
    """A reply that is held back goes on, or is given up; it never hangs."""
    ends = {"barge-in.decided", "reply.ended", "reply.withdrawn", "call.ended"}
    for since in _overdue(rig, "barge-in.paused", ends, PAUSE_ENDS_WITHIN_S):
        yield f"the pause at {since:.3f} s was not decided"


def _overdue(rig: WatchedRig, begins: str, ends: set[str], within_s: float) -> Iterator[float]:
    """When something began that had no end in time."""
    since: float | None = None
    for event in rig.log.events:
        if since is not None and event.at_ms / 1000 - since > within_s:
            yield since
            since = None
        if event.type == begins:
            since = event.at_ms / 1000
        elif event.type in ends:
            since = None


# -------------------------------------------------------------------------- what is left


def no_part_fails_by_itself(rig: WatchedRig, log: Log) -> Iterator[str]:
    """Only engines may fail; our own logic never does."""
    yield from (str(entry) for entry in log if entry["event"] in OWN_FAILURES)
    yield from (str(dict(data)) for data in rig.log.of("fault") if data["stage"] not in ENGINE_STAGES)


def nothing_of_the_call_is_left(rig: WatchedRig, log: Log) -> Iterator[str]:
    """No stream, place on the wheel or timer of ours outlives the call."""
    if rig.voice_activity.open_streams:
        yield "a stream of voice activity is still open"
    if rig.wheel._members or rig.wheel._timer is not None:
        yield "the pacing wheel still serves the call"
    yield from (f"timer left: {name}" for name in our_timers())


def our_timers() -> list[str]:
    """What the loop would still run for the product, by name (asyncio's own loop, and detangle's)."""
    loop: Any = asyncio.get_running_loop()
    handles: Iterable[asyncio.TimerHandle] = getattr(loop, "_scheduled", None) or [
        handle for _, _, handle in getattr(loop, "_timers", ())
    ]
    names = []
    for handle in handles:
        callback: Any = handle._callback  # type: ignore[attr-defined]
        if handle.cancelled() or callback is None:
            continue
        owner = getattr(callback, "__self__", None)
        module = type(owner).__module__ if owner is not None else getattr(callback, "__module__", "")
        if str(module).startswith(("offhook.", "asyncio.timeouts")):
            names.append(str(callback))
    return names


END_LAWS: tuple[EndLaw, ...] = (
    history_alternates,
    heard_text_begins_what_was_made,
    each_tool_call_is_answered_once,
    equal_tool_calls_do_not_run_at_once,
    each_text_is_answered_once,
    history_holds_only_heard_words,
    every_heard_word_is_in_the_history,
    every_turn_is_answered,
    every_pause_is_decided,
    no_part_fails_by_itself,
    nothing_of_the_call_is_left,
)
LAWS = (
    *(law.__name__ for law in (*AUDIO_LAWS, *EVENT_LAWS, everything_that_waits_is_bounded, *END_LAWS)),
    "loop_is_left_without_an_error",
    "every_task_is_gone_in_time",
    "nothing_warns",
    "every_call_ends",
)
"""The names of all laws."""

# -------------------------------------------------------------------------- a lawful call

R = TypeVar("R", bound=WatchedRig)


class Unlawful(AssertionError):
    """A call broke laws."""

    def __init__(self, breaches: Sequence[Breach]) -> None:
        super().__init__("\n".join(map(str, breaches)))
        self.laws = {breach.law for breach in breaches}


@asynccontextmanager
async def lawful_call(
    assistant: Assistant, answerer: Answerer, *, latency_s: float = 0.02, closes: bool = True
) -> AsyncIterator[WatchedRig]:
    """Run a call under watch until the block ends, then close its line. Raises Unlawful."""
    async with watched(WatchedRig(assistant, answerer, latency_s=latency_s), closes=closes) as rig:
        yield rig


@asynccontextmanager
async def watched(rig: R, *, closes: bool = True) -> AsyncIterator[R]:
    """Run a rig's call under watch until the block ends, then close its line. Raises Unlawful."""
    loop = asyncio.get_running_loop()
    watch = Watch(rig)
    handler_before = loop.get_exception_handler()
    loop.set_exception_handler(watch.loop_is_left_without_an_error)
    before = asyncio.all_tasks()
    with warnings.catch_warnings(record=True) as warned, structlog.testing.capture_logs() as log:
        warnings.simplefilter("always")
        rig.running = asyncio.create_task(rig.call.run())
        pump = asyncio.create_task(rig.pump())
        try:
            yield rig
        finally:
            if closes:
                rig.line.hang_up()
                rig.call.line_closed("test over")
            await _end(rig, watch, pump, before)
            loop.set_exception_handler(handler_before)
            watch.close()
        for law in END_LAWS:
            for what in law(rig, log):
                watch.broken(law.__name__, what)
        # What only cycles hold is let go of here, so that its warnings are this call's.
        gc.collect(1)
    for warning in warned:
        watch.broken("nothing_warns", str(warning.message))
    if watch.breaches:
        raise Unlawful(watch.breaches)


async def _end(
    rig: WatchedRig, watch: Watch, pump: asyncio.Task[None], before: set[asyncio.Task[Any]]
) -> None:
    """Let the call end; frames, marks and words still come for a while, and must find nothing to break."""
    await asyncio.wait((rig.running,), timeout=ENDS_WITHIN_S)
    await asyncio.sleep(0.5)
    left = asyncio.all_tasks() - before - {pump}
    if left:
        names = sorted(str(task.get_coro()) for task in left)
        watch.broken("every_task_is_gone_in_time", f"{ENDS_WITHIN_S:g} s after the end there are {names}")
        for task in left:
            task.cancel()
    pump.cancel()
    await asyncio.gather(pump, *left, return_exceptions=True)
    if not rig.running.cancelled() and (error := rig.running.exception()) is not None:
        watch.broken("no_part_fails_by_itself", f"the call raised {error!r}")
