"""Our own voice on the caller's line: how loud it is expected, and which words are its."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.codecs import g711
from offhook.pipeline.echo import FEARED_DB, ExpectedEcho
from offhook.pipeline.heard_ledger import HeardLedger
from offhook.pipeline.phrases import is_echo

CELL_S = 0.032
CELL_BYTES = 256
INAUDIBLE_DBFS = -60.0
"""The speech gate takes nothing so quiet for speech."""


def hides(echo: ExpectedEcho, level_dbfs: float, media_s: float, now: float) -> bool:
    echo.hear(level_dbfs, media_s, now)
    return echo.explains


class Line:
    """A far end that plays what we send, leaks it, and holds a caller or none."""

    def __init__(self, *, leak_db: float | None, delay_cells: int = 6, seed: int = 1) -> None:
        self.echo = ExpectedEcho()
        self._leak_db, self._delay = leak_db, delay_cells
        self._random = np.random.default_rng(seed)
        self._level = -25.0
        self._played: list[float] = []
        self.now = 0.0

    def window(self, *, speaking: bool = True, caller_dbfs: float = -90.0) -> bool:
        """Let 32 ms pass; True if what the caller's side sounds like is hidden as an echo."""
        if self._random.random() < 0.25:
            self._level = float(self._random.choice([-20.0, -28.0, -35.0, -60.0]))
        level = self._level if speaking else -90.0
        self._played.append(level)
        if speaking:
            amplitude = 32768 * 10 ** (level / 20)
            self.echo.play(g711.encode(np.full(CELL_BYTES, amplitude, np.int16)), self.now)
        self.now += CELL_S
        leaked = -90.0
        if self._leak_db is not None and len(self._played) > self._delay:
            leaked = self._played[-1 - self._delay] + self._leak_db
        power = sum(10 ** (part / 10) for part in (leaked, caller_dbfs, -70.0))
        heard = 10 * np.log10(power) + self._random.normal(0, 0.5)
        hidden = hides(self.echo, float(heard), self.now, self.now)
        return hidden or heard < INAUDIBLE_DBFS

    def run(self, windows: int, **how: float) -> list[bool]:
        return [self.window(caller_dbfs=how.get("caller_dbfs", -90.0)) for _ in range(windows)]


@pytest.mark.parametrize("leak_db", [-18.0, -25.0, -32.0])
@pytest.mark.parametrize("delay_cells", [1, 6, 19])
def test_an_echo_is_hidden_from_the_first_window_on_and_its_coupling_is_learned(
    leak_db: float, delay_cells: int
) -> None:
    line = Line(leak_db=leak_db, delay_cells=delay_cells)
    hidden = line.run(400)
    assert sum(not item for item in hidden[delay_cells:]) == 0
    assert line.echo.coupling_db == pytest.approx(leak_db, abs=5)
    assert line.echo.delay_s == pytest.approx(delay_cells * CELL_S, abs=2 * CELL_S)


def test_a_caller_over_an_echo_is_heard() -> None:
    line = Line(leak_db=-25.0)
    line.run(200)
    assert not any(line.run(10, caller_dbfs=-22.0))


def test_on_a_clean_line_even_a_quiet_caller_is_soon_heard() -> None:
    line = Line(leak_db=None)
    line.run(100)
    assert line.echo.coupling_db < FEARED_DB - 15
    assert not any(line.run(20, caller_dbfs=-38.0))


def test_a_caller_who_speaks_while_we_are_silent_is_never_hidden() -> None:
    line = Line(leak_db=-15.0)
    line.run(100)
    for _ in range(40):
        line.window(speaking=False)
    assert not any(line.window(speaking=False, caller_dbfs=-45.0) for _ in range(40))


def test_what_was_cleared_leaves_no_echo() -> None:
    echo = ExpectedEcho()
    loud = g711.encode(np.full(8000, 8000, np.int16))
    echo.play(loud, 0.0)
    echo.clear(0.1)
    assert hides(echo, -40.0, 0.2, 0.2)
    assert not hides(echo, -40.0, 1.2, 1.2)


def test_late_frames_do_not_move_the_echo() -> None:
    line = Line(leak_db=-25.0)
    line.run(200)
    delay_s = line.echo.delay_s
    media_s = line.now
    for number in range(20):  # a stall of 400 ms, then all at once
        hides(line.echo, -80.0, media_s + number * CELL_S, media_s + 0.4 + 20 * CELL_S)
    assert line.echo.delay_s == delay_s


@given(levels=st.lists(st.floats(-100, 0), max_size=80), sizes=st.lists(st.integers(0, 900), max_size=10))
def test_any_sound_at_any_level_is_judged(levels: list[float], sizes: list[int]) -> None:
    echo = ExpectedEcho()
    at = 0.0
    for size in sizes:
        echo.play(bytes(size), at)
        at += size / 8000
    for number, level in enumerate(levels):
        assert hides(echo, level, number * CELL_S, number * CELL_S) in (True, False)
        assert -60.0 <= echo.coupling_db <= 0.0


# ------------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("said", "echo"),
    [
        ("parcels arrive two days", True),
        ("Parcels arrive, two days later!", True),
        ("parcels a rive two days later", True),
        ("stop", False),
        ("when do parcels get here", False),
        ("", False),
        ("two days later? where is my order", False),
    ],
)
def test_words_of_ours_are_known_again(said: str, echo: bool) -> None:
    assert is_echo(said, "and most parcels arrive two days later.") is echo


def test_nothing_is_an_echo_while_nothing_plays() -> None:
    assert not is_echo("parcels arrive", "")


def ledger() -> HeardLedger:
    """Two clauses of 8,000 bytes each; the second asks."""
    made = HeardLedger()
    for text in ("We can do that.", "Shall I book it?"):
        begins = 8000 if made.text else 0
        made.begin_clause(text, begins)
        made.end_clause(begins + 8000)
    return made


def test_the_words_of_the_last_seconds_are_told() -> None:
    assert ledger().text_between(0, 16_000) == "We can do that. Shall I book it?"
    assert ledger().text_between(9000, 11_500) == "Shall I"
    assert ledger().text_between(-8000, 100) == "We"
    assert HeardLedger().text_between(0, 100) == ""


@pytest.mark.parametrize(
    ("offset", "asks"), [(7000, False), (11_000, False), (12_500, True), (16_000, True), (21_000, False)]
)
def test_a_question_asks_once_it_was_heard_for_the_most_part(offset: int, asks: bool) -> None:
    assert ledger().asks_at(offset) is asks
