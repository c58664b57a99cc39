"""Where the figures go: to the terminal, and to a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from warm_server import load_line

REPORTS = Path(__file__).parents[2] / "out" / "acceptance"

Report = Callable[[str], None]


@pytest.fixture
def report(request: pytest.FixtureRequest, capsys: pytest.CaptureFixture[str]) -> Iterator[Report]:
    """Takes lines; prints them and keeps them in out/acceptance/, whether the test passes or not."""
    lines = [request.node.name.partition("[")[0].replace("_", " "), f"at the start: {load_line()}"]
    yield lines.append
    text = "\n".join([*lines, f"at the end: {load_line()}", ""])
    REPORTS.mkdir(parents=True, exist_ok=True)
    (REPORTS / f"{request.node.path.stem}.txt").write_text(text, encoding="utf-8")
    with capsys.disabled():
        print(f"\n{text}")  # noqa: T201 - the table is what this suite is for
