"""Collecting keys, driven by hand."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.keypad import Collected, Keypad, KeyWish

KEYS = "0123456789*#ABCD"


def test_the_terminator_ends_the_input_and_is_no_part_of_it() -> None:
    keypad = Keypad(KeyWish(), 10.0)
    assert keypad.press("4", 11.0) is None
    assert keypad.press("#", 12.0) == Collected("4", "terminator")


def test_the_first_key_may_come_late_but_a_pause_after_a_key_ends_the_input() -> None:
    keypad = Keypad(KeyWish(timeout_s=2, total_s=30), 0.0)
    assert keypad.next_deadline == 30.0
    keypad.press("1", 20.0)
    assert keypad.next_deadline == 22.0
    keypad.advance(21.9)
    assert keypad.collected is None
    keypad.advance(22.0)
    assert keypad.collected == Collected("1", "timeout")


def test_a_terminator_of_none_makes_the_hash_a_key() -> None:
    keypad = Keypad(KeyWish(terminator="", length=2), 0.0)
    keypad.press("#", 1.0)
    assert keypad.press("#", 1.1) == Collected("##", "length")


def test_a_key_that_comes_after_the_pause_is_not_taken() -> None:
    keypad = Keypad(KeyWish(timeout_s=1), 0.0)
    keypad.press("1", 1.0)
    assert keypad.press("2", 2.5) == Collected("1", "timeout")


def test_what_was_pressed_before_the_caller_hung_up_is_kept() -> None:
    keypad = Keypad(KeyWish(), 0.0)
    keypad.press("1", 1.0)
    keypad.hang_up()
    assert keypad.collected == Collected("1", "hangup")


@given(
    keys=st.lists(st.tuples(st.sampled_from(KEYS), st.floats(0, 4)), max_size=80),
    length=st.integers(1, 64),
    least=st.integers(0, 5),
    terminator=st.sampled_from(["", "#", "*"]),
)
def test_every_input_ends_in_time_and_holds_the_leading_keys(
    keys: list[tuple[str, float]], length: int, least: int, terminator: str
) -> None:
    wish = KeyWish(length=length, min=least, terminator=terminator, timeout_s=3, total_s=60)
    keypad, now = Keypad(wish, 0.0), 0.0
    for key, pause_s in keys:
        now += pause_s
        keypad.press(key, now)
    keypad.advance(max(now, 60.0))
    collected = keypad.collected
    assert collected is not None
    assert len(collected.digits) <= length
    assert terminator not in collected.digits or not terminator
    pressed = "".join(key for key, _ in keys if key != terminator)
    assert pressed.startswith(collected.digits)
    if collected.ended_by == "terminator":
        assert len(collected.digits) >= least
