"""Our own voice, leaked into the caller's line and judged by the real voice-activity model."""

from __future__ import annotations

import numpy as np
import pytest
from ear_bench import (
    AGENT_TEXTS,
    CALLER_TEXTS,
    RATE,
    Samples,
    activities,
    first_sound_s,
    gain,
    hiss,
    onsets,
    recorded,
    spoken,
    windows,
)

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def agent() -> Samples:
    """Half a minute of the agent's, with the pauses between its sentences."""
    pause = np.zeros(RATE // 4)
    return np.concatenate([part for text in spoken(AGENT_TEXTS) for part in (pause, text)])


def leaked(sound: Samples, db: float, delay_ms: int) -> Samples:
    late = delay_ms * RATE // 1000
    return gain(np.concatenate([np.zeros(late), sound[:-late]]), db)


@pytest.mark.parametrize("delay_ms", [60, 200, 500])
@pytest.mark.parametrize("leak_db", [-15.0, -25.0, -35.0])
def test_our_own_echo_is_nobody_speaking(agent: Samples, leak_db: float, delay_ms: int) -> None:
    heard = windows(leaked(agent, leak_db, delay_ms) + hiss(len(agent)), agent)
    assert onsets(activities(heard)) == []
    if leak_db > -35:
        assert onsets(activities(heard, guard=False)), "without the guard there is nothing to test"


def test_a_caller_over_the_echo_is_noticed_as_soon_as_without_it(agent: Samples) -> None:
    random = np.random.default_rng(5)
    callers = [*list(recorded().values())[:10], *spoken(CALLER_TEXTS)]
    added = []
    for sound in callers:
        begins = int(random.uniform(2, len(agent) / RATE - 8) * RATE)
        alone = hiss(len(agent))
        alone[begins : begins + len(sound)] += sound
        onset = begins / RATE + first_sound_s(sound)
        without = [at for at in onsets(activities(windows(alone))) if at > onset - 0.1]
        over = windows(alone + leaked(agent, -25.0, 200), agent)
        noticed = [at for at in onsets(activities(over)) if at > onset - 0.1]
        assert noticed
        added.append((noticed[0] - without[0]) * 1000)
    assert float(np.median(added)) <= 60
