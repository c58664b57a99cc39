"""The repository as the packaging tests see it: its root, its pyproject.toml, and its package folders."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def root() -> Path:
    return Path(__file__).parents[2]


@pytest.fixture(scope="session")
def project(root: Path) -> dict[str, Any]:
    return tomllib.loads((root / "pyproject.toml").read_text())


@pytest.fixture(scope="session")
def folders(project: dict[str, Any]) -> frozenset[str]:
    """The top-level folders that are imported as offhook.X."""
    return frozenset(project["tool"]["setuptools"]["package-dir"].values())
