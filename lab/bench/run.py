"""Runs the two processes of a benchmark, one on either core, and puts their figures together."""

from __future__ import annotations

__all__ = ["run_bench"]

import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from offhook.config.errors import OffhookError

from .calibration import Calibration, calibrate
from .load_process import CallsUp, Finished, place_calls
from .plan import BenchPlan, Failed, NotCarried, Window
from .report import BenchResult
from .served_process import Finish, Ready, Served, serve_calls
from .setup_process import SetupsFinished, place_setups
from .summing_up import result_of
from .vendor_process import VendorsReady, emulate_vendors
from .workers import one_figure, seats

Word = TypeVar("Word")

START_WITHIN_S = 60.0
ANSWER_WITHIN_S = 30.0
END_WITHIN_S = 10.0
LEAD_S = 0.2
"""From the announcement of the window to its beginning."""


def run_bench(plan: BenchPlan, *, say: Callable[[str], None] = lambda _: None) -> BenchResult:
    """Measure; `say` is told what goes on. Raises OffhookError if one of the processes cannot go on."""
    # One core is to be measured; a linear-algebra library with threads of its own would use them all.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    before_us = calibrate(plan.cores)
    result = _measured(plan, say)
    return replace(result, calibration=Calibration(before_us, calibrate(plan.cores)))


def _measured(plan: BenchPlan, say: Callable[[str], None]) -> BenchResult:
    with ExitStack() as stack:
        if plan.vendors == 0:
            vendors = stack.enter_context(_process(emulate_vendors, plan))
            plan = replace(plan, vendors=_next(vendors, VendorsReady, START_WITHIN_S).port)
        servers, port = _servers(plan, stack)
        say(f"placing {plan.calls} calls")
        load = stack.enter_context(_process(place_calls, plan, port))
        setups = stack.enter_context(_process(place_setups, plan, port)) if plan.setups_per_s else None
        _next(load, CallsUp, START_WITHIN_S + plan.calls + plan.warm_up_s)
        say(f"measuring for {plan.seconds:g} s")
        begin_ns = time.monotonic_ns() + round(LEAD_S * 1e9)
        window = Window(begin_ns, begin_ns + round(plan.seconds * 1e9))
        for each in (*servers, load):
            each.send(window)
        if setups is not None:
            setups.send(window)
        loaded = _next(load, Finished, plan.seconds + ANSWER_WITHIN_S).figures
        begun = None if setups is None else _next(setups, SetupsFinished, ANSWER_WITHIN_S).figures
        for process in (load, setups):
            if process is not None:
                process.send(None)
        for server in servers:
            server.send(Finish())
        served = one_figure([_next(server, Served, ANSWER_WITHIN_S) for server in servers])
        for server in servers:
            server.send(None)
        if plan.vendors is not None:
            vendors.send(None)
        return result_of(plan, loaded, served.figures, served.vendors, begun)


def _servers(plan: BenchPlan, stack: ExitStack) -> tuple[list[Connection], int]:
    """The server processes and their one port."""
    if plan.workers == 1:
        server = stack.enter_context(_process(serve_calls, plan, None))
        return [server], _next(server, Ready, START_WITHIN_S).port
    servers: list[Connection] = []
    port = 0
    for seat in stack.enter_context(seats(plan.workers, plan.cores)):
        servers.append(stack.enter_context(_process(serve_calls, plan, replace(seat, port=port))))
        port = _next(servers[-1], Ready, START_WITHIN_S).port
    return servers, port


@contextmanager
def _process(target: Callable[..., None], plan: BenchPlan, *arguments: Any) -> Iterator[Connection]:
    """A process and the line to it; it is ended when the block is."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=target, args=(plan, *arguments, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours
    finally:
        ours.close()
        process.join(END_WITHIN_S)
        if process.is_alive():
            process.kill()
            process.join()


def _next(process: Connection, kind: type[Word], within_s: float) -> Word:
    """The process's next word. Raises OffhookError if it is another, or does not come, and NotCarried."""
    try:
        if not process.poll(within_s):
            raise OffhookError(f"a process of the benchmark said nothing for {within_s:g} s")
        word = process.recv()
    except (EOFError, OSError) as error:
        raise OffhookError("a process of the benchmark ended early; see its error above") from error
    if isinstance(word, Failed):
        raise NotCarried(word.reason) if word.overloaded else OffhookError(word.reason)
    if not isinstance(word, kind):
        raise OffhookError(f"a process of the benchmark said {word!r} instead of {kind.__name__}")
    return word
