"""Stalls, judged from beats, looks and what a thread used: no thread, no clock."""

from __future__ import annotations

import pytest

from offhook.bridge.stall_watch import (
    ELSEWHERE,
    LATE_S,
    LOOK_AFTER_S,
    LOOK_EVERY_S,
    LOOKS,
    PLACES,
    STUCK_S,
    UNSEEN,
    Place,
    Stall,
    StallKind,
    StallWatch,
    Usage,
)

DUE_S = 100.0
SLOW = Place("time_library.wait:3", "offhook.bridge.slow.look_up:7")
QUICK = Place("json.loads:1")


def watch(*, watched: bool = True) -> StallWatch:
    """A watch whose loop's next beat is due at 100 s."""
    watching = StallWatch()
    watching.watched = watched
    watching.expect(DUE_S, Usage())
    return watching


def looks_until(watching: StallWatch, end_s: float, place: Place, begin_s: float = DUE_S) -> None:
    """Let the watchdog sleep and look, as long as it is told to."""
    now_s = begin_s
    while now_s < end_s:
        now_s = watching.look(now_s, lambda: place).again_at_s


def stalled(late_s: float, *, cpu_s: float = 0.0, waited_s: float = 0.0, collected_s: float = 0.0) -> Stall:
    """A stall that the watchdog looked at as it should."""
    watching = watch()
    looks_until(watching, DUE_S + late_s, SLOW)
    stall = watching.beat(DUE_S + late_s, Usage(cpu_s, waited_s, collected_s))
    assert stall is not None
    return stall


def test_a_punctual_beat_is_no_stall_and_is_not_looked_at() -> None:
    watching = watch()

    def place() -> Place:
        raise AssertionError("the loop's stack was read though nothing was late")

    assert watching.look(DUE_S - 0.01, place).again_at_s == pytest.approx(DUE_S + LOOK_AFTER_S)
    assert watching.look(DUE_S + LOOK_AFTER_S - 0.001, place).again_at_s == pytest.approx(
        DUE_S + LOOK_AFTER_S
    )
    assert watching.beat(DUE_S + LATE_S - 0.001, Usage()) is None
    assert watching.tallies == {}


def test_a_stall_is_told_by_the_place_where_the_loop_stood() -> None:
    stall = stalled(0.3)
    assert (stall.kind, stall.place) == (StallKind.CODE, SLOW)
    assert stall.late_s == pytest.approx(0.3)
    assert stall.blamed == "offhook.bridge.slow.look_up:7"


def test_of_several_places_the_one_seen_most_often_is_blamed() -> None:
    watching = watch()
    looks_until(watching, DUE_S + 0.06, QUICK)
    looks_until(watching, DUE_S + 0.4, SLOW, begin_s=DUE_S + 0.1)
    stall = watching.beat(DUE_S + 0.4, Usage())
    assert stall is not None
    assert stall.place == SLOW


@pytest.mark.parametrize("begun_before_due_s", [0.0, 0.02, 0.049])
def test_a_stall_of_100_ms_is_always_looked_at(begun_before_due_s: float) -> None:
    watching = watch()
    watching.look(DUE_S - 0.05, lambda: QUICK)
    ended_s = DUE_S - begun_before_due_s + 0.1
    looks_until(watching, ended_s, SLOW)
    stall = watching.beat(ended_s, Usage())
    assert stall is not None
    assert stall.place == SLOW


def test_a_stall_that_nobody_looked_at_is_counted_all_the_same() -> None:
    stall = watch(watched=False).beat(DUE_S + 0.3, Usage())
    assert stall is not None
    assert (stall.kind, stall.place) == (StallKind.CODE, UNSEEN)


def test_a_collection_that_took_most_of_it_is_to_blame_and_no_place() -> None:
    stall = stalled(0.3, cpu_s=0.3, collected_s=0.2)
    assert (stall.kind, stall.blamed) == (StallKind.COLLECTION, "")
    assert stalled(0.3, cpu_s=0.3, collected_s=0.1).kind is StallKind.CODE


def test_a_process_that_waited_for_a_processor_did_not_run() -> None:
    assert stalled(0.3, cpu_s=0.01, waited_s=0.25).kind is StallKind.NOT_RUN
    assert stalled(0.3, cpu_s=0.2, waited_s=0.25).kind is StallKind.CODE


def test_a_process_whose_watchdog_slept_too_did_not_run() -> None:
    watching = watch()
    watching.look(DUE_S, lambda: SLOW)
    watching.look(DUE_S + 0.29, lambda: SLOW)
    stall = watching.beat(DUE_S + 0.3, Usage())
    assert stall is not None
    assert stall.kind is StallKind.NOT_RUN


def test_code_that_keeps_the_watchdog_from_running_is_code_if_it_computes() -> None:
    watching = watch()
    watching.look(DUE_S + 0.3, lambda: SLOW)
    stall = watching.beat(DUE_S + 0.3, Usage(cpu_s=0.3))
    assert stall is not None
    assert (stall.kind, stall.place) == (StallKind.CODE, SLOW)


def test_what_was_used_before_the_stall_does_not_count() -> None:
    watching = StallWatch()
    watching.expect(DUE_S, Usage(cpu_s=50.0, waited_s=20.0, collected_s=10.0))
    stall = watching.beat(DUE_S + 0.3, Usage(cpu_s=50.3, waited_s=20.0, collected_s=10.0))
    assert stall is not None
    assert stall.kind is StallKind.CODE
    assert stall.cpu_s == pytest.approx(0.3)


def test_looks_at_one_stall_say_nothing_of_the_next() -> None:
    watching = watch()
    looks_until(watching, DUE_S + 0.5, QUICK)
    watching.beat(DUE_S + 0.5, Usage())
    watching.expect(DUE_S + 1, Usage())
    stall = watching.beat(DUE_S + 1.06, Usage())
    assert stall is not None
    assert stall.place == UNSEEN


def test_a_stall_that_does_not_end_is_told_once_before_it_does() -> None:
    watching = watch()
    told = []
    now_s = DUE_S
    while now_s < DUE_S + 3 * STUCK_S:
        looked = watching.look(now_s, lambda: SLOW)
        told += [(now_s, looked.stuck)] if looked.stuck else []
        now_s = looked.again_at_s
    ((told_at_s, place),) = told
    assert DUE_S + STUCK_S <= told_at_s < DUE_S + STUCK_S + LOOK_EVERY_S
    assert place == SLOW
    assert len(watching._looks) == LOOKS


def test_nothing_is_overdue_while_the_heartbeat_rests() -> None:
    watching = watch()
    watching.rest()
    looks_until(watching, DUE_S + 60, SLOW)
    assert watching._looks.maxlen is not None
    assert not watching._looks


def test_the_table_of_places_is_bounded() -> None:
    watching = StallWatch()
    for number in range(2 * PLACES):
        watching.expect(DUE_S, Usage())
        looks_until(watching, DUE_S + 0.3, Place(f"module.function:{number}"))
        watching.beat(DUE_S + 0.3, Usage())
    assert len(watching.tallies) == PLACES + 1
    assert watching.tallies[StallKind.CODE, ELSEWHERE].count == PLACES
    assert sum(tally.seconds for tally in watching.tallies.values()) == pytest.approx(0.3 * 2 * PLACES)
