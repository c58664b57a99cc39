"""The tape of a call, driven by hand: frames, writes, clears and times in, samples out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from offhook.bridge.recording.tape import LOOK_AHEAD_S, CallTape, Stretch, samples
from offhook.codecs import g711

RATE_HZ = 8000
FRAME = 160
LEFT, RIGHT = 0, 1

Sound = NDArray[np.int16]


class Taped:
    """A tape that is emptied once a second, as a recorder does, and all that came of it."""

    def __init__(self, began: float = 100.0) -> None:
        self.began = began
        self.tape = CallTape(began)
        self.stretches: list[Stretch] = []
        self._taken_at = began

    def until(self, now: float) -> None:
        while self._taken_at + 1 <= now:
            self._taken_at += 1
            self._keep(self.tape.take(self._taken_at))

    def end(self, now: float) -> Sound:
        self.until(now)
        self._keep(self.tape.end(now))
        return np.concatenate([samples(stretch) for stretch in self.stretches])

    def _keep(self, stretch: Stretch | None) -> None:
        if stretch is not None:
            assert stretch.begin == (self.stretches[-1].end if self.stretches else 0)
            self.stretches.append(stretch)


def tone(number: int, size: int = FRAME) -> bytes:
    """A frame that is told from any other near it, and from silence."""
    return bytes([number % 120]) * size


def codes(sound: Sound) -> bytes:
    return g711.encode(np.ascontiguousarray(sound))


def speak(taped: Taped, first: int, last: int, *, late_s: float = 0.0, timestamp_ms: int = 155) -> None:
    """Frames of the caller's, each of them coming at its end and so much later."""
    for number in range(first, last):
        now = taped.began + (number + 1) * 0.02 + late_s
        taped.until(now)
        taped.tape.caller(tone(number), timestamp_ms + number * 20, now)


def test_the_caller_is_on_the_left_sample_for_sample() -> None:
    taped = Taped()
    speak(taped, 0, 500)
    sound = taped.end(110.0)
    assert codes(sound[:, LEFT]) == b"".join(tone(number) for number in range(500))
    assert not sound[:, RIGHT].any()


def test_timestamps_that_wobble_leave_neither_gap_nor_click() -> None:
    taped = Taped()
    for number in range(500):
        now = 100.02 + number * 0.02
        taped.until(now)
        taped.tape.caller(tone(number), 155 + number * 20 + (-1, 0, 2)[number % 3], now)
    left = codes(taped.end(110.0)[:, LEFT])
    assert left == b"".join(tone(number) for number in range(500))


def test_a_gap_in_the_media_time_is_silence_of_its_length() -> None:
    taped = Taped()
    speak(taped, 0, 50)
    speak(taped, 75, 100)
    left = codes(taped.end(102.0)[:, LEFT])
    assert left[50 * FRAME : 75 * FRAME] == bytes([g711.SILENCE]) * 25 * FRAME
    assert left[75 * FRAME : 76 * FRAME] == tone(75)


def test_frames_that_were_held_up_are_put_where_they_were_spoken() -> None:
    taped = Taped()
    speak(taped, 0, 200)
    for number in range(200, 300):  # two seconds, all at once
        taped.until(106.02)
        taped.tape.caller(tone(number), 155 + number * 20, 106.02)
    speak(taped, 301, 350)
    left = codes(taped.end(107.0)[:, LEFT])
    assert left[: 300 * FRAME] == b"".join(tone(number) for number in range(300))
    assert taped.tape.lost == 0


def test_frames_that_were_held_up_at_the_start_do_not_shift_those_that_follow() -> None:
    taped = Taped()
    for number in range(50):
        taped.tape.caller(tone(number), 155 + number * 20, 101.0)
    speak(taped, 50, 300)
    left = codes(taped.end(106.0)[:, LEFT])
    assert left == b"".join(tone(number) for number in range(300))


def test_frames_that_come_too_late_are_counted_and_shift_nothing() -> None:
    taped = Taped()
    speak(taped, 0, 200)
    for number in range(200, 500):
        taped.until(110.0)
        taped.tape.caller(tone(number), 155 + number * 20, 110.0)
    speak(taped, 500, 600)
    left = codes(taped.end(112.0)[:, LEFT])
    assert left[: 200 * FRAME] == b"".join(tone(number) for number in range(200))
    assert left[350 * FRAME :] == b"".join(tone(number) for number in range(350, 600))
    assert taped.tape.lost == 150 * FRAME


