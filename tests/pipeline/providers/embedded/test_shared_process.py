"""One process for several engines: there with the first, gone with the last."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from hypothesis import given
from hypothesis import strategies as st
from virtual_loop import VirtualLoop

from offhook.config.errors import ProviderError
from offhook.pipeline.providers.embedded.job_queue import Job
from offhook.pipeline.providers.embedded.jobs import Request, Speak
from offhook.pipeline.providers.embedded.shared_process import ProcessShare, SharedProcesses

KEY = ("hibari", "heart")


class FakeProcess:
    """Starts in a second, once."""

    def __init__(self, failure: ProviderError | None = None) -> None:
        self._failure = failure
        self.starts = self.closes = 0
        self.jobs: list[Request] = []

    @property
    def takes_jobs(self) -> bool:
        return bool(self.starts) and not self.closes

    async def start(self) -> None:
        self.starts += 1
        await asyncio.sleep(1)
        if self._failure is not None:
            raise self._failure

    async def close(self) -> None:
        self.closes += 1
        await asyncio.sleep(0.1)

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        self.jobs.append(request)
        return Job(request, wanted_s, subject)


class Shop:
    """Shares of processes, and the processes that were made for them."""

    def __init__(self, failure: ProviderError | None = None) -> None:
        self.failure = failure
        self.made: list[FakeProcess] = []
        self._processes = SharedProcesses()

    def _make(self) -> FakeProcess:
        self.made.append(FakeProcess(self.failure))
        return self.made[-1]

    def share(self, key: Hashable = KEY) -> ProcessShare:
        return self._processes.share(key, self._make)

    @property
    def open(self) -> int:
        return sum(process.starts > process.closes for process in self.made)


async def test_two_engines_have_one_process_which_goes_with_the_second() -> None:
    shop = Shop()
    one, other = shop.share(), shop.share()
    assert not one.takes_jobs
    await asyncio.gather(one.start(), other.start())
    assert (shop.open, len(shop.made)) == (1, 1)
    other.submit(Speak("hello", 1.5), 0.1)
    assert shop.made[0].jobs == [Speak("hello", 1.5)]
    await one.close()
    assert not one.takes_jobs
    assert other.takes_jobs
    await other.close()
    assert shop.open == 0
    again = shop.share()
    await again.start()
    assert (shop.open, len(shop.made)) == (1, 2)


async def test_another_model_is_another_process() -> None:
    shop = Shop()
    await asyncio.gather(shop.share().start(), shop.share(("hibari", "emma")).start())
    assert shop.open == 2


async def test_who_gives_up_in_the_start_takes_nobody_along() -> None:
    shop = Shop()
    one, other = shop.share(), shop.share()
    starting = [asyncio.create_task(share.start()) for share in (one, other)]
    await asyncio.sleep(0.5)
    starting[0].cancel()
    await asyncio.gather(starting[0], return_exceptions=True)
    await one.close()
    await starting[1]
    assert other.takes_jobs
    assert shop.open == 1


async def test_the_last_who_gives_up_ends_the_start() -> None:
    shop = Shop()
    share = shop.share()
    starting = asyncio.create_task(share.start())
    await asyncio.sleep(0.5)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    await share.close()
    assert shop.open == 0
    assert len(asyncio.all_tasks()) == 1


async def test_a_start_that_fails_is_told_to_all_and_tried_anew_with_another_process() -> None:
    shop = Shop(ProviderError("hibari", "no memory"))
    one, other = shop.share(), shop.share()
    told = await asyncio.gather(one.start(), other.start(), return_exceptions=True)
    assert [str(error) for error in told] == [str(shop.failure)] * 2
    await asyncio.gather(one.close(), other.close())
    shop.failure = None
    await shop.share().start()
    assert (shop.open, len(shop.made)) == (1, 2)


async def test_a_share_that_was_never_started_closes_nothing() -> None:
    shop = Shop()
    one = shop.share()
    await one.start()
    await shop.share().close()
    assert one.takes_jobs


@given(st.lists(st.sampled_from(["start", "close"]), max_size=12))
def test_in_any_order_there_is_a_process_exactly_while_somebody_uses_it(moves: list[str]) -> None:
    async def played() -> None:
        shop, used = Shop(), list[ProcessShare]()
        for move in moves:
            if move == "start":
                used.append(shop.share())
                await used[-1].start()
            elif used:
                await used.pop(0).close()
            assert shop.open == (1 if used else 0)
            assert all(share.takes_jobs for share in used)

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(played())
