"""The workers' common memory: the same promises in memory and in SQLite."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from bridge_rig import ManualClock

from offhook.bridge import call_store
from offhook.bridge.call_store import CallStore, Claim, MemoryStore, StoredCall, StoreUnavailable
from offhook.bridge.stream_token import Ticket
from offhook.bridge.workers import sqlite_store, store_debts
from offhook.bridge.workers.sqlite_store import SqliteStore
from offhook.config.errors import Refused


@asynccontextmanager
async def opened(kind: str, folder: Path, clock: ManualClock) -> AsyncIterator[CallStore]:
    if kind == "memory":
        yield MemoryStore(2, clock.now, ticket_limit=3)
    else:
        async with SqliteStore(folder / "calls.sqlite", 2, clock.now, ticket_limit=3) as store:
            yield store


@pytest.fixture(params=["memory", "sqlite"])
async def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def claim(call_sid: str, owner: str = "a", nonce: bytes | None = None, expires_at: int = 2000) -> Claim:
    ticket = None if nonce is None else Ticket(nonce, expires_at)
    return Claim(call_sid, owner, f"{call_sid} at {owner} {nonce!r}", ticket)


async def refused(store: CallStore, wanted: Claim) -> str:
    with pytest.raises(Refused) as caught:
        await store.claim(wanted)
    return caught.value.reason


async def test_a_call_is_live_and_then_remembered_with_its_outcome(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, ManualClock()) as store:
        ours = claim("CA1")
        assert await store.find("CA1") is None
        assert await store.claim(ours) is None
        assert await store.find("CA1") == StoredCall("CA1", "a", ours.stream)
        assert await store.live_count() == 1
        await store.end(ours, {"status": "transfer", "number": "+15550100200"})
        ended = await store.find("CA1")
        assert ended is not None
        assert (ended.live, ended.outcome) == (False, {"status": "transfer", "number": "+15550100200"})
        assert await store.live_count() == 0


async def test_a_ticket_is_taken_once_also_by_a_stream_that_is_then_refused(
    kind: str, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path, ManualClock()) as store:
        await store.claim(claim("CA1"))
        await store.claim(claim("CA2"))
        assert await refused(store, claim("CA3", nonce=b"n")) == "at_capacity"
        assert await refused(store, claim("CA3", nonce=b"n")) == "token_reused"


async def test_the_memory_of_used_tickets_is_bounded_and_fails_closed(kind: str, tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(kind, tmp_path, clock) as store:
        for number in range(3):
            await store.claim(claim("CA1", nonce=bytes([number]), expires_at=1060))
        assert await refused(store, claim("CA1", nonce=b"x", expires_at=1060)) == "token_uncheckable"
        assert await refused(store, claim("CA1", nonce=b"\0", expires_at=1060)) == "token_reused"
        clock.advance(60)
        await store.claim(claim("CA1", nonce=b"x", expires_at=1120))


async def test_the_newest_stream_with_a_ticket_wins_and_the_old_end_counts_no_more(
    kind: str, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path, ManualClock()) as store:
        old, new = claim("CA1", "a"), claim("CA1", "b", b"n")
        await store.claim(old)
        assert await refused(store, claim("CA1", "b")) == "duplicate_call"
        assert await store.claim(new) == StoredCall("CA1", "a", old.stream)
        await store.end(old, {"status": "failed"})
        assert await store.find("CA1") == StoredCall("CA1", "b", new.stream)


async def test_the_calls_of_all_workers_count_together(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, ManualClock()) as store:
        await store.claim(claim("CA1", "a"))
        await store.claim(claim("CA2", "b"))
        assert await refused(store, claim("CA3", "c")) == "at_capacity"
        await store.end(claim("CA2", "b"), None)
        await store.claim(claim("CA3", "c"))


async def test_a_worker_that_is_gone_leaves_its_calls_ended_and_known(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, ManualClock()) as store:
        await store.join("a", "0")
        await store.join("b", "1")
        await store.claim(claim("CA1", "a"))
        await store.claim(claim("CA2", "b"))
        assert await store.workers() == {"a": "0", "b": "1"}
        await store.abandon("a")
        assert await store.workers() == {"b": "1"}
        lost = await store.find("CA1")
        assert lost is not None
        assert (lost.live, lost.outcome) == (False, None)
        assert await store.live_count() == 1


async def test_ended_calls_are_forgotten_after_an_hour_and_beyond_a_number(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_store, "ENDED_LIMIT", 2)
    monkeypatch.setattr(sqlite_store, "ENDED_LIMIT", 2)
    clock = ManualClock()
    async with opened(kind, tmp_path, clock) as store:
        for number in range(4):
            clock.advance(1)
            await store.claim(claim(f"CA{number}"))
            await store.end(claim(f"CA{number}"), None)
        known = [number for number in range(4) if await store.find(f"CA{number}") is not None]
        assert known == [2, 3]
        clock.advance(3601)
        assert await store.find("CA3") is None


async def test_two_processes_see_each_others_calls_and_tickets(tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened("sqlite", tmp_path, clock) as one, opened("sqlite", tmp_path, clock) as other:
        await one.claim(claim("CA1", nonce=b"n"))
        assert await refused(other, claim("CA1", "b", b"n")) == "token_reused"
        assert await other.live_count() == 1


async def test_of_many_who_show_one_ticket_one_is_served(tmp_path: Path) -> None:
    clock = ManualClock()
    async with AsyncExitStack() as stack:
        stores = [await stack.enter_async_context(opened("sqlite", tmp_path, clock)) for _ in range(4)]
        answers = await asyncio.gather(
            *(
                store.claim(claim("CA1", f"worker {number}", b"n"))
                for number in range(10)
                for store in stores
            ),
            return_exceptions=True,
        )
        assert [answer for answer in answers if not isinstance(answer, Refused)] == [None]


async def test_a_file_that_is_broken_or_nowhere_makes_the_store_unavailable(tmp_path: Path) -> None:
    (tmp_path / "calls.sqlite").write_bytes(b"this is no database" * 100)
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(StoreUnavailable, match="the store failed: "):
            async with opened("sqlite", folder, ManualClock()):
                pass


async def test_a_store_that_was_closed_is_unavailable(tmp_path: Path) -> None:
    async with opened("sqlite", tmp_path, ManualClock()) as store:
        await store.claim(claim("CA1"))
    with pytest.raises(StoreUnavailable):
        await store.end(claim("CA1"), None)


@pytest.mark.realtime
async def test_a_locked_file_is_waited_for_with_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "LOCKED_FOR_S", 0.05)
    async with opened("sqlite", tmp_path, ManualClock()) as store:
        locker = sqlite3.connect(tmp_path / "calls.sqlite", isolation_level=None)
        locker.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="OperationalError"):
            await store.claim(claim("CA1"))
        locker.execute("ROLLBACK")
        locker.close()
        await store.claim(claim("CA1"))


@pytest.mark.realtime
async def test_a_claim_that_comes_too_late_for_its_stream_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "WITHIN_S", 0.1)
    async with SqliteStore(tmp_path / "calls.sqlite", 2) as store:
        held = threading.Event()
        original = store._enter

        def slow(database: sqlite3.Connection, wanted: Claim) -> StoredCall | Refused | None:
            held.wait(5)
            return original(database, wanted)

        monkeypatch.setattr(store, "_enter", slow)
        with pytest.raises(StoreUnavailable, match="did not answer in time"):
            await store.claim(claim("CA1"))
        held.set()
        assert await store.live_count() == 0


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Somebody else holds the file, as a process that was stopped in the middle does."""
    database = sqlite3.connect(folder / "calls.sqlite", isolation_level=None)
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        database.execute("ROLLBACK")
        database.close()


