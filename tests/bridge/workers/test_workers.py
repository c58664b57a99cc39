"""Several workers behind one port: whatever lands where, a call is served as by one process."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, cast
from xml.etree import ElementTree

import pytest
from aiohttp import ClientPayloadError, ClientSession, ClientTimeout, UnixConnector
from bridge_rig import CALL_SID, connected, digit, media, settings, start, stop
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from worker_rig import Worker, workers
from yarl import URL

from offhook.bridge.call_store import CallStore, Claim, StoredCall, StoreUnavailable
from offhook.bridge.trust import control_key
from offhook.bridge.twilio.signature import signature
from offhook.bridge.workers import siblings
from offhook.bridge.workers.place import REMOTE_HEADER, SECRET_HEADER, WorkerPlace
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.messages import CallerSaid
from offhook.pipeline.ports import CallEvent

FORM = {"CallSid": CALL_SID, "From": "+15550100267", "To": "+15550100999"}


async def post(worker: Worker, page: str, **form: str) -> tuple[int, str]:
    async with ClientSession() as http, http.post(f"{worker.page}{page}", data=FORM | form) as answer:
        return answer.status, await answer.text()


async def ask_privately(worker: Worker, **headers: str) -> tuple[int, str]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        ClientSession(connector=UnixConnector(worker.place.address)) as http,
        http.get("http://127.0.0.1/v1/calls", headers=named) as answer,
    ):
        return answer.status, await answer.text()


async def ask(worker: Worker, path: str, method: str = "GET", **headers: str) -> tuple[int, Any]:
    async with ClientSession() as http, http.request(method, worker.page + path, headers=headers) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


async def token_from(worker: Worker, call_sid: str = CALL_SID) -> str:
    _, text = await post(worker, "/voice/inbound", CallSid=call_sid)
    stream = ElementTree.fromstring(text)[0][0]  # noqa: S314  our own document
    return next(item.attrib["value"] for item in stream if item.attrib["name"] == "token")


async def hear(socket: ClientConnection) -> bytes:
    async with asyncio.timeout(5):
        return base64.b64decode(json.loads(await socket.recv())["media"]["payload"])


async def close_code(socket: ClientConnection) -> tuple[int | None, str | None]:
    async with asyncio.timeout(15):
        with suppress(ConnectionClosed):
            async for _ in socket:
                """Whatever came before."""
    return socket.close_code, socket.close_reason


@asynccontextmanager
async def call_on(
    worker: Worker, call_sid: str = CALL_SID, **parameters: str
) -> AsyncIterator[ClientConnection]:
    """A call that is live on this worker."""
    async with worker.stream() as socket:
        await socket.send(connected())
        await socket.send(start(call_sid, parameters))
        await socket.send(media(1, b"hello"))
        assert await hear(socket) == b"hello"
        yield socket


# ------------------------------------------------------------- calls that cross


async def test_webhook_stream_and_what_follows_may_each_land_on_another_worker() -> None:
    async with workers(3) as (one, other, third):
        token = await token_from(one)
        async with call_on(other, token=token) as socket:
            await socket.send(digit("#"))
            assert await close_code(socket) == (1000, "finished")
        status, text = await post(third, "/voice/after")
        assert status == 200
        assert ">+15550100200</Number>" in text
        entry = other.server.state.registry.get(CALL_SID)
        assert entry is not None
        assert entry.followed_up.is_set(), "so a worker that drains knows that nobody will ask again"


async def test_a_final_status_reaches_the_worker_that_waits_for_it() -> None:
    async with workers() as (one, other):
        async with call_on(one, token=await token_from(one)):
            pass
        assert (await post(other, "/voice/status", CallStatus="completed"))[0] == 204
        entry = one.server.state.registry.get(CALL_SID)
        assert entry is not None
        assert entry.followed_up.is_set()


async def test_a_token_is_good_for_one_stream_of_all_workers() -> None:
    async with workers() as (one, other):
        token = await token_from(one)
        async with call_on(other, token=token) as socket:
            await socket.send(stop())
            await close_code(socket)
        async with one.stream() as again:
            await again.send(connected())
            await again.send(start(CALL_SID, {"token": token}))
            assert await close_code(again) == (1008, "token_reused")


async def test_the_newest_stream_with_a_token_wins_across_workers() -> None:
    async with (
        workers() as (one, other),
        call_on(one) as old,
        call_on(other, token=await token_from(one)) as new,
    ):
        assert await close_code(old) == (1001, "replaced")
        assert one.factory.calls[0].reasons == ["replaced"]
        await new.send(media(2, b"still here"))
        assert await hear(new) == b"still here"
        assert await other.server.state.store.live_count() == 1
        assert (await ask(one, f"/v1/calls/{CALL_SID}"))[1]["status"] == "live"


async def test_a_second_stream_without_a_token_is_refused_across_workers() -> None:
    async with workers() as (one, other), call_on(one) as first, other.stream() as second:
        await second.send(connected())
        await second.send(start(CALL_SID))
        assert await close_code(second) == (1008, "duplicate_call")
        await first.send(media(2, b"still here"))
        assert await hear(first) == b"still here"


async def test_the_limit_of_calls_is_one_for_all_workers() -> None:
    async with workers(max_calls=2) as (one, other):
        async with call_on(one, "CA1"), call_on(other, "CA2"):
            for worker in (one, other):
                assert "busy" in (await post(worker, "/voice/inbound"))[1]
                status, answer = await ask(worker, "/readyz")
                assert (status, answer["reasons"]) == (503, ["as many calls as allowed are live"])
            async with one.stream() as third:
                await third.send(connected())
                await third.send(start("CA3"))
                assert await close_code(third) == (1013, "at_capacity")
        await asyncio.sleep(0.5)
        assert (await ask(one, "/readyz"))[0] == 200


# ------------------------------------------------------- while the store is asked


class Slow:
    """A store that takes its time to enter a call."""

    immediate = False

    def __init__(self, store: CallStore, takes_s: float, *, broken: bool = False) -> None:
        self._store, self._takes_s, self._broken = store, takes_s, broken

    async def claim(self, claim: Claim) -> StoredCall | None:
        await asyncio.sleep(self._takes_s)
        if self._broken:
            raise StoreUnavailable("out of order")
        return await self._store.claim(claim)

    async def live_count(self) -> int:
        if self._broken:
            raise StoreUnavailable("out of order")
        return await self._store.live_count()

    async def find(self, call_sid: str) -> StoredCall | None:
        if self._broken:
            raise StoreUnavailable("out of order")
        return await self._store.find(call_sid)

    async def conversation(self, call_sid: str) -> Mapping[str, Any] | None:
        if self._broken:
            raise StoreUnavailable("out of order")
        return await self._store.conversation(call_sid)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_what_comes_while_the_store_is_asked_is_delivered_in_order() -> None:
    def slow(store: CallStore) -> Any:
        return Slow(store, 0.9)

    async with workers(1, slow) as (one,), one.stream() as socket:
        await socket.send(connected())
        await socket.send(start())
        for chunk in range(1, 41):
            await socket.send(media(chunk, bytes([chunk])))
            await asyncio.sleep(0.02)
        await socket.send(digit("7"))
        assert one.factory.calls == []
        assert await hear(socket) == b"\x01"
        (call,) = one.factory.calls
        assert [payload for payload, _ in call.heard] == [bytes([chunk]) for chunk in range(1, 41)]
        assert call.digits == ["7"]


async def test_a_stream_that_stops_while_the_store_is_asked_had_a_call_all_the_same() -> None:
    async with workers(1, lambda store: Slow(store, 0.5)) as (one,), one.stream() as socket:
        for message in (connected(), start(), media(1, b"a"), stop()):
            await socket.send(message)
        assert await close_code(socket) == (1000, "stopped")
        assert [call.heard for call in one.factory.calls] == [[(b"a", 155)]]
        await asyncio.sleep(0.5)
        assert await one.server.state.store.live_count() == 0


async def test_a_carrier_that_leaves_while_the_store_is_asked_leaves_nothing() -> None:
    async with workers(1, lambda store: Slow(store, 0.5)) as (one,):
        before = asyncio.all_tasks()
        async with one.stream() as socket:
            await socket.send(connected())
            await socket.send(start())
            await asyncio.sleep(0.1)
            socket.transport.abort()
        await asyncio.sleep(2)
        assert one.factory.calls == []
        assert asyncio.all_tasks() <= before
        assert await one.server.state.store.live_count() == 0


async def test_more_messages_than_are_held_end_the_stream() -> None:
    async with workers(1, lambda store: Slow(store, 0.9)) as (one,), one.stream() as socket:
        await socket.send(connected())
        await socket.send(start())
        for chunk in range(1, 202):
            await socket.send(media(chunk, b"a"))
        assert await close_code(socket) == (1008, "held_too_many")
        assert one.factory.calls == []


async def test_a_store_that_is_out_of_order_refuses_streams_and_leaves_live_calls_alone() -> None:
    async with workers() as (one, other), call_on(one) as healthy:
        state = other.server.state
        state.store = Slow(state.store, 0.0, broken=True)
        async with other.stream() as socket:
            await socket.send(connected())
            await socket.send(start("CA2"))
            assert await close_code(socket) == (1013, "store_unavailable")
        assert "<Connect" in (await post(other, "/voice/inbound"))[1], "the stream will tell"
        assert "<Redirect" in (await post(other, "/voice/after"))[1]
        assert "<Hangup" in (await post(other, "/voice/after?times=5"))[1]
        assert "<Hangup" in (await post(other, "/voice/after", CallStatus="completed"))[1]
        status, text = await ask(other, f"/v1/calls/{CALL_SID}")
        assert (status, text.partition(":")[0]) == (503, "owner_unknown")
        await healthy.send(media(2, b"fine"))
        assert await hear(healthy) == b"fine"


# --------------------------------------------------------------------- control


async def test_calls_of_all_workers_are_listed_live_ones_first() -> None:
    async with workers(3) as crew:
        async with call_on(crew[0], "CA0"):
            pass
        async with call_on(crew[1], "CA1"), call_on(crew[2], "CA2"):
            await asyncio.sleep(0.1)
            for worker in crew:
                _, listed = await ask(worker, "/v1/calls")
                statuses = [call["status"] for call in listed["calls"]]
                assert sorted(call["id"] for call in listed["calls"]) == ["CA0", "CA1", "CA2"]
                assert statuses == ["live", "live", "ended"]


async def test_a_call_is_shown_and_hung_up_through_any_worker() -> None:
    async with workers() as (one, other), call_on(one) as socket:
        status, record = await ask(other, f"/v1/calls/{CALL_SID}")
        assert (status, record["status"], record["events"][0]["type"]) == (200, "live", "call.started")
        assert await ask(other, f"/v1/calls/{CALL_SID}", "DELETE") == (
            202,
            {"id": CALL_SID, "status": "ending"},
        )
        assert await close_code(socket) == (1000, "finished")
        assert (await ask(other, f"/v1/calls/{CALL_SID}", "DELETE"))[0] == 409


async def test_events_are_streamed_through_as_they_happen() -> None:
    async with workers() as (one, other), call_on(one) as socket, ClientSession() as http:
        path = f"{other.page}/v1/calls/{CALL_SID}/events"
        async with http.get(path, timeout=ClientTimeout(total=None)) as answer:
            assert answer.content_type == "text/event-stream"
            assert b"call.started" in await answer.content.readuntil(b"\n\n")
            for chunk in range(2, 20):
                await socket.send(media(chunk, b"a"))
                await asyncio.sleep(1)
            assert await answer.content.readuntil(b"\n\n") == b": still here\n\n"
            await socket.send(digit("*"))
            assert await answer.content.read() == b"event: end\ndata: {}\n\n"


async def test_a_listener_who_leaves_is_forgotten_by_the_owner() -> None:
    async with workers() as (one, other), call_on(one), ClientSession() as http:
        entry = one.server.state.registry.get(CALL_SID)
        assert entry is not None
        async with http.get(f"{other.page}/v1/calls/{CALL_SID}/events") as answer:
            await answer.content.readuntil(b"\n\n")
            assert entry.log._subscriptions
        for number in range(3):
            entry.log.emit(CallEvent("transcript.final", number))
            await asyncio.sleep(0.1)
        assert not entry.log._subscriptions


async def test_an_unknown_call_is_not_found_by_any() -> None:
    async with workers() as (one, _):
        status, text = await ask(one, "/v1/calls/CA404")
        assert (status, text.partition(":")[0]) == (404, "not_found")


async def test_a_call_whose_worker_is_gone_is_said_to_be_so_and_its_outcome_is_kept() -> None:
    async with workers() as (one, other):
        async with call_on(one, token=await token_from(one)) as socket:
            await socket.send(digit("#"))
            await close_code(socket)
        await one.server.stop()
        status, text = await ask(other, f"/v1/calls/{CALL_SID}")
        assert (status, text.partition(":")[0]) == (404, "owner_gone")
        assert ">+15550100200</Number>" in (await post(other, "/voice/after"))[1]
        assert (await post(other, "/voice/status", CallStatus="completed"))[0] == 204
        assert (await ask(other, "/v1/calls"))[1] == {"calls": []}
        assert other.server.state.counters["worker_left_out"] == 0, "it took its leave"


class Unheard:
    """The store of a worker that was killed: nothing that it does at its end comes there."""

    immediate = False

    async def end(self, claim: Claim, outcome: Mapping[str, Any] | None) -> None: ...

    async def abandon(self, address: str) -> None: ...


async def killed(worker: Worker) -> None:
    """Let the others see of a worker what they see of one that was killed: its call stays entered."""
    store: Any = Unheard()
    worker.server.state.store = store
    await worker.server._runner.cleanup()


TALK = Conversation((CallerSaid("Hi."),), unanswered="Where is it?", fallback_number="+15550100300")


def asks_for_a_stream(text: str) -> dict[str, str]:
    stream = ElementTree.fromstring(text)[0][0]  # noqa: S314  our own document
    return {item.attrib["name"]: item.attrib["value"] for item in stream}


async def test_a_call_whose_worker_died_goes_on_with_another_one_and_its_conversation() -> None:
    async with workers() as (one, other):
        one.factory.prepare = lambda call: setattr(call, "talk", TALK)
        async with call_on(one, token=await token_from(one), assistant="desk"):
            await asyncio.sleep(0.1)
            await killed(one)
            _, text = await post(other, "/voice/after", CallStatus="in-progress")
            parameters = asks_for_a_stream(text)
            assert parameters["assistant"] == "desk"
            assert parameters["from"] == FORM["From"]
            async with call_on(other, **parameters):
                assert other.factory.calls[-1].resumes == TALK
                assert other.factory.asked[-1][1:] == ("desk", {"from": FORM["From"], "to": FORM["To"]})
        assert other.server.state.counters["resumed"] == 1


async def test_a_compressed_order_reaches_the_owner_as_it_would_without_siblings() -> None:
    async with workers() as (one, other), call_on(one):
        body = gzip.compress(b'{"text": "Hello."}')
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
        for worker in (one, other):
            page = f"{worker.page}/v1/calls/{CALL_SID}/say"
            async with ClientSession() as http, http.post(page, data=body, headers=headers) as answer:
                assert answer.status == 202
        assert one.factory.calls[0].told == [("say", "Hello.")] * 2


class Forgetful:
    """A store whose memory of conversations fails."""

    immediate = False

    def __init__(self, store: CallStore) -> None:
        self._store = store

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def conversation(self, call_sid: str) -> Any:
        raise StoreUnavailable("it did not answer in time")


class Lost(Forgetful):
    """A store that finds no call while it is down."""

    down = False

    async def find(self, call_sid: str) -> StoredCall | None:
        if self.down:
            raise StoreUnavailable("it did not answer in time")
        return await self._store.find(call_sid)


async def test_a_caller_who_is_to_be_put_through_waits_for_a_store_that_fails_and_is_not_hung_up_on() -> None:
    stores: list[Lost] = []

    def losing(store: CallStore) -> CallStore:
        stores.append(Lost(store))
        return cast("CallStore", stores[-1])

    async with workers(2, losing) as (one, other):
        async with call_on(one, token=await token_from(one)) as socket:
            await socket.send(digit("#"))  # hands the call over
            await close_code(socket)
        stores[1].down = True
        page, asked = "/voice/after?dialled=1", 0
        while asked < 3:
            _, text = await post(other, page, DialCallStatus="busy" if not asked else "")
            pause, redirect = ElementTree.fromstring(text)  # noqa: S314  our own document
            assert (pause.tag, pause.attrib["length"], redirect.tag) == ("Pause", "1", "Redirect")
            page = str(redirect.text).removeprefix(other.page)
            asked += 1
        stores[1].down = False
        _, text = await post(other, page)
        assert "nobody can take your call" in text, "that it was busy is not forgotten"
        stores[1].down = True
        _, text = await post(other, f"{page}&times=5".replace("times=3&", ""))
        assert "<Hangup" in text


async def test_a_call_that_could_not_be_taken_up_takes_nobodys_place() -> None:
    async with workers(2, lambda store: cast("CallStore", Forgetful(store))) as (one, other):
        token = await token_from(one)
        async with other.stream() as socket:
            await socket.send(connected())
            await socket.send(start(CALL_SID, {"token": token, "resumes": "1"}))
            assert (await close_code(socket))[1] == "store_unavailable"
        assert await one.server.state.store.live_count() == 0


async def test_nobody_takes_up_a_call_without_a_token_of_ours() -> None:
    async with workers() as (one, other):
        one.factory.prepare = lambda call: setattr(call, "talk", TALK)
        async with call_on(one, token=await token_from(one)):
            await asyncio.sleep(0.1)
        async with call_on(other, "CA9", resumes="1"):
            assert other.factory.calls[-1].resumes is None
        async with call_on(other, "CA8", token=await token_from(other, "CA8"), resumes="1"):
            assert other.factory.calls[-1].resumes is None, "nothing is known of that call"


async def test_a_call_that_kills_its_workers_is_handed_over_at_the_fourth_time() -> None:
    async with workers() as (one, other):
        one.factory.prepare = lambda call: setattr(call, "talk", TALK)
        async with call_on(one, token=await token_from(one)):
            await asyncio.sleep(0.1)
            await killed(one)
            for _ in range(3):
                assert "<Stream" in (await post(other, "/voice/after"))[1]
            _, text = await post(other, "/voice/after")
            assert f">{TALK.fallback_number}</Number>" in text
            action = ElementTree.fromstring(text)[0].attrib["action"]  # noqa: S314  our own document
            page = action.removeprefix(other.page)
            assert "nobody can take your call" in (await post(other, page, DialCallStatus="busy"))[1]
            assert "<Hangup" in (await post(other, page, DialCallStatus="completed"))[1]
        assert other.server.state.counters["not_resumed"] == 3


async def test_a_caller_who_is_gone_is_not_called_back_to_the_line() -> None:
    async with workers() as (one, other), call_on(one, token=await token_from(one)):
        await asyncio.sleep(0.1)
        await killed(one)
        _, text = await post(other, "/voice/after", CallStatus="completed")
        assert "<Stream" not in text
        assert "<Hangup" in text


async def test_a_worker_that_says_nothing_holds_nobody_up() -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async with workers(1) as (one,):
        address = str(one.place.folder / "9.sock")
        silent = await asyncio.start_unix_server(say_nothing, address)
        state = one.server.state
        await state.store.join(address, "9")
        await state.store.claim(Claim(CALL_SID, address, "stream 9"))
        began = asyncio.get_running_loop().time()
        status, text = await ask(one, f"/v1/calls/{CALL_SID}")
        assert (status, text.partition(":")[0]) == (503, "owner_silent")
        assert asyncio.get_running_loop().time() - began == pytest.approx(siblings.ANSWER_WITHIN_S, abs=0.1)
        assert "<Hangup" in (await post(one, "/voice/after"))[1]
        began = asyncio.get_running_loop().time()
        assert await ask(one, "/v1/calls") == (200, {"calls": []})
        assert asyncio.get_running_loop().time() - began == pytest.approx(siblings.GATHER_WITHIN_S, abs=0.1)
        assert state.counters["worker_left_out"] == 1
        silent.close()


async def test_an_answer_that_breaks_off_at_the_owner_is_not_taken_for_the_whole() -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await writer.drain()
        writer.close()

    async with workers(1) as (one,), ClientSession() as http:
        address = str(one.place.folder / "9.sock")
        breaking = await asyncio.start_unix_server(break_off, address)
        await one.server.state.store.claim(Claim(CALL_SID, address, "stream 9"))
        async with http.get(f"{one.page}/v1/calls/{CALL_SID}") as answer:
            with pytest.raises(ClientPayloadError):
                await answer.read()
        breaking.close()


async def test_an_older_stream_whose_worker_cannot_be_told_is_noted_and_the_new_one_served() -> None:
    async with workers(1) as (one,):
        await one.server.state.store.claim(Claim(CALL_SID, str(one.place.folder / "9.sock"), "stream 9"))
        async with call_on(one, token=await token_from(one)):
            await asyncio.sleep(0.1)
            assert one.server.state.counters["not_cut"] == 1


# ----------------------------------------------------------------------- trust


async def test_a_workers_own_socket_serves_nobody_without_the_secret() -> None:
    async with workers(1) as (one,):
        for headers in ({}, {SECRET_HEADER: "guess"}, {REMOTE_HEADER: "127.0.0.1"}):
            status, text = await ask_privately(one, **headers)
            assert (status, text.partition(":")[0]) == (403, "worker_secret_required")


async def test_the_secret_opens_nothing_on_the_common_port() -> None:
    async with workers(1) as (one,), call_on(one):
        entry = one.server.state.registry.live()[0]
        headers = {SECRET_HEADER: one.place.secret, REMOTE_HEADER: "127.0.0.1"}
        assert (await ask(one, f"/worker/streams/{entry.stream}", "DELETE", **headers))[0] == 404
        assert (await ask(one, "/v1/calls", **headers, **{"X-Forwarded-For": "203.0.113.9"}))[0] == 403
        assert one.server.state.registry.live() == (entry,)


async def test_what_a_sibling_passes_on_is_checked_by_the_owner_as_well() -> None:
    async with workers(1) as (one,), call_on(one):
        for remote, expected in (("127.0.0.1", 200), ("203.0.113.9", 403), ("", 403)):
            headers = {SECRET_HEADER: one.place.secret, REMOTE_HEADER: remote}
            assert (await ask_privately(one, **headers))[0] == expected


async def test_signatures_and_keys_are_checked_wherever_a_request_lands() -> None:
    public, token = "https://bridge.example.com", "t0ken"
    signed_upgrade = signature("wss://bridge.example.com/media", {}, token)
    async with workers(public_url=public, twilio_auth_token=token) as (one, other):
        upgrade = one.stream()
        upgrade.additional_headers = {"X-Twilio-Signature": signed_upgrade}
        async with upgrade as socket:
            await socket.send(connected())
            await socket.send(start())
            await socket.send(media(1, b"hello"))
            assert await hear(socket) == b"hello"
            assert (await ask(other, f"/v1/calls/{CALL_SID}"))[0] == 403
            key = f"Bearer {control_key(token)}"
            assert (await ask(other, f"/v1/calls/{CALL_SID}", Authorization=key))[0] == 200
            path = "/voice/after?x=%2Fa%20b"
            signed = signature(public + path, {name: [value] for name, value in FORM.items()}, token)
            async with ClientSession() as http:
                url = URL(other.page + path, encoded=True)
                async with http.post(url, data=FORM, headers={"X-Twilio-Signature": signed}) as answer:
                    assert answer.status == 200
        assert one.server.state.counters["signature_wrong"] == 0


def test_secrets_are_in_no_repr() -> None:
    place = WorkerPlace(0, "/tmp/x/0.sock", "s3cret", b"k3y")  # noqa: S108  not opened
    assert "s3cret" not in repr(place)
    assert "k3y" not in repr(place)
    assert settings().workers == 1