def test_a_media_clock_that_stood_still_costs_a_second_and_not_the_call() -> None:
    taped = Taped()
    speak(taped, 0, 100)
    speak(taped, 100, 400, late_s=10.0)
    left = taped.end(118.1)[:, LEFT]
    assert left[-3 * RATE_HZ : -RATE_HZ].all()


def test_a_media_clock_that_jumped_costs_a_second_and_not_the_call() -> None:
    taped = Taped()
    speak(taped, 0, 100)
    speak(taped, 100, 400, timestamp_ms=60_000)
    left = taped.end(108.0)[:, LEFT]
    assert left[3 * RATE_HZ + 2 * FRAME :].all()


def test_a_timestamp_that_makes_no_sense_costs_itself() -> None:
    taped = Taped()
    speak(taped, 0, 100)
    taped.tape.caller(tone(1), 10**12, 102.01)
    speak(taped, 102, 400)
    left = taped.end(108.0)[:, LEFT]
    assert left[102 * FRAME :].all()


def test_the_agent_is_on_the_right_from_when_it_is_sent_and_without_a_gap() -> None:
    taped = Taped()
    taped.tape.agent(tone(1), 101.0)
    taped.tape.agent(tone(2, 1440), 101.0)
    taped.tape.agent(tone(3, 800), 101.1)
    right = codes(taped.end(105.0)[:, RIGHT])
    assert right[RATE_HZ : RATE_HZ + 2400] == tone(1) + tone(2, 1440) + tone(3, 800)
    assert set(right[:RATE_HZ] + right[RATE_HZ + 2400 :]) == {g711.SILENCE}


def test_what_a_clear_finds_unplayed_was_never_heard() -> None:
    taped = Taped()
    taped.tape.agent(tone(1, 1600), 101.0)
    taped.tape.clear(101.1)
    taped.tape.agent(tone(2, 1600), 101.15)
    right = codes(taped.end(105.0)[:, RIGHT])
    assert right[RATE_HZ : RATE_HZ + 800] == tone(1, 800)
    assert right[RATE_HZ + 800 : RATE_HZ + 1200] == bytes([g711.SILENCE]) * 400
    assert right[RATE_HZ + 1200 : RATE_HZ + 2800] == tone(2, 1600)


def test_the_agent_lies_a_round_trip_behind_and_is_cut_at_the_same_sample() -> None:
    taped = Taped()
    taped.tape.agent(tone(1, 1600), 101.0)
    taped.tape.round_trip(0.1)
    taped.tape.clear(101.1)
    taped.until(106.0)
    taped.tape.round_trip(0.5)
    taped.tape.agent(tone(2, 1600), 106.0)
    right = codes(taped.end(106.1)[:, RIGHT])
    assert right[: RATE_HZ + 1600] == bytes([g711.SILENCE]) * (RATE_HZ + 800) + tone(1, 800)
    assert right[6 * RATE_HZ :] == bytes([g711.SILENCE]) * 800 + tone(2, 800)


def test_a_pause_is_silent_on_both_sides_also_in_what_was_sent_before() -> None:
    taped = Taped()
    speak(taped, 0, 100)
    taped.tape.agent(tone(9, RATE_HZ), 101.9)
    taped.tape.pause(102.0)
    taped.tape.pause(102.1)
    speak(taped, 100, 149)
    taped.tape.resume(103.0)
    # Spoken in the pause, though it comes after it.
    taped.tape.caller(tone(149), 155 + 149 * 20, 103.01)
    taped.tape.agent(tone(7, 800), 103.01)
    speak(taped, 151, 200)
    assert taped.tape.paused_s == ((2.0, 3.0),)
    sound = taped.end(104.0)
    assert not sound[2 * RATE_HZ : 3 * RATE_HZ].any()
    assert codes(sound[: 2 * RATE_HZ, LEFT]) == b"".join(tone(number) for number in range(100))
    assert codes(sound[-49 * FRAME :, LEFT]) == b"".join(tone(number) for number in range(151, 200))
    assert codes(sound[round(1.9 * RATE_HZ) : 2 * RATE_HZ, RIGHT]) == tone(9, 800)
    assert codes(sound[round(3.01 * RATE_HZ) :, RIGHT])[:800] == tone(7, 800)