async def settled(store: CallStore, live: int = 0) -> None:
    """Wait until the store says so."""
    async with asyncio.timeout(10):
        while await store.live_count() != live:  # noqa: ASYNC110 - another thread does it
            await asyncio.sleep(0.02)


@pytest.mark.realtime
async def test_the_end_of_a_call_that_the_store_did_not_take_is_entered_as_soon_as_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "LOCKED_FOR_S", 0.05)
    monkeypatch.setattr(store_debts, "AGAIN_AFTER_S", 0.05)
    async with SqliteStore(tmp_path / "calls.sqlite", 2) as store:
        await store.claim(claim("CA1"))
        with locked(tmp_path):
            with pytest.raises(StoreUnavailable):
                await store.end(claim("CA1"), {"status": "transfer"})
            await asyncio.sleep(0.3)
        await settled(store)
        found = await store.find("CA1")
        assert found is not None
        assert found.outcome == {"status": "transfer"}


@pytest.mark.realtime
async def test_a_claim_that_failed_takes_nobodys_place_and_a_worker_that_is_gone_leaves_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "LOCKED_FOR_S", 0.05)
    monkeypatch.setattr(store_debts, "AGAIN_AFTER_S", 0.05)
    async with SqliteStore(tmp_path / "calls.sqlite", 2) as store:
        await store.join("a", "0")
        await store.claim(claim("CA1", "a"))
        with locked(tmp_path):
            with pytest.raises(StoreUnavailable):
                await store.claim(claim("CA2"))
            with pytest.raises(StoreUnavailable):
                await store.abandon("a")
        await settled(store)
        assert await store.workers() == {}


