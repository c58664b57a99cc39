"""Our own voice on the caller's line, as levels: filtered, twofold, late, changing, cleared."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.codecs import g711
from offhook.pipeline.echo import LONGEST_DELAY_S, ExpectedEcho

WINDOW_S = 0.032
WINDOW_BYTES = 256
QUIET_DBFS = -60.0
"""No speech is so quiet."""


def hides(echo: ExpectedEcho, level_dbfs: float, media_s: float, now: float) -> bool:
    echo.hear(level_dbfs, media_s, now)
    return echo.explains


class LeakyLine:
    """Plays loud and quiet syllables, and hears them again by any number of paths."""

    def __init__(self, *paths: tuple[float, int], scatter_db: float = 1.0, begins_s: float = 50.0) -> None:
        self.echo = ExpectedEcho()
        self.paths = paths
        self.now = begins_s
        self._begins_s = begins_s
        self._scatter_db = scatter_db
        self._random = np.random.default_rng(4)
        self._level = -20.0
        self._played: list[float] = []

    def window(self, caller_dbfs: float = -90.0, *, silent: bool = False, late_s: float = 0.0) -> bool:
        """Let 32 ms pass; True if somebody seems to speak."""
        if self._random.random() < 0.25:
            self._level = float(self._random.choice([-18.0, -24.0, -32.0, -60.0]))
        level = -90.0 if silent else self._level
        self._played.append(level)
        if not silent:
            samples = self._random.normal(0, 32768 * 10 ** (level / 20), WINDOW_BYTES)
            self.echo.play(g711.encode(np.clip(samples, -32768, 32767).astype(np.int16)), self.now)
        self.now += WINDOW_S
        heard = [self._played[-1 - delay] + db for db, delay in self.paths if delay < len(self._played)]
        power = sum(10 ** (db / 10) for db in (*heard, caller_dbfs, -68.0))
        level = 10 * np.log10(power) + self._random.normal(0, self._scatter_db)
        hidden = hides(self.echo, level, self.now - self._begins_s, self.now + late_s)
        return not hidden and level > QUIET_DBFS

    def seems(self, windows: int, caller_dbfs: float = -90.0) -> int:
        return sum(self.window(caller_dbfs) for _ in range(windows))


@pytest.mark.parametrize("db", [-18.0, -25.0, -35.0])
@pytest.mark.parametrize("delay", [1, 5, 18])
def test_nobody_seems_to_speak_from_the_first_greeting_on(db: float, delay: int) -> None:
    line = LeakyLine((db, delay))
    assert line.seems(600) <= 3
    assert line.echo.coupling_db == pytest.approx(db, abs=4)
    assert line.echo.delay_s == pytest.approx(delay * WINDOW_S, abs=WINDOW_S)


def test_two_paths_are_one_echo() -> None:
    assert LeakyLine((-22.0, 5), (-28.0, 6)).seems(600) <= 3


def test_a_line_that_filters_is_learned_by_its_own_scatter() -> None:
    assert LeakyLine((-25.0, 6), scatter_db=3.0).seems(600) <= 20


def test_a_caller_is_heard_over_an_echo_that_is_10_db_weaker() -> None:
    line = LeakyLine((-25.0, 6))
    line.seems(300)
    assert line.seems(10, caller_dbfs=-28.0) >= 9
    assert line.echo.coupling_db == pytest.approx(-25, abs=4), "the caller taught it nothing"


def test_on_a_clean_line_a_quiet_caller_is_heard_at_once() -> None:
    line = LeakyLine()
    line.seems(60)
    assert line.echo.delay_s is None
    assert line.seems(10, caller_dbfs=-40.0) >= 9
    line.seems(60)
    assert line.seems(10, caller_dbfs=-40.0) >= 9


def test_a_caller_as_loud_as_us_who_falls_in_with_us_is_no_echo() -> None:
    line = LeakyLine((-5.0, 6))
    assert line.seems(200) > 50
    assert line.echo.delay_s is None


def test_nothing_is_hidden_while_we_are_silent() -> None:
    line = LeakyLine((-15.0, 6))
    line.seems(200)
    for _ in range(round(LONGEST_DELAY_S / WINDOW_S) + 1):
        line.window(silent=True)
    assert all(line.window(caller_dbfs=-50.0, silent=True) for _ in range(50))


def test_a_new_echo_on_the_same_call_is_learned() -> None:
    line = LeakyLine((-40.0, 3))
    line.seems(300)
    line.paths = ((-20.0, 12),)
    line.seems(200)
    assert line.seems(300) <= 3
    line.paths = ()
    line.seems(300)
    assert line.echo.coupling_db < -30


def test_what_was_cleared_is_expected_no_more() -> None:
    echo = ExpectedEcho()
    echo.play(g711.encode(np.full(8000, 8000, np.int16)), 10.0)
    echo.clear(10.1)
    assert hides(echo, -40.0, 0.2, 10.2)
    assert not hides(echo, -40.0, 1.2, 11.2)
    echo.play(b"\xff" * 800, 10.1)
    assert not hides(echo, -40.0, 1.232, 11.232)


def test_frames_that_come_late_in_a_burst_are_put_where_they_were_said() -> None:
    line = LeakyLine((-25.0, 6))
    line.seems(200)
    assert sum(line.window(late_s=0.4 - number * WINDOW_S) for number in range(12)) == 0


def test_calls_of_hours_and_silences_of_hours_are_within_one_ring() -> None:
    line = LeakyLine((-25.0, 6), begins_s=1e6)
    line.seems(300)
    line.now += 7200.0
    line._begins_s += 7200.0
    assert line.seems(1500) <= 30


@given(
    sizes=st.lists(st.integers(0, 2000), max_size=12),
    levels=st.lists(st.floats(-100, 0), max_size=80),
    clears=st.lists(st.floats(0, 3), max_size=3),
)
def test_any_sound_is_judged_and_no_coupling_leaves_its_bounds(
    sizes: list[int], levels: list[float], clears: list[float]
) -> None:
    echo, at = ExpectedEcho(), 0.0
    for size in sizes:
        echo.play(bytes(size), at)
        at += size / 8000
    for moment in clears:
        echo.clear(moment)
    for number, level in enumerate(levels):
        assert hides(echo, level, number * WINDOW_S, number * WINDOW_S) in (True, False)
        assert -120.0 <= echo.coupling_db <= -10.0
