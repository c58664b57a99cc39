"""The workers' common memory in an SQLite file of their private folder.

It lives as long as the server, so nothing is flushed to the disk. All work is done in one thread of its
own; whoever waits for it waits for 1 s at most. What must not be lost, such as the end of a call, is tried
again until it is done: a call that stayed live in the store would take somebody's place for ever.
"""

from __future__ import annotations

__all__ = ["SqliteStore"]

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from offhook.config.errors import Refused

from ..call_store import (
    ENDED_FOR_S,
    ENDED_LIMIT,
    RESUMED_LIMIT,
    RESUMED_WITHIN_S,
    TICKET_LIMIT,
    Claim,
    StoredCall,
    StoreUnavailable,
)
from ..stream_token import Ticket
from .store_debts import StoreDebts

WITHIN_S = 1.0
LOCKED_FOR_S = 0.5
"""So long an operation waits for those of other processes; each takes well under a millisecond."""
WAITING_LIMIT = 1_000
"""Operations that wait for the thread; more are refused."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS tickets (nonce BLOB PRIMARY KEY, expires_at INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS tickets_by_expiry ON tickets (expires_at);
CREATE TABLE IF NOT EXISTS calls (
    call_sid TEXT PRIMARY KEY, owner TEXT NOT NULL, stream TEXT NOT NULL, ended_at REAL, outcome TEXT,
    conversation TEXT, resumed TEXT
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS calls_by_end ON calls (ended_at);
CREATE TABLE IF NOT EXISTS workers (address TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
"""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], object]


