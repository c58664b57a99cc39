"""What goes wrong at Deepgram's, and what becomes of it: an error of its class, soon, and nothing left."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest
from aiohttp import web
from deepgram_rig import KEY, Said, vendor
from web_rig import answering

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout
from offhook.lab.vendors.faults import FaultKind
from offhook.lab.vendors.latency import Delay

HELLO = Said(0.2, 1.2, "Hello there.")
MODELS = pytest.mark.parametrize("model", ["nova-3", "flux-general-en"])


@MODELS
async def test_a_wrong_key_is_a_refusal(model: str) -> None:
    async with vendor() as rig:
        caller = await rig.caller(model=model, key="wrong-key")
        await caller.speak(0.1)
        error = await caller.failure()
        assert (type(error), str(error)) == (ProviderRefused, "deepgram: HTTP 401")
        assert rig.seen("refused")


async def test_no_key_is_a_refusal() -> None:
    async with vendor() as rig:
        caller = await rig.caller(key=None)
        assert isinstance(await caller.failure(), ProviderRefused)


async def test_a_model_that_the_vendor_does_not_have_is_a_refusal() -> None:
    async with vendor() as rig:
        caller = await rig.caller(model="flux-general-xx")
        error = await caller.failure()
        assert (type(error), error.reason) == (ProviderRefused, "HTTP 400")


@MODELS
async def test_a_busy_vendor_says_when_it_may_be_asked_again(model: str) -> None:
    async with vendor() as rig:
        rig.plan("connect", FaultKind.BUSY, retry_after_s=3)
        error = await (await rig.caller(model=model)).failure()
        assert isinstance(error, ProviderBusy)
        assert (error.reason, error.retry_after_s) == ("HTTP 429", 3.0)


async def test_a_vendor_in_trouble_is_busy() -> None:
    async with vendor() as rig:
        rig.plan("connect", FaultKind.ERROR)
        error = await (await rig.caller()).failure()
        assert isinstance(error, ProviderBusy)
        assert (error.reason, error.retry_after_s) == ("HTTP 500", None)


async def test_a_vendor_that_does_not_answer_is_given_four_seconds() -> None:
    async with vendor() as rig:
        rig.plan("connect", FaultKind.STALL)
        begun = asyncio.get_running_loop().time()
        error = await (await rig.caller()).failure()
        assert isinstance(error, ProviderTimeout)
        assert asyncio.get_running_loop().time() - begun == pytest.approx(4.0, abs=0.1)


async def test_a_vendor_that_hangs_up_on_the_request_is_an_error() -> None:
    async with vendor() as rig:
        rig.plan("connect", FaultKind.DROP)
        error = await (await rig.caller()).failure()
        assert type(error) is ProviderError


async def test_a_vendor_that_is_not_there_is_an_error() -> None:
    async with vendor() as rig:
        caller = await rig.caller(base_url="http://127.0.0.1:1")
        error = await caller.failure()
        assert (type(error), error.reason) == (ProviderError, "cannot be reached (ConnectionRefusedError)")


@MODELS
async def test_a_connection_that_drops_in_mid_stream_is_noticed_at_once(model: str) -> None:
    async with vendor([HELLO]) as rig:
        rig.plan("audio", FaultKind.DROP, after=10)
        caller = await rig.caller(model=model)
        await caller.speak(1.0)
        error = await caller.failure(within_s=0.1)
        assert (type(error), error.reason) == (ProviderError, "the connection was lost")


@MODELS
@pytest.mark.parametrize("moment", ["connect", "audio", "partial", "final"])
async def test_a_socket_that_is_closed_is_an_error_with_its_code(model: str, moment: str) -> None:
    async with vendor([HELLO]) as rig:
        rig.plan(moment, FaultKind.CLOSE)
        caller = await rig.caller(model=model)
        await caller.speak(2.5)
        error = await caller.failure(within_s=0.1)
        assert (type(error), error.reason) == (ProviderError, "the socket closed (1011)")


@MODELS
@pytest.mark.parametrize("kind", [FaultKind.BUSY, FaultKind.ERROR, FaultKind.REFUSE])
async def test_the_vendors_error_message_ends_the_stream(model: str, kind: FaultKind) -> None:
    async with vendor([HELLO]) as rig:
        rig.plan("partial", kind)
        caller = await rig.caller(model=model)
        await caller.speak(1.0)
        error = await caller.failure(within_s=0.1)
        assert error.reason == "the vendor reports an error (INTERNAL_SERVER_ERROR)"


@MODELS
@pytest.mark.parametrize("moment", ["connect", "audio", "partial", "final"])
async def test_a_malformed_message_is_passed_over(model: str, moment: str) -> None:
    async with vendor([HELLO]) as rig:
        rig.plan(moment, FaultKind.MALFORMED, times=0 if moment != "audio" else 3)
        caller = await rig.caller(model=model)
        await caller.speak(2.5)
        assert caller.text == HELLO.text


ODD = [
    '{"type":"Results"}',
    "[1]",
    "null",
    "7",
    '{"type":"New"}',
    '{"type":"Results","channel":{}}',
    '{"type":"Results","start":"a","duration":1,"channel":{"alternatives":[{"words":[]}]}}',
    '{"type":"Results","start":0,"duration":1,"channel":{"alternatives":[{"transcript":"x","words":[{}]}]}}',
]


@pytest.mark.parametrize("odd", ODD)
async def test_a_message_of_a_wrong_form_is_passed_over(odd: str) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_str(odd)
        await socket.send_bytes(b"sound")
        await socket.send_str('{"type":"Error","variant":"GoneOn","description":""}')
        await socket.receive(timeout=5)
        return socket

    async with vendor() as rig, answering(answer) as server:
        caller = await rig.caller(base_url=f"http://127.0.0.1:{server.port}/behind/a/path/")
        await caller.speak(0.1)
        error = await caller.failure(within_s=1.0)
        assert error.reason == "the vendor reports an error (GoneOn)"
        assert server.requests[0].path == "/behind/a/path/v1/listen"
        assert not caller.heard


@MODELS
async def test_a_vendor_that_falls_silent_is_left_to_whoever_watches_the_words(model: str) -> None:
    async with vendor([HELLO]) as rig:
        rig.plan("partial", FaultKind.STALL)
        caller = await rig.caller(model=model)
        await caller.speak(5.0)
        assert not caller.heard
        assert caller.task is not None
        assert not caller.task.done()


async def test_a_slow_vendor_is_waited_for() -> None:
    async with vendor([HELLO]) as rig:
        rig.plan("final", FaultKind.SLOW, wait_ms=800)
        caller = await rig.caller()
        await caller.speak(3.5)
        assert caller.text == HELLO.text


async def test_results_never_overtake_each_other() -> None:
    said = [Said(0.2, 3.0, "one two three four five six seven"), Said(4.0, 5.0, "eight nine")]
    async with vendor(said, partial=Delay(300, 1500), final=Delay(10, 20)) as rig:
        caller = await rig.caller()
        await caller.speak(8.0)
        assert [item.covers_s for item in caller.heard] == sorted(item.covers_s for item in caller.heard)
        assert caller.text == "one two three four five six seven eight nine"


async def test_a_vendor_that_reads_nothing_any_more_is_given_up() -> None:
    async with vendor() as rig:
        rig.plan("audio", FaultKind.SLOW, wait_ms=60_000)
        caller = await rig.caller()
        caller.stream.push(b"\xff" * 30_000_000)  # more than the sockets on the way take
        error = await caller.failure(within_s=10.0)
        assert (type(error), error.reason) == (ProviderTimeout, "nothing was read for 4 s")
        await asyncio.sleep(60.0)


async def test_the_key_is_in_no_text_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with vendor([HELLO]) as rig:
        caller = await rig.caller(keyterms=("Zaphod",))
        await caller.speak(0.5)
        refused = await rig.caller(key="secret-and-wrong")
        error = await refused.failure()
        texts = [repr(item) for item in (rig.transcribers, caller.stream, error, error.__context__)]
        rig.plan("audio", FaultKind.DROP)
        await caller.speak(0.2)
        lost = await caller.failure()
        texts += [repr(lost), str(lost), repr(lost.__cause__)]
    for text in [*texts, caplog.text]:
        assert KEY not in text
        assert "secret-and-wrong" not in text
        assert "Zaphod" not in str(error)


async def test_without_the_sdk_the_start_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    async with vendor() as rig:
        monkeypatch.setitem(sys.modules, "deepgram", None)
        with pytest.raises(ProviderError, match="offhook\\[deepgram\\]"):
            await rig.transcriber()
