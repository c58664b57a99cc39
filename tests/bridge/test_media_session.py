"""One stream's life: admission, routing, and the end of everything, with the socket played by the test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from bridge_rig import (
    CALL_SID,
    EchoCall,
    EchoFactory,
    connected,
    digit,
    loop_clock,
    mark,
    media,
    settings,
    start,
    stop,
)
from structlog.testing import capture_logs

from offhook.bridge.media_session import END_WITHIN_S, START_WITHIN_S, MediaSession
from offhook.bridge.media_socket import CONNECTION_LOST
from offhook.bridge.registry import HANG_UP_GRACE_S, CallStatus
from offhook.bridge.server_state import ServerState
from offhook.bridge.stream_rules import RULES
from offhook.bridge.twilio.dialect import Dialect
from offhook.bridge.twilio.line import TwilioLine


class ScriptedSocket:
    """The session's socket; remembers what was sent and how it was closed."""

    congested = False

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed: tuple[int, str] | None = None

    @property
    def open(self) -> bool:
        return self.closed is None

    def send_text(self, text: bytes) -> None:
        self.sent.append(text)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.closed = self.closed or (code, reason)


class Stream:
    """A session and the socket it lives on."""

    def __init__(self, state: ServerState) -> None:
        self.socket, dialect = ScriptedSocket(), Dialect()
        self.session = MediaSession(state, dialect)
        self.session.attach(self.socket, lambda: TwilioLine(self.socket, dialect))
        self.task = asyncio.create_task(self.session.run())

    async def say(self, *messages: str) -> None:
        for text in messages:
            self.session.message_received(text.encode())
        await asyncio.sleep(0.01)

    async def begin(self, **parameters: str) -> None:
        await self.say(connected(), start(parameters=parameters))


class House:
    """A server without its network."""

    def __init__(self, **fields: Any) -> None:
        self.factory = EchoFactory()
        self.state = ServerState.build(settings(**fields), self.factory, loop_clock())

    def stream(self) -> Stream:
        return Stream(self.state)

    @property
    def call(self) -> EchoCall:
        return self.factory.calls[-1]

    def prepare(self, prepare: Callable[[EchoCall], None]) -> None:
        self.factory.prepare = prepare


async def test_events_reach_the_call_and_the_call_the_line() -> None:
    house = House()
    stream = house.stream()
    await stream.begin()
    await stream.say(media(1, b"abc"), mark("m1"), digit("7"))
    assert house.call.heard == [(b"abc", 155)]
    assert (house.call.marks, house.call.digits) == (["m1"], ["7"])
    assert b'"media"' in stream.socket.sent[0]
    await stream.say(stop())
    await stream.task
    assert house.call.reasons == ["stopped"]
    assert house.call.finished
    assert house.state.registry.live() == ()
    entry = house.state.registry.get(CALL_SID)
    assert entry is not None
    assert (entry.status, entry.outcome) == (CallStatus.ENDED, {"status": "ended"})


async def test_audio_that_follows_start_at_once_is_not_lost() -> None:
    house = House()
    stream = house.stream()
    await stream.say(connected(), start(), media(1, b"a"), media(2, b"b"), stop())
    await stream.task
    assert [payload for payload, _ in house.call.heard] == [b"a", b"b"]


async def test_parameters_choose_the_assistant_and_are_its_variables() -> None:
    house = House()
    stream = house.stream()
    token = house.state.tokens.mint(CALL_SID)
    await stream.begin(assistant="demo", token=token, plan="gold", **{"from": "+15550100"})
    assert house.factory.asked == [(CALL_SID, "demo", {"plan": "gold", "from": "+15550100"})]


async def test_a_stream_without_start_is_closed() -> None:
    house = House()
    stream = house.stream()
    await stream.say(connected())
    began = asyncio.get_running_loop().time()
    await stream.task
    assert asyncio.get_running_loop().time() - began == pytest.approx(START_WITHIN_S, abs=0.1)
    assert stream.socket.closed == (1008, "no_start")
    assert house.state.counters["no_start"] == 1


async def test_a_broken_protocol_ends_the_stream_with_its_code() -> None:
    house = House()
    stream = house.stream()
    await stream.say(media(1))
    await stream.task
    assert stream.socket.closed == (1002, "media_before_start")
    assert house.state.counters["media_before_start"] == 1
    assert house.factory.asked == []


@pytest.mark.parametrize(
    ("rule", "token"),
    [("token_malformed", "x"), ("token_forged", "of another call"), ("token_reused", "used")],
)
async def test_a_bad_token_is_refused_before_anything_is_made(rule: str, token: str) -> None:
    house = House()
    tokens = house.state.tokens
    made = {"of another call": tokens.mint("CA2"), "used": tokens.mint(CALL_SID)}
    first = house.stream()
    await first.begin(token=made["used"])
    await first.say(stop())
    await first.task
    house.factory.asked.clear()
    stream = house.stream()
    await stream.begin(token=made.get(token, token))
    await stream.task
    assert stream.socket.closed == (1008, rule)
    assert house.state.counters[rule] == 1
    assert house.factory.asked == []


async def test_a_token_may_be_required() -> None:
    house = House(require_stream_token=True)
    stream = house.stream()
    await stream.begin()
    await stream.task
    assert stream.socket.closed == (1008, "token_missing")


async def test_nobody_is_served_before_the_models_are_loaded() -> None:
    house = House()
    house.factory.ready = False
    stream = house.stream()
    await stream.begin()
    await stream.task
    assert stream.socket.closed == (1013, "not_ready")


