"""docs/faults.md names a test for every fault, and each of them is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "faults.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and not line.startswith("| fault")]


def test_every_fault_names_a_test_that_there_is() -> None:
    there = {
        name
        for file in (ROOT / "tests").glob("**/test_*.py")
        for name in re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.MULTILINE)
    }
    named = [re.findall(r"`(test_\w+)`", row) for row in ROWS]
    assert len(ROWS) > 30
    assert [row for row, tests in zip(ROWS, named, strict=True) if len(tests) != 1] == []
    assert sorted({test for tests in named for test in tests} - there) == []