def test_a_call_that_ends_in_a_pause_stays_silent() -> None:
    taped = Taped()
    taped.tape.pause(101.0)
    assert taped.tape.paused
    speak(taped, 50, 100)
    assert not taped.end(102.0)[RATE_HZ:].any()
    assert taped.tape.paused_s == ((1.0, 2.0),)


def test_a_flood_of_frames_is_bounded_and_counted() -> None:
    taped = Taped()
    for number in range(5000):
        taped.tape.caller(b"\x01", 155 + number, 101.0)
    assert taped.tape.lost == 4000


Times = st.lists(st.tuples(st.sampled_from("saacpr"), st.integers(0, 3000)), max_size=40)


@given(Times, st.floats(0, 0.4))
def test_the_right_side_is_what_a_far_end_plays(steps: list[tuple[str, int]], trip: float) -> None:
    """A model of the far end that plays sample by sample, and a tape that is emptied every second."""
    taped, now, number = Taped(0.0), 0, 0
    taped.tape.round_trip(trip)
    shift = round(trip * RATE_HZ)
    queue: list[int] = []
    played: list[int] = []
    paused = False
    silent: list[bool] = []

    def wait(length: int) -> None:
        for _ in range(length):
            played.append(queue.pop(0) if queue else g711.SILENCE)
            silent.append(paused)

    for step, length in steps:
        wait(length)
        now += length
        taped.until(now / RATE_HZ)
        at = now / RATE_HZ
        if step in "sa":
            number += 1
            queue += [number] * 700
            taped.tape.agent(bytes([number]) * 700, at)
        elif step == "c":
            queue.clear()
            taped.tape.clear(at)
        elif step == "p":
            paused = True
            taped.tape.pause(at)
        else:
            paused = False
            taped.tape.resume(at)
    sound = taped.end(now / RATE_HZ)
    assert len(sound) == now + shift, "never longer than the call and a round trip"
    heard = [g711.SILENCE] * shift + played
    hushed = silent + [paused] * shift
    expected = [g711.SILENCE if quiet else code for code, quiet in zip(heard, hushed, strict=True)]
    assert codes(sound[:, RIGHT]) == bytes(expected)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 150)), max_size=60), st.integers(0, 4))
def test_the_left_side_never_drifts(frames: list[tuple[int, int]], lost_every: int) -> None:
    """Every frame lies within a wobble of where its timestamp says, however late it comes."""
    taped, media_ms, now = Taped(0.0), 0, 0.0
    placed: dict[int, int] = {}
    taped.tape.caller(bytes([127]) * FRAME, 0, 0.02)
    for number, (gap, jitter_ms) in enumerate(frames):
        media_ms += 20 + (gap if gap > 15 else 0)
        if lost_every and number % lost_every == 0:
            continue
        now = max(now, (media_ms + 20 + jitter_ms) / 1000)
        taped.until(now)
        taped.tape.caller(bytes([number]) * FRAME, media_ms, now)
        placed[number] = media_ms * 8
    left = codes(taped.end(now + 1)[:, LEFT])
    for number, place in placed.items():
        found = left.find(bytes([number]) * 40)
        assert abs(found - place) <= 120 + FRAME, "found near its timestamp"


def test_many_short_stretches_are_the_same_as_one_long_one() -> None:
    whole, often = CallTape(0.0), CallTape(0.0)
    pieces = []
    for number in range(400):
        now = (number + 1) * 0.02
        for tape in (whole, often):
            tape.caller(tone(number), number * 20, now)
            if number % 7 == 0:
                tape.agent(tone(number + 60, 900), now)
            if number % 31 == 30:
                tape.clear(now)
        stretch = often.take(now)
        if stretch is not None:
            pieces.append(samples(stretch))
    pieces.append(samples(often.end(8.0)))
    assert (np.concatenate(pieces) == samples(whole.end(8.0))).all()


def test_nothing_is_given_out_before_it_is_settled() -> None:
    tape = CallTape(0.0)
    assert tape.take(LOOK_AHEAD_S) is None
    stretch = tape.take(LOOK_AHEAD_S + 1)
    assert stretch is not None
    assert (stretch.begin, stretch.end) == (0, RATE_HZ)


def test_the_samples_are_those_of_g711() -> None:
    stretch = Stretch(10, 14, [(8, b"\x00\x80\x80\x00")], [(13, b"\x9f\x00")], [(10, 11)])
    assert samples(stretch).tolist() == [[0, 0], [-32124, 0], [0, 0], [0, 8316]]
