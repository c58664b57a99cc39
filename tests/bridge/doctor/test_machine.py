"""Limits of a machine, beside the calls that the settings allow."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from bridge_rig import settings

from offhook.bridge.doctor.finding import Finding, Outcome
from offhook.bridge.doctor.machine import Machine, judge_machine, look_at_machine
from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant

ROOMY = Machine(open_files=65_536, cores=8, memory_mb=16_000, has_uvloop=True)
EMBEDDED = parse_assistant({"name": "a"}, "a.yaml")
VENDORS = parse_assistant(
    {
        "name": "a",
        "transcriber": {"provider": "deepgram"},
        "model": {"provider": "openai"},
        "voice": {"provider": "elevenlabs", "name": "anna"},
    },
    "a.yaml",
)


def judged(machine: Machine, assistant: Assistant | None = EMBEDDED, **fields: Any) -> dict[str, Finding]:
    is_up = fields.pop("is_up", False)
    found = judge_machine(machine, settings(**fields), assistant, is_up=is_up)
    return {finding.check: finding for finding in found}


def test_a_roomy_machine_is_well() -> None:
    assert {found.outcome for found in judged(ROOMY).values()} == {Outcome.OK}
    assert {found.outcome for found in judged(ROOMY, None).values()} == {Outcome.OK}


@pytest.mark.parametrize(
    ("limit", "assistant", "outcome"),
    [
        (None, VENDORS, Outcome.OK),
        (900, VENDORS, Outcome.OK),
        (899, VENDORS, Outcome.WARNING),
        (899, EMBEDDED, Outcome.OK),
        (199, EMBEDDED, Outcome.FAILED),
    ],
)
def test_open_files_are_enough_for_calls_and_their_vendors(
    limit: int | None, assistant: Assistant, outcome: Outcome
) -> None:
    found = judged(replace(ROOMY, open_files=limit), assistant, max_calls=100)["open files"]
    assert found.outcome is outcome
    assert ("ulimit -n" in found.fix) is (outcome is not Outcome.OK)


def test_more_workers_than_cores_take_turns() -> None:
    assert judged(replace(ROOMY, cores=2), workers=3)["cores"].outcome is Outcome.WARNING
    assert judged(replace(ROOMY, cores=1))["cores"].outcome is Outcome.WARNING
    assert judged(replace(ROOMY, cores=1), VENDORS)["cores"].told == "1 core for 1 worker."


@pytest.mark.parametrize(
    ("memory_mb", "assistant", "workers", "outcome"),
    [
        (700, EMBEDDED, 1, Outcome.OK),
        (600, EMBEDDED, 1, Outcome.WARNING),
        (600, VENDORS, 4, Outcome.OK),
        (599, VENDORS, 4, Outcome.WARNING),
        (None, EMBEDDED, 1, Outcome.NOT_CHECKED),
    ],
)
def test_memory_is_enough_for_the_models(
    memory_mb: int | None, assistant: Assistant, workers: int, outcome: Outcome
) -> None:
    machine = replace(ROOMY, cores=2 * workers, memory_mb=memory_mb)
    if assistant is EMBEDDED:
        machine = replace(machine, cores=2)
    assert judged(machine, assistant, workers=workers)["memory"].outcome is outcome


def test_a_server_that_is_up_has_its_memory() -> None:
    assert judged(replace(ROOMY, memory_mb=1), is_up=True)["memory"].outcome is Outcome.NOT_CHECKED


def test_without_uvloop_calls_cost_more() -> None:
    assert judged(replace(ROOMY, has_uvloop=False))["event loop"].outcome is Outcome.WARNING


def test_the_limit_of_a_container_goes_before_what_the_machine_has(tmp_path: Path) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal: 9000000 kB\nMemAvailable: 2000000 kB\n")
    (tmp_path / "memory.max").write_text("1500000000\n")
    (tmp_path / "memory.current").write_text("500000000\n")
    assert look_at_machine(tmp_path, meminfo).memory_mb == 1000
    (tmp_path / "memory.max").write_text("max\n")
    assert look_at_machine(tmp_path, meminfo).memory_mb == 2048
    assert look_at_machine(tmp_path / "none", tmp_path / "none").memory_mb is None
    assert look_at_machine().cores >= 1
