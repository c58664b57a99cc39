"""Playout, driven by hand: bytes and times in, bytes, marks and news out."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.playout import (
    FirstFrame,
    FirstMark,
    Outgoing,
    Played,
    Playout,
    SendAudio,
    SendClear,
    SendMark,
)
from offhook.pipeline.ports import WordTiming

SECOND = 8000


def reply_of(
    playout: Playout, seconds: float, *, number: int = 1, word_s: float = 0.5, begin: bool = True
) -> bytes:
    """Give playout a whole reply of equally long words; returns its audio."""
    words = round(seconds / word_s)
    text = " ".join(f"w{index}" for index in range(words))
    timings, position = [], 0
    for index in range(words):
        start = text.index(f"w{index}", position)
        position = start + len(f"w{index}")
        timings.append(WordTiming(start, position, index * word_s, (index + 1) * word_s))
    audio = b"".join(bytes([index % 250]) * int(word_s * SECOND) for index in range(words))
    if begin:
        playout.begin(number)
    playout.begin_clause(number, text)
    playout.append(number, audio, timings)
    playout.end_clause(number)
    playout.finish(number)
    return audio


def audio_in(outgoing: list[Outgoing]) -> bytes:
    return b"".join(item.audio for item in outgoing if isinstance(item, SendAudio))


def marks_in(outgoing: list[Outgoing]) -> list[str]:
    return [item.name for item in outgoing if isinstance(item, SendMark)]


def test_the_first_20_ms_go_out_at_once_and_the_rest_within_the_lead() -> None:
    playout = Playout(lead_s=0.2)
    reply_of(playout, 3)
    out = playout.due(10.0)
    sizes = [len(item.audio) for item in out if isinstance(item, SendAudio)]
    assert sizes[0] == 160
    assert sum(sizes) == 0.2 * SECOND
    assert max(sizes) <= 800
    assert out[0] == FirstFrame(1)


def test_pacing_never_drifts_and_never_runs_further_ahead_than_the_lead() -> None:
    playout = Playout(lead_s=0.2)
    audio = reply_of(playout, 10)
    sent = 0
    for tick in range(120):
        now = tick * 0.1
        sent += len(audio_in(playout.due(now)))
        assert sent <= min(len(audio), (now + 0.2) * SECOND + 1)
        assert sent >= min(len(audio), (now + 0.1) * SECOND - 1)
    assert sent == len(audio)
    assert playout.counters.underruns == 0


def test_a_stall_longer_than_the_lead_is_one_underrun_and_the_schedule_starts_anew() -> None:
    playout = Playout(lead_s=0.2)
    reply_of(playout, 3)
    playout.due(0.0)
    out = playout.due(0.7)
    assert playout.counters.underruns == 1
    assert playout.counters.underrun_s == pytest.approx(0.5)
    assert len(audio_in(out)) == 0.2 * SECOND, "missed ticks are not replayed in a burst"


def test_a_voice_that_is_slower_than_speech_counts_underruns_only_inside_the_reply() -> None:
    playout = Playout()
    playout.begin(1)
    playout.begin_clause(1, "one two")
    playout.append(1, bytes(800))
    playout.due(0.0)
    playout.due(0.1)
    playout.append(1, bytes(800))
    playout.due(0.5)
    assert playout.counters.underruns == 1
    playout.finish(1)
    playout.due(0.6)
    reply_of(playout, 1, number=2)
    playout.due(9.0)
    assert playout.counters.underruns == 1


def test_a_voice_that_fell_behind_is_heard_again_from_60_ms_on() -> None:
    playout = Playout()
    playout.begin(1)
    playout.begin_clause(1, "one two")
    playout.append(1, bytes(160))
    playout.due(0.0)
    for tick in range(2):  # 20 ms of speech every 200 ms
        playout.append(1, bytes(160))
        assert audio_in(playout.due(0.2 * (tick + 1))) == b""
    playout.append(1, bytes(160))
    assert len(audio_in(playout.due(0.6))) == 480
    assert playout.counters.underruns == 1


def test_the_end_of_a_slow_clause_is_not_held_back() -> None:
    playout = Playout()
    playout.begin(1)
    playout.begin_clause(1, "one")
    playout.append(1, bytes(160))
    playout.due(0.0)
    playout.append(1, bytes(100))
    assert audio_in(playout.due(0.2)) == b""
    playout.end_clause(1)
    assert len(audio_in(playout.due(0.22))) == 100


def test_the_last_mark_ends_the_reply() -> None:
    playout = Playout()
    reply_of(playout, 0.5)
    names = []
    for tick in range(8):
        names += marks_in(playout.due(tick * 0.1))
    news = playout.mark_reached(names[-1], 0.6)
    assert isinstance(news[-1], Played)
    assert news[-1].heard.text == "w0"
    assert news[-1].heard.complete
    assert playout.reply is None


def test_a_carrier_that_never_echoes_cannot_hold_the_reply_for_ever() -> None:
    playout = Playout()
    reply_of(playout, 0.5)
    out: list[Outgoing] = []
    for tick in range(40):
        out += playout.due(tick * 0.1)
    assert isinstance(out[-1], Played)
    assert playout.counters.overdue_marks == 1


def test_pause_goes_back_to_the_word_that_was_cut_and_resume_repeats_no_heard_word() -> None:
    playout = Playout()
    audio = reply_of(playout, 5)
    for tick in range(14):
        playout.due(tick * 0.1)
    out = playout.pause(1.3)
    assert isinstance(out[0], SendClear)
    assert playout.due(1.4) == []
    assert playout.heard(1.5).text == "w0 w1 w2", "the third word was played by more than half"
    playout.resume()
    resumed = audio_in(playout.due(2.0))
    assert resumed == audio[SECOND : SECOND + len(resumed)]


def test_a_word_that_was_heard_before_a_pause_stays_heard_when_it_is_cut_again() -> None:
    playout = Playout()
    reply_of(playout, 5)
    for tick in range(14):
        playout.due(tick * 0.1)
    playout.pause(1.3)
    playout.resume()
    playout.due(2.0)
    heard, _ = playout.revoke(2.05)
    assert heard.text == "w0 w1 w2"


def test_a_pause_before_the_first_frame_writes_nothing() -> None:
    playout = Playout()
    playout.begin(1)
    assert playout.pause(0.0) == []
    playout.begin_clause(1, "hello")
    playout.append(1, bytes(800))
    assert playout.due(0.1) == []
    playout.resume()
    assert audio_in(playout.due(0.2))


def test_a_mark_of_an_older_epoch_proves_nothing() -> None:
    playout = Playout()
    reply_of(playout, 5)
    names = marks_in(playout.due(0.0))
    playout.pause(0.1)
    before = playout.heard(0.1)
    assert playout.mark_reached(names[0], 0.2) == []
    assert playout.heard(0.3) == before
    assert playout.counters.stale_marks == 1


def test_unknown_marks_are_counted() -> None:
    playout = Playout()
    assert playout.mark_reached("somebody else's", 0.0) == []
    assert playout.counters.unknown_marks == 1


def test_an_echo_moves_the_heard_position_by_half_a_round_trip() -> None:
    playout = Playout()
    (probe,) = marks_in(playout.probe(0.0))
    playout.mark_reached(probe, 0.4)
    assert playout.round_trip_s == pytest.approx(0.4)
    reply_of(playout, 5)
    names: list[str] = []
    for tick in range(12):
        names += marks_in(playout.due(1.0 + tick * 0.1))
    # The first mark behind the first frame (20 ms) was played at 2.0 - 0.2 s.
    assert playout.mark_reached(names[0], 2.0) == [FirstMark(1)]
    heard = playout.heard(2.0)
    assert heard.played_s == pytest.approx(0.02 + 0.2 + 0.2)


def test_audio_of_a_revoked_reply_is_refused_and_counted() -> None:
    playout = Playout()
    reply_of(playout, 5)
    playout.due(0.0)
    heard, out = playout.revoke(0.7)
    assert heard.text == ""
    assert isinstance(out[0], SendClear)
    assert not playout.append(1, bytes(160))
    assert playout.counters.refused_bytes == 160


def test_a_revoked_reply_that_was_paused_needs_no_second_clear() -> None:
    playout = Playout()
    reply_of(playout, 5)
    playout.due(0.0)
    playout.pause(0.1)
    _, out = playout.revoke(0.2)
    assert out == []
    assert playout.epoch == 1


@given(
    words=st.lists(st.text("abcdefgh", min_size=1, max_size=9), min_size=1, max_size=12),
    audio_s=st.floats(0.2, 4),
    cut_s=st.floats(0, 2),
)
def test_without_timings_the_words_share_the_clause_and_what_was_heard_is_a_prefix(
    words: list[str], audio_s: float, cut_s: float
) -> None:
    playout = Playout()
    text = " ".join(words)
    playout.begin(1)
    playout.begin_clause(1, text)
    playout.append(1, bytes(int(audio_s * SECOND)))
    playout.end_clause(1)
    playout.finish(1)
    now = 0.0
    while now <= cut_s:
        playout.due(now)
        now += 0.1
    heard = playout.heard(cut_s)
    assert text.startswith(heard.text)
    assert heard.text == "" or heard.text.split() == words[: len(heard.text.split())]
    share = heard.played_s / audio_s
    letters = sum(len(word) for word in heard.text.split())
    assert letters <= math.ceil(share * sum(map(len, words)) + max(map(len, words)) / 2 + 1)


@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["tick", "pause", "resume", "echo"]), st.floats(0.001, 0.4)), max_size=60
    )
)
def test_whatever_happens_no_word_is_skipped_and_nothing_follows_a_clear(
    steps: list[tuple[str, float]],
) -> None:
    playout = Playout()
    audio = reply_of(playout, 6, word_s=0.3)
    now, stream, far_end = 0.0, bytearray(), bytearray()
    marks: list[str] = []
    far_at = 0.0
    for action, wait in steps:
        now += wait
        played = min(len(stream), int((now - far_at) * SECOND)) if stream else 0
        far_end += stream[:played]
        del stream[:played]
        far_at = now
        match action:
            case "tick":
                out = playout.due(now)
            case "pause":
                out = playout.pause(now)
            case "resume":
                playout.resume()
                out = playout.due(now)
            case _:
                out = playout.mark_reached(marks.pop(0), now) if marks else []
        for item in out:
            if isinstance(item, SendClear):
                stream.clear()
            elif isinstance(item, SendAudio):
                assert not playout.paused
                stream += item.audio
        marks += marks_in(out)
    # Each word heard is the same as the one before, the next one, or a repetition after a cut.
    order = [far_end[0]] if far_end else []
    for byte in far_end:
        if byte != order[-1]:
            order.append(byte)
    assert all(b <= a + 1 for a, b in pairwise(order)), "a word was swallowed"
    assert bytes(far_end[:1]) in (b"", audio[:1])


# ------------------------------------------------------------- an end at a word


def end_of(playout: Playout, now: float) -> tuple[bytes, Played, float]:
    """Play on until the reply was heard; returns what was written from now on, the news, and when."""
    audio = b""
    for _ in range(1000):
        out = playout.due(now)
        audio += audio_in(out)
        # What was written before had marks that nobody echoes: then the end is known when it is overdue.
        news = [*out, *(item for name in marks_in(out) for item in playout.mark_reached(name, now))]
        for item in news:
            if isinstance(item, Played):
                return audio, item, now
        now += 0.02
    raise AssertionError("the reply has no end")


def test_a_reply_may_end_at_the_word_in_play() -> None:
    playout = Playout(lead_s=0.2)
    audio = reply_of(playout, 3)
    written = audio_in(playout.due(10.0)) + audio_in(playout.due(10.3))
    assert playout.finish_at_word(1, 10.3)
    rest, news, _ = end_of(playout, 10.32)
    assert (written + rest) == audio[: SECOND // 2], "the first word and no more"
    assert news.heard.text == news.heard.generated == "w0"
    assert news.heard.complete


def test_a_reply_that_is_nearly_over_is_not_cut() -> None:
    playout = Playout()
    audio = reply_of(playout, 1)
    written = b"".join(audio_in(playout.due(10 + step * 0.02)) for step in range(41))
    assert playout.finish_at_word(1, 10.8)
    rest, news, _ = end_of(playout, 10.82)
    assert written + rest == audio
    assert news.heard.text == "w0 w1"


def test_a_reply_of_which_nothing_was_sent_has_no_word_to_end_at() -> None:
    playout = Playout()
    playout.begin(1)
    assert not playout.finish_at_word(1, 10.0)
    reply_of(playout, 1, begin=False)
    assert not playout.finish_at_word(2, 10.0)


def test_audio_that_comes_after_the_cut_is_refused() -> None:
    playout = Playout()
    playout.begin(1)
    playout.begin_clause(1, "w0 w1 w2")
    timings = [WordTiming(3 * n, 3 * n + 2, n * 0.5, n * 0.5 + 0.5) for n in range(3)]
    assert playout.append(1, bytes(SECOND), timings)
    playout.due(10.0)
    assert playout.finish_at_word(1, 10.0)
    assert not playout.append(1, bytes(SECOND // 2))
    assert not playout.begin_clause(1, "more")
    playout.end_clause(1)
    _, news, _ = end_of(playout, 10.02)
    assert news.heard.text == "w0"


@given(
    seconds=st.integers(1, 6),
    at_s=st.floats(0, 6),
    paused=st.booleans(),
    word_s=st.sampled_from([0.25, 0.5]),
)
def test_a_cut_keeps_whole_words_and_all_that_was_sent(
    seconds: int, at_s: float, paused: bool, word_s: float
) -> None:
    playout = Playout()
    audio = reply_of(playout, seconds, word_s=word_s)
    sent, now = b"", 10.0
    while now < 10 + at_s and playout.reply is not None:
        sent += audio_in(playout.due(now))
        now += 0.02
    sent += audio_in(playout.due(now))
    if paused:
        playout.pause(now)
    playout.finish_at_word(1, now)
    if paused:
        playout.resume()
        sent = b""
    if playout.reply is None:
        return
    rest, news, _ = end_of(playout, now + 0.02)
    words = len(news.heard.text.split())
    whole = audio[: int(words * word_s * SECOND)]
    assert whole.endswith(rest)
    assert paused or sent + rest == whole


# ------------------------------------------------------------------- stalls


def test_a_hundred_stalls_bring_no_burst_and_no_drift() -> None:
    playout = Playout(lead_s=0.2)
    reply_of(playout, 200)
    now, stalls, largest = 0.0, 0, 0
    for turn in range(1, 1001):
        late = turn % 10 == 0
        now += 0.4 if late else 0.1
        stalls += late
        sent = len(audio_in(playout.due(now)))
        largest = max(largest, sent)
        assert playout._horizon - now <= 0.2 + 1e-9, "further ahead than the lead"
        assert playout._horizon - now >= 0.1, "behind, though the stall is over"
    assert stalls == playout.counters.underruns == 100
    assert largest <= 0.2 * SECOND, "what a stall held back is not sent in one go"


def test_a_stall_within_what_is_left_of_the_lead_is_heard_by_nobody() -> None:
    playout = Playout(lead_s=0.2)
    reply_of(playout, 60)
    now = 0.0
    for turn in range(400):
        now += 0.195 if turn % 2 else 0.1
        playout.due(now)
    assert playout.counters.underruns == 0


@given(st.lists(st.floats(0.01, 2.0), min_size=1, max_size=50))
def test_however_late_it_is_served_no_more_than_the_lead_is_sent_and_no_byte_is_lost(
    pauses_s: list[float],
) -> None:
    playout = Playout(lead_s=0.2)
    audio = reply_of(playout, 120)
    now, sent = 0.0, b""
    for pause_s in pauses_s:
        now += pause_s
        piece = audio_in(playout.due(now))
        assert len(piece) <= 0.2 * SECOND
        sent += piece
    assert audio.startswith(sent)
    gaps = sum(1 for pause_s in pauses_s[1:] if pause_s > 0.2 + 0.002)
    assert playout.counters.underruns >= gaps


def test_a_cut_behind_a_pause_keeps_what_was_heard_and_the_reply_still_ends() -> None:
    playout = Playout()
    reply_of(playout, 2, word_s=0.5)
    for tick in range(43):
        playout.due(tick * 0.02)
    playout.pause(0.86)  # in the middle of the second word
    assert playout.finish_at_word(1, 1.0)
    heard = playout.heard(1.0)
    assert heard.generated == "w0 w1", "the word that was heard in part is said to its end"
    playout.resume()
    playout.due(1.02)
    playout.pause(1.04)
    playout.resume()
    news = [item for tick in range(500) for item in playout.due(1.1 + tick * 0.02)]
    assert any(isinstance(item, Played) for item in news)
    assert playout.reply is None


class FarEnd:
    """Plays what comes, in order and in real time, and echoes marks; the way there stalls for a while."""

    DELAY_S = 0.05
    STEP_S = 0.02

    def __init__(self, playout: Playout, stalls_at: float, stalls_for: float) -> None:
        self.playout, self.stall = playout, (stalls_at, stalls_at + stalls_for)
        self.now = 0.0
        self.heard = bytearray()
        self._wire: list[tuple[float, Outgoing]] = []
        self._queue: list[SendMark | bytes] = []
        self._echoes: list[tuple[float, str]] = []

    def send(self, items: list[Outgoing]) -> None:
        held = self.stall[0] <= self.now < self.stall[1]
        for item in items:
            arrives = self.stall[1] if held else self.now + self.DELAY_S
            self._wire.append((max(arrives, self._wire[-1][0] if self._wire else 0.0), item))

    def run(self, until: float) -> None:
        """Let time pass, while the reply goes out."""
        while self.now < until:
            while self._wire and self._wire[0][0] <= self.now:
                self._take(self._wire.pop(0)[1])
            self._play(int(self.STEP_S * SECOND))
            while self._echoes and self._echoes[0][0] <= self.now:
                self.send(self.playout.mark_reached(self._echoes.pop(0)[1], self.now))
            self.send(self.playout.due(self.now))
            self.now = round(self.now + self.STEP_S, 3)

    def _take(self, item: Outgoing) -> None:
        if isinstance(item, SendClear):
            self._echoes += [(self.now, left.name) for left in self._queue if isinstance(left, SendMark)]
            self._queue.clear()
        elif isinstance(item, SendMark):
            self._queue.append(item)
        elif isinstance(item, SendAudio):
            self._queue.append(item.audio)

    def _play(self, budget: int) -> None:
        while self._queue:
            first = self._queue[0]
            if isinstance(first, SendMark):
                self._echoes.append((self.now + self.DELAY_S, first.name))
                self._queue.pop(0)
                continue
            if budget <= 0:
                return
            self.heard += first[:budget]
            self._queue[0], budget = first[budget:], budget - len(first)
            if not self._queue[0]:
                self._queue.pop(0)


@given(st.floats(1, 6), st.floats(0, 6), st.floats(0.5, 14), st.floats(0.1, 3))
def test_in_a_stall_of_the_line_hardly_more_counts_as_heard_than_was_and_nothing_is_left_out(
    stalls_at: float, stalls_for: float, paused_at: float, paused_for: float
) -> None:
    playout = Playout()
    audio = reply_of(playout, 10, word_s=0.5)
    far = FarEnd(playout, stalls_at, stalls_for)
    far.send(playout.probe(0.0))
    far.run(paused_at)
    if playout.reply is not None:
        believed = playout.heard(far.now).played_s
        assert believed <= len(far.heard) / SECOND + 1.0
        far.send(playout.pause(far.now))
        far.run(far.now + paused_for)
        playout.resume()
    far.run(40)
    assert playout.reply is None
    words = {far.heard[at] for at in range(0, len(far.heard), 80)}
    missing = [number for number in range(20) if number not in words]
    assert len(missing) <= 2, "at most a second of speech, where the stall had just begun"
    assert audio[:80] == bytes(far.heard[:80])


def test_a_far_end_that_never_echoes_is_trusted_to_keep_time() -> None:
    playout = Playout()
    reply_of(playout, 5)
    for tick in range(100):
        playout.due(tick * 0.02)
    assert playout.heard(2.0).played_s == pytest.approx(2.0, abs=0.05)