class SqliteStore:
    """Implements CallStore for the processes of one host; `async with` opens and closes it."""

    immediate = False

    def __init__(
        self,
        file: Path,
        max_calls: int,
        wall_time: Callable[[], float] = time.time,
        ticket_limit: int = TICKET_LIMIT,
    ) -> None:
        """`wall_time` gives Unix seconds, on which the workers agree."""
        self._file = file
        self._max_calls = max_calls
        self._wall_time = wall_time
        self._ticket_limit = ticket_limit
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="offhook-store")
        self._opened: sqlite3.Connection | None = None
        self._waiting = 0
        self._debts: StoreDebts[Work] = StoreDebts(self._do, self._submit)

    async def __aenter__(self) -> SqliteStore:
        """Make the file if it is not there. Raises StoreUnavailable."""
        try:
            await self._do(_live_count)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            await self._debts.settle()
            with contextlib.suppress(StoreUnavailable):
                await self._do(lambda database: database.close())
        finally:
            self._thread.shutdown(wait=False)

    # ------------------------------------------------------------ operations

    async def claim(self, claim: Claim) -> StoredCall | None:
        """Use the ticket up, and enter the stream; raises Refused and StoreUnavailable."""

        def enter(database: sqlite3.Connection) -> StoredCall | Refused | None:
            # A ticket is used up also by a stream that is then refused, so a refusal is committed.
            with _writing(database):
                return self._use(database, claim.ticket) or self._enter(database, claim)

        try:
            entered = await self._do(enter)
        except (StoreUnavailable, asyncio.CancelledError):
            # The thread may be at it yet: behind it, the entry that nobody waited for is taken back.
            self._debts.owe(("take back", claim.stream), lambda database: _take_back(database, claim))
            raise
        if isinstance(entered, Refused):
            raise entered
        return entered

    async def end(self, claim: Claim, outcome: Mapping[str, Any] | None) -> None:
        """The stream is over; raises StoreUnavailable, and then it is tried again."""
        now = self._wall_time()
        text = None if outcome is None else json.dumps(dict(outcome), default=str)

        def end(database: sqlite3.Connection) -> None:
            with _writing(database):
                database.execute(
                    "UPDATE calls SET ended_at = ?, outcome = ?, conversation = NULL "
                    "WHERE call_sid = ? AND stream = ?",
                    (now, text, claim.call_sid, claim.stream),
                )
                _forget_old(database, now)

        await self._do_surely(("end", claim.stream), end)

    async def keep(self, claim: Claim, conversation: Mapping[str, Any]) -> None:
        """Keep what another worker would need; it is printed in the thread."""

        def keep(database: sqlite3.Connection) -> None:
            database.execute(
                "UPDATE calls SET conversation = ? WHERE call_sid = ? AND stream = ? AND ended_at IS NULL",
                (json.dumps(conversation), claim.call_sid, claim.stream),
            )

        await self._do(keep)

    async def conversation(self, call_sid: str) -> Mapping[str, Any] | None:
        """Look up what was kept."""

        def look(database: sqlite3.Connection) -> Mapping[str, Any] | None:
            row = database.execute(
                "SELECT conversation FROM calls WHERE call_sid = ?", (call_sid,)
            ).fetchone()
            kept: Mapping[str, Any] | None = None if row is None or row[0] is None else json.loads(row[0])
            return kept

        return await self._do(look)

    async def left_by(self, address: str) -> Mapping[str, Mapping[str, Any]]:
        """Look up what was kept of a worker's calls."""

        def look(database: sqlite3.Connection) -> Mapping[str, Mapping[str, Any]]:
            rows = database.execute(
                "SELECT call_sid, conversation FROM calls WHERE owner = ? AND conversation IS NOT NULL",
                (address,),
            )
            return {call_sid: json.loads(kept) for call_sid, kept in rows}

        return await self._do(look)

    async def may_resume(self, call_sid: str) -> bool:
        """Count one more try."""
        now = self._wall_time()

        def count(database: sqlite3.Connection) -> bool:
            with _writing(database):
                row = database.execute(
                    "SELECT resumed FROM calls WHERE call_sid = ? AND conversation IS NOT NULL", (call_sid,)
                ).fetchone()
                lately = [at for at in json.loads((row and row[0]) or "[]") if at > now - RESUMED_WITHIN_S]
                if row is None or len(lately) >= RESUMED_LIMIT:
                    return False
                tries = json.dumps([*lately, now])
                database.execute("UPDATE calls SET resumed = ? WHERE call_sid = ?", (tries, call_sid))
                return True

        return await self._do(count)

    async def find(self, call_sid: str) -> StoredCall | None:
        """Look a call up."""
        oldest = self._wall_time() - ENDED_FOR_S
        return await self._do(lambda database: _find(database, call_sid, oldest))

    async def live_count(self) -> int:
        """Count the live calls of all workers."""
        return await self._do(_live_count)

    async def join(self, address: str, name: str) -> None:
        """A worker can be reached from now on."""

        def join(database: sqlite3.Connection) -> None:
            database.execute("INSERT OR REPLACE INTO workers VALUES (?, ?)", (address, name))

        await self._do(join)

    async def workers(self) -> Mapping[str, str]:
        """The names of the workers that can be reached, by address."""
        return await self._do(
            lambda database: dict(database.execute("SELECT address, name FROM workers ORDER BY name"))
        )

    async def abandon(self, address: str) -> None:
        """A worker is gone, and the calls it still held are over; tried again like `end`."""
        now = self._wall_time()

        def abandon(database: sqlite3.Connection) -> None:
            with _writing(database):
                database.execute("DELETE FROM workers WHERE address = ?", (address,))
                database.execute(
                    "UPDATE calls SET ended_at = ? WHERE owner = ? AND ended_at IS NULL", (now, address)
                )

        await self._do_surely(("abandon", address), abandon)

    # ------------------------------------------------------------ the thread

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        if self._waiting >= WAITING_LIMIT:
            raise StoreUnavailable("too much waits for the store")
        self._waiting += 1
        try:
            async with asyncio.timeout(WITHIN_S):
                return await self._submit(work)
        except TimeoutError:
            raise StoreUnavailable("the store did not answer in time") from None
        except (sqlite3.Error, OSError, RuntimeError) as error:
            # RuntimeError: the store was closed, and its thread takes nothing more.
            raise StoreUnavailable(f"the store failed: {type(error).__name__}") from None
        finally:
            self._waiting -= 1

    async def _do_surely(self, what: tuple[str, str], work: Callable[[sqlite3.Connection], object]) -> None:
        """Do it, now or later. Raises StoreUnavailable if it is later."""
        try:
            await self._do(work)
        except (StoreUnavailable, asyncio.CancelledError):
            self._debts.owe(what, work)
            raise

    def _submit(self, work: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        return loop.run_in_executor(self._thread, lambda: work(self._database()))

    def _database(self) -> sqlite3.Connection:
        if self._opened is None:
            database = sqlite3.connect(self._file, timeout=LOCKED_FOR_S, isolation_level=None)
            try:
                database.execute("PRAGMA journal_mode = WAL")
                database.execute("PRAGMA synchronous = OFF")
                database.executescript(_SCHEMA)
            except BaseException:
                database.close()
                raise
            self._opened = database
        return self._opened

    # ---------------------------------------------------------------- claims

    def _use(self, database: sqlite3.Connection, ticket: Ticket | None) -> Refused | None:
        if ticket is None:
            return None
        database.execute("DELETE FROM tickets WHERE expires_at <= ?", (self._wall_time(),))
        if database.execute("SELECT 1 FROM tickets WHERE nonce = ?", (ticket.nonce,)).fetchone():
            return Refused("token_reused")
        (used,) = database.execute("SELECT count(*) FROM tickets").fetchone()
        if used >= self._ticket_limit:
            return Refused("token_uncheckable", 503)
        database.execute("INSERT INTO tickets VALUES (?, ?)", (ticket.nonce, ticket.expires_at))
        return None

    def _enter(self, database: sqlite3.Connection, claim: Claim) -> StoredCall | Refused | None:
        before = _find(database, claim.call_sid, float("inf"))
        if before is not None and claim.ticket is None:
            return Refused("duplicate_call", 409)
        if before is None and _live_count(database) >= self._max_calls:
            return Refused("at_capacity", 503)
        database.execute(
            "INSERT INTO calls (call_sid, owner, stream) VALUES (?, ?, ?) ON CONFLICT (call_sid) DO UPDATE "
            "SET owner = excluded.owner, stream = excluded.stream, ended_at = NULL, outcome = NULL",
            (claim.call_sid, claim.owner, claim.stream),
        )
        return before


@contextmanager
def _writing(database: sqlite3.Connection) -> Iterator[None]:
    """One transaction, which holds the write lock from its beginning."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


def _find(database: sqlite3.Connection, call_sid: str, ended_since: float) -> StoredCall | None:
    row = database.execute(
        "SELECT owner, stream, ended_at, outcome FROM calls WHERE call_sid = ? "
        "AND (ended_at IS NULL OR ended_at >= ?)",
        (call_sid, ended_since),
    ).fetchone()
    if row is None:
        return None
    owner, stream, ended_at, outcome = row
    return StoredCall(call_sid, owner, stream, ended_at is None, outcome and json.loads(outcome))


def _live_count(database: sqlite3.Connection) -> int:
    (count,) = database.execute("SELECT count(*) FROM calls WHERE ended_at IS NULL").fetchone()
    return int(count)


def _take_back(database: sqlite3.Connection, claim: Claim) -> None:
    database.execute(
        "DELETE FROM calls WHERE call_sid = ? AND stream = ? AND ended_at IS NULL",
        (claim.call_sid, claim.stream),
    )


def _forget_old(database: sqlite3.Connection, now: float) -> None:
    database.execute("DELETE FROM calls WHERE ended_at < ?", (now - ENDED_FOR_S,))
    (ended,) = database.execute("SELECT count(*) FROM calls WHERE ended_at IS NOT NULL").fetchone()
    if ended > ENDED_LIMIT:
        database.execute(
            "DELETE FROM calls WHERE call_sid IN "
            "(SELECT call_sid FROM calls WHERE ended_at IS NOT NULL ORDER BY ended_at LIMIT ?)",
            (ended - ENDED_LIMIT,),
        )
