"""How long emulated vendors take: percentiles as given, the same again for the same seed."""

from __future__ import annotations

import random
from dataclasses import fields

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.config.errors import OffhookError
from offhook.lab.vendors.latency import PROFILES, STEPS, Delay, Latency, LatencyProfile, parse_latency

DRAWS = 10_000
RATIOS = st.floats(1.0, 2.5)
MEDIANS_MS = st.floats(1, 5000)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(MEDIANS_MS, RATIOS, st.integers(0, 1 << 32))
def test_ten_thousand_draws_have_the_percentiles_asked_for(p50_ms: float, ratio: float, seed: int) -> None:
    latency = Latency(LatencyProfile(final=Delay(p50_ms, p50_ms * ratio)), seed)
    drawn = sorted(latency.draw_s("final") * 1000 for _ in range(DRAWS))
    assert drawn[DRAWS // 2] == pytest.approx(p50_ms, rel=0.05)
    assert drawn[DRAWS * 95 // 100] == pytest.approx(p50_ms * ratio, rel=0.05)


@given(MEDIANS_MS, st.integers())
def test_equal_percentiles_make_a_constant(p50_ms: float, seed: int) -> None:
    generator = random.Random(seed)
    assert {Delay(p50_ms, p50_ms).draw_s(generator) for _ in range(20)} == {p50_ms / 1000}


@given(st.integers(0, 1000), st.lists(st.sampled_from(STEPS), max_size=40))
def test_a_step_takes_the_same_times_for_the_same_seed_whatever_the_others_do(
    seed: int, others: list[str]
) -> None:
    alone, among = Latency(PROFILES["typical"], seed), Latency(PROFILES["typical"], seed)
    expected = [alone.draw_s("first_token") for _ in range(5)]
    for step in others:
        if step != "first_token":
            among.draw_s(step)
    assert [among.draw_s("first_token") for _ in range(5)] == expected


def test_another_seed_takes_other_times() -> None:
    first, second = (Latency(PROFILES["typical"], seed) for seed in (1, 2))
    assert first.draw_s("final") != second.draw_s("final")


def test_steps_of_a_seed_are_not_copies_of_each_other() -> None:
    latency = Latency(LatencyProfile(partial=Delay(100, 200), final=Delay(100, 200)))
    assert latency.draw_s("partial") != latency.draw_s("final")


def test_instant_is_at_once_and_the_tutorial_takes_the_times_of_the_guides() -> None:
    instant, tutorial = Latency(PROFILES["instant"]), Latency(PROFILES["tutorial"])
    assert {instant.draw_s(step) for step in STEPS} == {0.0}
    assert [tutorial.draw_s(step) for step in ("partial", "first_token", "first_audio")] == [0.2, 0.4, 0.15]


def test_a_step_is_changed_and_the_others_stay() -> None:
    changed = parse_latency("first_token=400/900", PROFILES["typical"])
    assert changed.first_token == Delay(400, 900)
    same = [field.name for field in fields(changed) if field.name != "first_token"]
    assert all(getattr(changed, name) == getattr(PROFILES["typical"], name) for name in same)


def test_one_number_is_a_constant_and_the_speed_of_audio_is_a_plain_number() -> None:
    assert parse_latency("final=80", PROFILES["instant"]).final == Delay(80, 80)
    assert parse_latency("audio_speed=2.5", PROFILES["instant"]).audio_speed == 2.5


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("fist_token=400", "steps are connect, partial, final, first_token, token, first_audio"),
        ("first_token", "write STEP=P50 or STEP=P50/P95 in milliseconds, or audio_speed=NUMBER"),
        ("final=fast", "`final=fast`: `fast` is no number from 0 to 600,000"),
        ("final=1/", "`` is no number"),
        ("final=-1", "`-1` is no number"),
        ("final=nan", "`nan` is no number"),
        ("final=inf", "`inf` is no number"),
        ("final=900/400", "p95 is less than p50"),
        ("audio_speed=2/3", "`2/3` is no number"),
    ],
)
def test_what_is_no_latency_is_told(text: str, said: str) -> None:
    with pytest.raises(OffhookError) as caught:
        parse_latency(text, PROFILES["instant"])
    assert said in str(caught.value)