@pytest.mark.realtime
async def test_what_is_still_owed_is_entered_when_the_store_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_store, "LOCKED_FOR_S", 0.05)
    async with SqliteStore(tmp_path / "calls.sqlite", 2) as store:
        await store.claim(claim("CA1"))
        with locked(tmp_path), pytest.raises(StoreUnavailable):
            await store.end(claim("CA1"), None)
        await asyncio.sleep(0.2)
    async with SqliteStore(tmp_path / "calls.sqlite", 2) as store:
        assert await store.live_count() == 0


@pytest.mark.realtime
async def test_what_waits_for_the_store_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_store, "WAITING_LIMIT", 2)
    async with SqliteStore(tmp_path / "calls.sqlite", 2) as store:
        answers = await asyncio.gather(*(store.live_count() for _ in range(3)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [int, int, StoreUnavailable]


async def test_what_is_kept_of_a_live_call_is_there_for_whoever_goes_on_with_it(
    kind: str, tmp_path: Path
) -> None:
    async with opened(kind, tmp_path, ManualClock()) as store:
        ours = claim("CA1", "a", b"1")
        await store.claim(ours)
        await store.keep(ours, {"messages": ["first"]})
        await store.keep(ours, {"messages": ["second"]})
        await store.keep(claim("CA1", "b"), {"messages": ["of a stream that is not the call's"]})
        await store.abandon("a")
        assert await store.conversation("CA1") == {"messages": ["second"]}
        theirs = claim("CA1", "b", b"2")
        await store.claim(theirs)
        assert await store.conversation("CA1") == {"messages": ["second"]}, "until there is something newer"
        await store.keep(theirs, {"messages": ["third"]})
        assert await store.conversation("CA1") == {"messages": ["third"]}


async def test_a_call_that_ended_by_itself_leaves_no_word_behind(kind: str, tmp_path: Path) -> None:
    async with opened(kind, tmp_path, ManualClock()) as store:
        ours = claim("CA1")
        await store.claim(ours)
        await store.keep(ours, {"messages": ["hush"]})
        await store.end(ours, {"status": "ended"})
        await store.keep(ours, {"messages": ["too late"]})
        assert await store.conversation("CA1") is None
        assert not await store.may_resume("CA1")
        assert await store.conversation("CA404") is None
        assert not await store.may_resume("CA404")


async def test_a_call_is_taken_up_three_times_a_minute_and_no_more(kind: str, tmp_path: Path) -> None:
    clock = ManualClock()
    async with opened(kind, tmp_path, clock) as store:
        ours = claim("CA1")
        await store.claim(ours)
        await store.keep(ours, {})
        assert [await store.may_resume("CA1") for _ in range(5)] == [True, True, True, False, False]
        clock.advance(61)
        assert await store.may_resume("CA1")
