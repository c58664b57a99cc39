"""docs/lab-vendors.md says what the emulated vendors do: tables and requests are the code's."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from aiohttp import ClientSession
from vendor_rig import emulated

from offhook.lab.vendors import control
from offhook.lab.vendors.fault_words import DURATIONS, parse_fault
from offhook.lab.vendors.faults import MOMENTS, FaultKind, FaultPlan
from offhook.lab.vendors.latency import PROFILES, SPEED, STEPS, Delay, parse_latency
from offhook.lab.vendors.world import VendorWorld

PAGE = (Path(__file__).parents[2] / "docs" / "lab-vendors.md").read_text()


def rows(head: str) -> list[list[str]]:
    """The cells of the table whose first column has this head."""
    _, _, rest = PAGE.partition(f"\n| {head} |")
    table = re.match(r".*\n\|[-| ]+\|\n((?:\|.*\n)+)", rest)
    assert table is not None, f"there is no table of {head}"
    return [[cell.strip() for cell in line.strip("|\n").split(" | ")] for line in table[1].splitlines()]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def commands(program: str) -> list[list[str]]:
    shown = re.findall(r"^\$ (.+)$", PAGE, re.MULTILINE)
    return [words for words in map(shlex.split, shown) if words[0].endswith(program)]


def options(name: str) -> list[str]:
    """The values that the page's commands give to an option."""
    return [
        words[index + 1]
        for words in commands("offhook")
        for index, word in enumerate(words[:-1])
        if word == name
    ]


def as_written(delay: Delay | float) -> str:
    if not isinstance(delay, Delay):
        return f"{delay:g}"
    return f"{delay.p50_ms:g}" + (f"/{delay.p95_ms:g}" if delay.p95_ms != delay.p50_ms else "")


def test_the_times_are_those_of_the_profiles() -> None:
    table = {named(cells[0])[0]: cells[2:] for cells in rows("step")}
    assert table == {
        step: [as_written(getattr(profile, step)) for profile in PROFILES.values()]
        for step in (*STEPS, SPEED)
    }
    assert f"| `{'` | `'.join(PROFILES)}` |" in PAGE


def test_the_moments_kinds_and_numbers_are_those_of_the_code() -> None:
    assert {named(cells[0])[0]: tuple(named(cells[1])) for cells in rows("vendor")} == MOMENTS
    assert [named(cells[0])[0] for cells in rows("kind")] == [kind.value for kind in FaultKind]
    told = {named(cells[0])[0]: named(cells[1]) for cells in rows("number")}
    for number, kinds in DURATIONS.items():
        assert told[number] == [kind.value for kind in kinds]
    assert set(told) == {"after", "times", *DURATIONS}


def test_every_fault_and_latency_shown_can_be_asked_for() -> None:
    assert options("--fault")
    for words in options("--fault"):
        FaultPlan().plan(parse_fault(words))
    assert options("--latency")
    for text in options("--latency"):
        parse_latency(text, PROFILES["instant"])
    assert set(options("--profile")) <= set(PROFILES)


async def test_every_request_is_told_and_every_one_that_is_shown_is_answered() -> None:
    told = {tuple(named(cells[0])[0].split(" ")) for cells in rows("request")}
    assert told == {(route.method, route.path) for route in control.routes(_world())}
    async with emulated().listening() as vendors, ClientSession() as client:
        for _, *words in commands("curl"):
            url = next(word for word in words if word.startswith("http"))
            body = words[words.index("-d") + 1] if "-d" in words else None
            method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
            there = url.replace("http://127.0.0.1:9100", vendors.base_url)
            async with client.request(method, there, data=body) as response:
                assert response.status in (200, 201), await response.text()


def _world() -> VendorWorld:
    return emulated().world
