"""Calls that came without our webhook are taken up over the carrier's REST interface when a worker dies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from bridge_rig import CALL_SID, EchoCall, connected, start
from worker_rig import Worker, workers

from offhook.bridge.workers.taking_up import AT_A_TIME, REST_WITHIN_S, take_up
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.messages import CallerSaid

PUBLIC = "https://bridge.example.com"
TALK = Conversation((CallerSaid("Hi."),), variables={"from": "+15550100", "to": "+15550199", "pin": "1"})


class Rest:
    """Notes what is asked of the carrier; some calls are gone, or it does not answer."""

    def __init__(self) -> None:
        self.redirected: dict[str, str] = {}
        self.gone: set[str] = set()
        self.hangs = False
        self.most = self._now = 0

    async def complete(self, call_sid: str) -> None:
        raise AssertionError(call_sid)

    async def redirect(self, call_sid: str, twiml: str) -> None:
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(60 if self.hangs else 0.01)
        self._now -= 1
        if call_sid in self.gone:
            raise ValueError("21220: not in progress")
        self.redirected[call_sid] = twiml


async def held(
    worker: Worker, *call_sids: str, talk: Conversation = TALK, parameters: Mapping[str, str] | None = None
) -> list[Any]:
    """Calls that this worker holds, and whose words are kept."""

    def talks(call: EchoCall) -> None:
        call.talk = talk

    worker.factory.prepare = talks
    sockets = []
    for call_sid in call_sids:
        socket = await worker.stream()
        await socket.send(connected())
        await socket.send(start(call_sid, dict(parameters or {})))
        sockets.append(socket)
    await asyncio.sleep(0.2)
    return sockets


def parameters_of(document: str) -> dict[str, str]:
    stream = ElementTree.fromstring(document)[0][0]  # noqa: S314  our own document
    return {item.attrib["name"]: item.attrib["value"] for item in stream}


async def test_such_a_call_goes_on_with_its_conversation_and_is_asked_after_from_then_on() -> None:
    async with workers(2, public_url=PUBLIC, insecure=True) as (one, other):
        sockets = await held(one, CALL_SID, parameters={"assistant": "desk"})
        rest = other.server.state.rest = Rest()
        await take_up(other.server.state, one.place.address)
        document = rest.redirected[CALL_SID]
        assert f'action="{PUBLIC}/voice/after"' in document
        parameters = parameters_of(document)
        assert (parameters["assistant"], parameters["resumes"]) == ("desk", "1")
        assert (parameters["from"], parameters["to"]) == ("+15550100", "+15550199")
        sockets += await held(other, CALL_SID, parameters=parameters)
        assert other.factory.calls[-1].resumes == TALK
        kept = await other.server.state.store.left_by(other.place.address)
        assert kept[CALL_SID]["asked_after"] is True
        assert other.server.state.counters["resumed"] == 1
        for socket in sockets:
            await socket.close()


@pytest.mark.parametrize("fallback", ["+14155550102", ""])
async def test_one_that_brings_every_worker_down_is_handed_over_at_the_fourth_time(fallback: str) -> None:
    async with workers(2, public_url=PUBLIC, insecure=True) as (one, other):
        sockets = await held(one, CALL_SID, talk=replace(TALK, fallback_number=fallback))
        rest = other.server.state.rest = Rest()
        for _ in range(4):
            await take_up(other.server.state, one.place.address)
        verb = ElementTree.fromstring(rest.redirected[CALL_SID])[0]  # noqa: S314  our own document
        if fallback:
            assert (verb.tag, verb[0].text) == ("Dial", fallback)
            assert verb.attrib["action"] == f"{PUBLIC}/voice/after?dialled=1"
        else:
            assert verb.tag == "Say"
        counters = other.server.state.counters
        assert (counters["resumed"], counters["not_resumed"]) == (3, 1)
        for socket in sockets:
            await socket.close()


async def test_a_call_of_our_webhook_is_left_to_what_the_carrier_asks() -> None:
    async with workers(2, public_url=PUBLIC, insecure=True) as (one, other):
        token = one.server.state.tokens.mint(CALL_SID)
        sockets = await held(one, CALL_SID, parameters={"token": token})
        rest = other.server.state.rest = Rest()
        await take_up(other.server.state, one.place.address)
        assert rest.redirected == {}
        for socket in sockets:
            await socket.close()


async def test_calls_that_are_gone_are_counted_and_a_few_are_asked_for_at_a_time() -> None:
    names = [f"CA{number}" for number in range(20)]
    async with workers(2, public_url=PUBLIC, insecure=True, max_calls=30) as (one, other):
        sockets = await held(one, *names)
        rest = other.server.state.rest = Rest()
        rest.gone = {"CA3", "CA7"}
        await take_up(other.server.state, one.place.address)
        assert set(rest.redirected) == set(names) - rest.gone
        assert rest.most == AT_A_TIME
        assert other.server.state.counters["not_taken_up"] == 2
        for socket in sockets:
            await socket.close()


async def test_a_carrier_that_does_not_answer_is_not_waited_for() -> None:
    async with workers(2, public_url=PUBLIC, insecure=True) as (one, other):
        sockets = await held(one, CALL_SID)
        rest = other.server.state.rest = Rest()
        rest.hangs = True
        began_s = asyncio.get_running_loop().time()
        await take_up(other.server.state, one.place.address)
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(REST_WITHIN_S, abs=0.5)
        assert other.server.state.counters["not_taken_up"] == 1
        for socket in sockets:
            await socket.close()


@pytest.mark.parametrize("lacks", ["credentials", "address", "time"])
async def test_without_what_it_needs_nothing_is_asked(lacks: str) -> None:
    public: dict[str, Any] = {} if lacks == "address" else {"public_url": PUBLIC, "insecure": True}
    async with workers(2, **public) as (one, other):
        sockets = await held(one, CALL_SID)
        rest = Rest()
        other.server.state.rest = None if lacks == "credentials" else rest
        other.server.state.draining = lacks == "time"
        await take_up(other.server.state, one.place.address)
        assert rest.redirected == {}
        other.server.state.draining = False
        for socket in sockets:
            await socket.close()