async def test_an_overloaded_server_refuses_streams_that_its_webhook_did_not_promise() -> None:
    house = House()
    live = house.stream()
    await live.begin()
    house.state.lag._late_s.extend([0.2, 0.2])
    stranger = house.stream()
    await stranger.say(connected(), start("CA-stranger"))
    await stranger.task
    assert stranger.socket.closed == (1013, "overloaded")
    assert house.state.counters["overloaded"] == 1
    promised = house.stream()
    token = house.state.tokens.mint("CA-promised")
    await promised.say(connected(), start("CA-promised", {"token": token}))
    await live.say(media(1, b"abc"))
    assert house.factory.calls[0].heard == [(b"abc", 155)], "a live call goes on"
    assert len(house.factory.calls) == 2
    for stream in (live, promised):
        assert stream.socket.open
        await stream.say(stop())
        await stream.task


async def test_one_call_too_many_is_refused_and_the_others_go_on() -> None:
    house = House(max_calls=1)
    first, second = house.stream(), house.stream()
    await first.begin()
    await second.say(connected(), start("CA2"))
    await second.task
    assert second.socket.closed == (1013, "at_capacity")
    await first.say(media(1, b"a"))
    assert house.call.heard == [(b"a", 155)]


async def test_a_second_stream_without_a_token_is_refused() -> None:
    house = House()
    first, second = house.stream(), house.stream()
    await first.begin()
    await second.begin()
    await second.task
    assert second.socket.closed == (1008, "duplicate_call")
    assert not first.task.done()


async def test_the_newest_stream_with_a_token_wins() -> None:
    house = House(max_calls=1)
    first, second = house.stream(), house.stream()
    await first.begin()
    await second.begin(token=house.state.tokens.mint(CALL_SID))
    await first.task
    assert first.socket.closed == (1001, "replaced")
    assert house.factory.calls[0].reasons == ["replaced"]
    await second.say(media(1, b"a"))
    assert house.call.heard == [(b"a", 155)]
    assert len(house.state.registry.live()) == 1


@pytest.mark.parametrize(
    ("assistant", "closed"),
    [("nobody", (1008, "assistant_refused")), ("broken", (1011, "assistant_unusable"))],
)
async def test_a_call_without_an_assistant_is_closed_and_apologised_for(
    assistant: str, closed: tuple[int, str]
) -> None:
    house = House()
    stream = house.stream()
    await stream.begin(assistant=assistant)
    await stream.task
    assert stream.socket.closed == closed
    entry = house.state.registry.get(CALL_SID)
    assert entry is not None
    assert entry.outcome == {"status": "failed", "reason": closed[1]}
    assert house.state.registry.live() == ()


@pytest.mark.parametrize("where", ["error_in_run", "error_in_audio"])
async def test_a_call_that_fails_is_closed_logged_without_words_and_alone(where: str) -> None:
    house = House()
    healthy = house.stream()
    await healthy.say(connected(), start("CA2"))
    house.prepare(lambda call: setattr(call, where, ValueError("my secret")))
    stream = house.stream()
    with capture_logs() as logs:
        await stream.begin()
        await stream.say(media(1))
        await stream.task
    assert stream.socket.closed == (1011, "call_failed")
    assert house.state.counters["call_failed"] == 1
    (line,) = [line for line in logs if line["event"] == "call.failed"]
    assert (line["call_sid"], line["error"]) == (CALL_SID, "ValueError")
    assert "secret" not in str(logs)
    await healthy.say(media(1, b"a"))
    assert house.factory.calls[0].heard == [(b"a", 155)]


async def test_a_call_that_ends_closes_its_stream() -> None:
    house = House()
    stream = house.stream()
    await stream.begin()
    await stream.say(digit("#"))
    await stream.task
    assert stream.socket.closed == (1000, "finished")
    entry = house.state.registry.get(CALL_SID)
    assert entry is not None
    assert entry.outcome == {"status": "transfer", "number": "+15550100200"}
    assert house.call.reasons == []


async def test_a_lost_socket_ends_the_call() -> None:
    house = House()
    stream = house.stream()
    await stream.begin()
    stream.session.socket_ended(CONNECTION_LOST)
    await stream.task
    assert house.call.reasons == ["connection_lost"]
    assert house.state.counters["connection_lost"] == 1


async def test_a_call_that_does_not_end_with_its_stream_is_cancelled() -> None:
    house = House()
    house.prepare(lambda call: setattr(call, "stubborn", True))
    stream = house.stream()
    await stream.begin()
    began = asyncio.get_running_loop().time()
    await stream.say(stop())
    await stream.task
    assert asyncio.get_running_loop().time() - began == pytest.approx(END_WITHIN_S, abs=0.1)
    assert house.call.finished
    assert house.state.counters["call_cancelled"] == 1


async def test_the_longest_call_is_asked_to_end_then_cut() -> None:
    house = House(max_call_s=60)
    house.prepare(lambda call: setattr(call, "stubborn", True))
    stream = house.stream()
    await stream.begin()
    await asyncio.sleep(60)
    assert house.call.reasons == ["max-duration"]
    await asyncio.sleep(HANG_UP_GRACE_S)
    assert stream.socket.closed == (1001, "overstayed")
    await stream.task
    assert house.call.finished


async def test_a_session_that_is_cancelled_leaves_no_conversation() -> None:
    house = House()
    stream = house.stream()
    await stream.begin()
    stream.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stream.task
    assert house.call.finished
    assert house.state.registry.live() == ()


async def test_odd_messages_are_logged_once_and_counted_in_the_end() -> None:
    house = House()
    stream = house.stream()
    await stream.begin()
    with capture_logs() as logs:
        await stream.say(*["rubbish"] * 5, stop())
        await stream.task
    assert [line["rule"] for line in logs if line["event"] == "stream.rule"] == ["not_json"]
    assert house.state.counters["not_json"] == 5


def test_rule_names_are_unique() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
