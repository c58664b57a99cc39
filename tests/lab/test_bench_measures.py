"""The benchmark's measures: stamps, histograms, sounds, engines, and the verdict."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.codecs import g711
from offhook.codecs.audio_format import MULAW_8K, PCM_24K, AudioFormat
from offhook.lab.bench.caller_sound import noise_frames, speech_frames
from offhook.lab.bench.histogram import BIN_NS, LONGEST_NS, DelayHistogram
from offhook.lab.bench.load_figures import LoadFigures
from offhook.lab.bench.plan import BenchPlan, Cores
from offhook.lab.bench.probes import ServedFigures, core_busy_s, resident_bytes
from offhook.lab.bench.report import BenchResult
from offhook.lab.bench.report_lines import lines_of
from offhook.lab.bench.stamp import STAMP_BYTES, read_stamp, stamp
from offhook.lab.bench.summing_up import result_of
from offhook.lab.scripted_engines import LAST_WORD, WORD_S, QuietVoiceActivity, TalkativeModel, ToneVoice
from offhook.pipeline.messages import ModelRequest, TextDelta
from offhook.pipeline.ports import VoiceWindow


@given(st.integers(0, (1 << 60) - 2))
def test_a_stamp_is_read_as_it_was_written(moment_ns: int) -> None:
    assert read_stamp(stamp(moment_ns) + bytes(145)) == moment_ns


@given(st.integers(0, (1 << 60) - 2))
def test_a_stamp_is_as_quiet_as_a_line(moment_ns: int) -> None:
    assert np.abs(g711.decode(stamp(moment_ns))).max() <= 120


@pytest.mark.parametrize("audio", [b"", b"\xf0" * (STAMP_BYTES - 1), b"\xff" * 160, b"\x20" * 160])
def test_audio_without_a_stamp_says_so(audio: bytes) -> None:
    assert read_stamp(audio) is None


@given(st.lists(st.integers(0, LONGEST_NS - 1), min_size=1), st.floats(0.01, 1))
def test_a_quantile_is_never_flattered_and_off_by_a_bin_at_most(delays_ns: list[int], share: float) -> None:
    histogram = DelayHistogram()
    for delay_ns in delays_ns:
        histogram.add(delay_ns)
    exact_ns = sorted(delays_ns)[max(0, int(np.ceil(share * len(delays_ns) - 1e-9)) - 1)]

    found_ns = histogram.quantile_ms(share) * 1e6
    assert exact_ns - 1 <= found_ns <= exact_ns + BIN_NS + 1
    assert histogram.max_ms == max(delays_ns) / 1e6


def test_an_empty_histogram_says_zero() -> None:
    assert (DelayHistogram().quantile_ms(0.99), DelayHistogram().max_ms) == (0, 0)


def test_delays_beyond_the_last_bin_and_below_zero_are_counted() -> None:
    histogram = DelayHistogram()
    histogram.add(-5)
    histogram.add(10 * LONGEST_NS)

    assert histogram.count == 2
    assert histogram.max_ms == 10 * LONGEST_NS / 1e6


def test_the_callers_noise_is_a_quiet_lines_and_their_speech_is_loud() -> None:
    noise = g711.decode(b"".join(noise_frames(50))).astype(float)
    speech = g711.decode(b"".join(speech_frames(1.0))).astype(float)

    assert {len(frame) for frame in noise_frames(2) + speech_frames(0.5)} == {160}
    assert 40 < np.sqrt(np.square(noise).mean()) < 80
    assert np.sqrt(np.square(speech).mean()) > 1000


@pytest.mark.parametrize("audio_format", [MULAW_8K, PCM_24K])
async def test_the_voice_says_a_tone_for_every_word_and_silence_at_the_end(audio_format: AudioFormat) -> None:
    text = f"Seven words are said and then {LAST_WORD}"
    pieces = [piece async for piece in ToneVoice(audio_format).speak(text)]
    audio = b"".join(piece.audio for piece in pieces)
    words = [word for piece in pieces for word in piece.words]
    quiet_bytes = round(WORD_S * audio_format.bytes_per_s)

    assert len(audio) == round(7 * WORD_S * audio_format.bytes_per_s)
    assert [text[word.start_char : word.end_char] for word in words] == text.split()
    assert len(set(audio[-quiet_bytes:])) == 1
    assert len(set(audio[:-quiet_bytes])) > 10


async def test_the_model_talks_long_and_ends_with_the_last_word() -> None:
    deltas = [delta async for delta in TalkativeModel().respond(ModelRequest(()))]
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))

    assert 40 <= len(text.split()) <= 80
    assert text.endswith(LAST_WORD)


async def test_who_hears_nobody_says_so_once_a_second() -> None:
    windows: list[VoiceWindow] = []
    stream = QuietVoiceActivity().open(windows.append)
    for _ in range(150):
        stream.push(bytes(160))
    await asyncio.sleep(0)

    assert [window.media_s for window in windows] == [1.0, 2.0, 3.0]
    assert {window.probability for window in windows} == {0.0}


def test_the_memory_of_this_process_is_known() -> None:
    assert 1 << 20 < resident_bytes() < 1 << 34


def test_a_core_that_is_not_there_has_no_busy_time() -> None:
    assert core_busy_s(100_000) is None


# ------------------------------------------------------------------ the verdict

PLAN = BenchPlan(calls=2, seconds=10, cores=Cores(1, 0))


def good_run(plan: BenchPlan = PLAN) -> BenchResult:
    load = LoadFigures(frames_sent=1200, bytes_in_window=2 * 10 * 8000, cpu_share=0.1)
    served = ServedFigures(
        frames_received=1200, frames_in_window=1000, cpu_s=0.5, window_s=10.0, resident_loaded=2 << 20
    )
    for histogram in (load.out_delay, served.in_delay, served.loop_lag):
        histogram.add(300_000)
    return result_of(plan, load, served)


def test_cpu_and_memory_are_shared_out_among_frames_and_calls() -> None:
    result = good_run()

    assert result.cpu_percent == pytest.approx(5)
    assert result.cpu_us_per_pair == pytest.approx(500)
    assert result.memory_per_call_kib == 1024
    assert result.talk_share == 1
    assert result.passed


Slow = Callable[[BenchResult], BenchResult]


@pytest.mark.parametrize(
    ("worse", "complaint"),
    [
        (lambda run: replace(run, in_delay=replace(run.in_delay, p99_ms=20)), "way in"),
        (lambda run: replace(run, out_delay=replace(run.out_delay, p99_ms=31)), "way out"),
        (lambda run: replace(run, underruns=1), "1 underruns"),
        (lambda run: replace(run, frames_lost=3), "3 frames"),
        (lambda run: replace(run, calls_lost=1), "1 calls"),
        (lambda run: replace(run, talk_share=0.2), "20%"),
        (lambda run: replace(run, interruptions=2), "2 interruptions"),
    ],
)
def test_a_promise_that_was_not_kept_fails_the_run_and_is_named(worse: Slow, complaint: str) -> None:
    result = worse(good_run())

    assert not result.passed
    assert any(complaint in fault for fault in result.faults)
    assert "MISSED" in "\n".join(lines_of(result))


@pytest.mark.parametrize(
    ("doubtful", "reason"),
    [
        (lambda run: replace(run, load_cpu_percent=75.0), "bottleneck"),
        (lambda run: replace(run, others_cpu_percent=40.0), "Other processes took 40 %"),
        (lambda run: replace(run, plan=replace(PLAN, cores=None)), "cannot pin"),
        (lambda run: replace(run, plan=replace(PLAN, cores=Cores(0, 0))), "share one core"),
    ],
)
def test_figures_that_may_not_be_the_servers_bear_a_warning(doubtful: Slow, reason: str) -> None:
    result = doubtful(good_run())

    assert any(reason in warning for warning in result.warnings)
    assert good_run().warnings == ()


def test_a_result_is_plain_json() -> None:
    written: dict[str, Any] = json.loads(json.dumps(good_run().to_json()))

    assert written["passed"] is True
    assert written["plan"]["calls"] == 2
    assert written["in_delay"]["p99_ms"] == pytest.approx(0.3)
