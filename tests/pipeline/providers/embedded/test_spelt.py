"""Numbers that are said digit by digit."""

from __future__ import annotations

import pytest

from offhook.pipeline.providers.embedded.spelt import spelt


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("Call (415) 555-2671.", "Call 4 1 5, 5 5 5, 2 6 7 1."),
        ("Call 415-555-2671 now", "Call 4 1 5, 5 5 5, 2 6 7 1 now"),
        ("+44 20 7946 0958", "plus 4 4, 2 0, 7 9 4 6, 0 9 5 8"),
        ("+14155552671", "plus 1 4 1 5 5 5 5 2 6 7 1"),
        ("order 12345.", "order 1 2 3 4 5."),
        ("order #12345?", "order 1 2 3 4 5?"),
        ("flight AB123 at", "flight A B 1 2 3 at"),
        ("ref X-9921", "ref X 9 9 2 1"),
    ],
)
def test_what_people_spell_is_spelt(written: str, said: str) -> None:
    assert spelt(written) == said


@pytest.mark.parametrize(
    "text",
    [
        "in 2024",
        "12,345 people",
        "$12345.50",
        "12345.5 km",
        "555-0192",
        "MP3",
        "3-4 days",
        "50000%",
        "at 9:30",
        "B2B",
    ],
)
def test_all_else_stays(text: str) -> None:
    assert spelt(text) == text
