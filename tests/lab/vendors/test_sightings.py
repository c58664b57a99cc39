"""What emulated vendors saw: exact counts, bounded memory, what is open."""

from __future__ import annotations

from collections import Counter

from hand_clock import HandClock
from hypothesis import given
from hypothesis import strategies as st

from offhook.lab.vendors.sightings import KEPT, Sightings

VENDORS = st.sampled_from(("deepgram", "openai", "elevenlabs"))
WHATS = st.sampled_from(("connected", "request", "cancelled"))


@given(st.lists(st.tuples(VENDORS, WHATS)))
def test_everything_seen_is_counted_and_found_again_in_order(seen: list[tuple[str, str]]) -> None:
    sightings = Sightings(HandClock())
    for number, (vendor, what) in enumerate(seen):
        sightings.note(vendor, what, number=number)
    assert sightings.counts == Counter(seen)
    for vendor, what in {*seen, ("openai", "nothing")}:
        numbers = [number for number, item in enumerate(seen) if item == (vendor, what)]
        assert [item.data["number"] for item in sightings.of(vendor, what)] == numbers
    assert sum(len(sightings.of(vendor)) for vendor in ("deepgram", "openai", "elevenlabs")) == len(seen)


@given(st.lists(st.sampled_from((1, -1)), max_size=60))
def test_what_is_open_and_the_most_that_was(changes: list[int]) -> None:
    sightings = Sightings(HandClock())
    now = most = 0
    for change in changes:
        if now + change < 0:
            continue
        now += change
        most = max(most, now)
        sightings.opened("openai request", change)
    assert sightings.open["openai request"] == now
    assert sightings.most_open["openai request"] == most


def test_the_oldest_are_forgotten_and_still_counted() -> None:
    sightings = Sightings(HandClock())
    for number in range(KEPT + 5):
        sightings.note("openai", "request", number=number)
    assert len(sightings.all) <= KEPT
    assert sightings.all[-1].data["number"] == KEPT + 4
    assert sightings.counts["openai", "request"] == KEPT + 5


def test_a_sighting_has_its_time() -> None:
    clock = HandClock()
    sightings = Sightings(clock)
    sightings.note("openai", "request")
    clock.time_s += 2.5
    sightings.note("openai", "finished")
    first, second = sightings.all
    assert second.at_s - first.at_s == 2.5
