"""What the recogniser is asked to decode, and when."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.pipeline.providers.embedded.utterance import Heard, UtteranceTracker

HZ = 8000
SPEECH = bytes([0x20, 0xA0]) * 80
QUIET = bytes([0xFF]) * 160


def push(tracker: UtteranceTracker, seconds: float, frame: bytes = SPEECH) -> None:
    for _ in range(round(seconds * 50)):
        tracker.push(frame)


def decode(tracker: UtteranceTracker, text: str, turnaround_s: float = 0.1) -> Heard | None:
    plan = tracker.plan()
    assert plan is not None
    return tracker.decoded(plan, text, 0.9, turnaround_s)


def speaking(seconds: float, lead_s: float = 1.0) -> UtteranceTracker:
    tracker = UtteranceTracker()
    push(tracker, lead_s, QUIET)
    tracker.speech_started(round(lead_s * HZ))
    push(tracker, seconds)
    return tracker


def pause(tracker: UtteranceTracker) -> None:
    """Speech ends now; voice activity notices 200 ms later."""
    ended = tracker.end
    push(tracker, 0.2, QUIET)
    tracker.speech_paused(ended)


def test_nothing_is_decoded_while_nobody_speaks() -> None:
    tracker = UtteranceTracker()
    push(tracker, 5.0, QUIET)
    assert not tracker.due
    assert tracker.plan() is None


def test_the_first_partial_waits_for_300_ms_of_speech() -> None:
    tracker = speaking(0.28)
    assert tracker.plan() is None
    push(tracker, 0.02)
    plan = tracker.plan()
    assert plan is not None
    assert not plan.final


def test_an_utterance_begins_300_ms_before_its_onset() -> None:
    plan = speaking(0.4).plan()
    assert plan is not None
    assert plan.audio == QUIET * 15 + SPEECH * 20
    assert plan.end == round(1.4 * HZ)


def test_partials_follow_each_350_ms() -> None:
    tracker = speaking(0.4)
    decode(tracker, "what is")
    push(tracker, 0.34)
    assert tracker.plan() is None
    push(tracker, 0.02)
    assert tracker.plan() is not None


def test_a_late_recogniser_lengthens_the_step() -> None:
    tracker = speaking(0.4)
    decode(tracker, "what is", turnaround_s=0.6)
    push(tracker, 0.88)
    assert tracker.plan() is None
    push(tracker, 0.02)
    decode(tracker, "what is your name", turnaround_s=9.0)
    push(tracker, 1.98)
    assert tracker.plan() is None
    push(tracker, 0.02)
    assert tracker.plan() is not None


def test_a_lull_puts_a_partial_off_but_not_for_ever() -> None:
    tracker = speaking(0.4)
    decode(tracker, "yes")
    push(tracker, 0.26)
    push(tracker, 0.1, QUIET)
    assert tracker.due
    assert tracker.plan() is None
    push(tracker, 0.34, QUIET)
    assert tracker.plan() is not None


def test_a_pause_asks_for_all_the_speech_as_final() -> None:
    tracker = speaking(1.0)
    pause(tracker)
    plan = tracker.plan()
    assert plan is not None
    assert plan.final
    assert plan.end == tracker.end
    heard = tracker.decoded(plan, "hello there", 0.8, 0.1)
    assert heard == Heard(0, "hello there", True, tracker.end, 0.8)
    assert tracker.plan() is None
    assert tracker.known() is None


def test_a_partial_that_heard_all_the_speech_is_the_final() -> None:
    tracker = speaking(0.7)
    push(tracker, 0.1, QUIET)
    ended = tracker.end - 800
    decode(tracker, "good morning")
    push(tracker, 0.1, QUIET)
    tracker.speech_paused(ended)
    assert tracker.known() == Heard(0, "good morning", True, ended + 800, 0.9)
    assert tracker.plan() is None


def test_a_partial_that_missed_the_end_is_not_the_final() -> None:
    tracker = speaking(0.4)
    decode(tracker, "good")
    push(tracker, 0.3)
    pause(tracker)
    assert tracker.known() is None
    plan = tracker.plan()
    assert plan is not None
    assert plan.final


def test_speech_that_goes_on_stays_the_same_utterance() -> None:
    tracker = speaking(1.0)
    pause(tracker)
    decode(tracker, "I would like")
    push(tracker, 0.2, QUIET)
    tracker.speech_started(tracker.end)
    push(tracker, 0.6)
    pause(tracker)
    heard = decode(tracker, "I would like a table")
    assert heard is not None
    assert heard.utterance == 0
    assert heard.final


def test_a_short_pause_is_kept_whole_and_a_long_one_is_left_out() -> None:
    lengths = []
    for gap_s in (0.4, 30.0):
        tracker = speaking(1.0)
        pause(tracker)
        decode(tracker, "first")
        push(tracker, gap_s, QUIET)
        tracker.speech_started(tracker.end)
        push(tracker, 0.4)
        plan = tracker.plan()
        assert plan is not None
        assert plan.end == tracker.end
        lengths.append(len(plan.audio) / HZ)
    assert lengths == [0.3 + 1.0 + 0.2 + 0.4 + 0.4, 0.3 + 1.0 + 0.2 + 0.3 + 0.4]


def test_a_final_that_comes_when_speech_has_gone_on_is_still_reported() -> None:
    tracker = speaking(1.0)
    pause(tracker)
    plan = tracker.plan()
    assert plan is not None
    tracker.speech_started(tracker.end)
    push(tracker, 0.1)
    heard = tracker.decoded(plan, "I would", 0.9, 0.1)
    assert heard == Heard(0, "I would", True, plan.end, 0.9)
    pause(tracker)
    assert tracker.plan() is not None


def test_the_next_utterance_does_not_hear_the_last_one_again() -> None:
    tracker = speaking(1.0)
    pause(tracker)
    decode(tracker, "yes")
    tracker.end_utterance()
    tracker.speech_started(tracker.end - 400)
    push(tracker, 0.4)
    plan = tracker.plan()
    assert plan is not None
    assert plan.utterance == 1
    assert SPEECH * 2 not in plan.audio[:800]
    assert plan.audio.startswith(QUIET * 5)


def test_an_utterance_that_is_ended_before_its_final_still_gets_one() -> None:
    tracker = speaking(1.0)
    tracker.end_utterance()
    push(tracker, 0.5)
    first = tracker.plan()
    assert first is not None
    assert (first.utterance, first.final, first.end) == (0, True, 2 * HZ)
    assert tracker.decoded(first, "one", 0.9, 0.1) == Heard(0, "one", True, 2 * HZ, 0.9)
    second = tracker.plan()
    assert second is not None
    assert (second.utterance, second.final) == (1, False)
    assert second.audio == SPEECH * 25


def test_an_answer_for_a_forgotten_utterance_is_ignored() -> None:
    tracker = speaking(0.5)
    plan = tracker.plan()
    assert plan is not None
    for _ in range(6):
        tracker.end_utterance()
        push(tracker, 0.2)
    assert tracker.discarded == 2
    assert tracker.decoded(plan, "too late", 0.9, 0.1) is None


def test_twenty_seconds_are_cut_at_the_quietest_recent_point() -> None:
    tracker = speaking(17.7, lead_s=0.3)
    push(tracker, 0.2, QUIET)
    push(tracker, 2.0)
    plan = tracker.plan()
    assert plan is not None
    assert (plan.utterance, plan.final) == (0, True)
    assert 18.0 * HZ <= plan.end <= 18.2 * HZ
    decode(tracker, "a long story")
    rest = tracker.plan()
    assert rest is not None
    assert (rest.utterance, rest.final) == (1, False)
    assert len(rest.audio) == tracker.end - plan.end


def test_hints_may_come_before_the_audio_they_speak_of() -> None:
    tracker = UtteranceTracker()
    tracker.speech_started(2 * HZ)
    push(tracker, 2.0, QUIET)
    push(tracker, 1.0)
    tracker.speech_paused(3 * HZ)
    plan = tracker.plan()
    assert plan is not None
    assert plan.end == 3 * HZ
    assert plan.audio.endswith(SPEECH * 50)


def test_sound_that_was_listened_to_and_held_no_words_is_reported_too() -> None:
    tracker = speaking(0.4)
    assert decode(tracker, "") == Heard(0, "", False, tracker.end, 0.9)
    push(tracker, 0.36)
    assert decode(tracker, "uh") is not None
    push(tracker, 0.36)
    heard = decode(tracker, "")
    assert heard is not None
    assert heard.text == ""


Step = tuple[str, float]
steps = st.lists(
    st.tuples(st.sampled_from(["speak", "quiet", "start", "pause", "end", "decode"]), st.floats(0.02, 6.0)),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(steps)
def test_any_order_of_events_keeps_the_bounds(events: list[Step]) -> None:
    tracker = UtteranceTracker()
    finals: list[Heard] = []
    for event, seconds in events:
        match event:
            case "speak" | "quiet":
                push(tracker, seconds, SPEECH if event == "speak" else QUIET)
            case "start":
                tracker.speech_started(max(0, tracker.end - round(seconds * 1000)))
            case "pause":
                tracker.speech_paused(tracker.end)
            case "end":
                tracker.end_utterance()
            case _:
                heard = tracker.known()
                if heard is None and (plan := tracker.plan()) is not None:
                    assert 0 < len(plan.audio) <= 20 * HZ + 160
                    assert plan.end <= tracker.end
                    heard = tracker.decoded(plan, "words", 0.9, seconds / 10)
                if heard is not None and heard.final:
                    finals.append(heard)
    numbers = [heard.utterance for heard in finals]
    assert numbers == sorted(numbers)


def resumed_after(pause_s: float, speech_s: float) -> UtteranceTracker:
    """The caller said "212.", was silent for a while, and went on."""
    tracker = speaking(0.8)
    pause(tracker)
    assert decode(tracker, "212.") == Heard(0, "212.", True, tracker.end, 0.9)
    push(tracker, pause_s - 0.2, QUIET)
    tracker.speech_started(tracker.end)
    push(tracker, speech_s)
    pause(tracker)
    return tracker


def test_words_behind_a_pause_at_which_the_recogniser_stopped_listening_are_decoded_by_themselves() -> None:
    tracker = resumed_after(0.8, 1.0)
    whole = tracker.plan()
    assert whole is not None
    assert tracker.decoded(whole, "212.", 0.9, 0.1) is None, "a second of speech held no word?"
    addition = tracker.plan()
    assert addition is not None
    assert addition.addition
    assert SPEECH * 50 in addition.audio
    assert len(addition.audio) < len(whole.audio)
    heard = tracker.decoded(addition, "555-0147.", 0.9, 0.1)
    assert heard is not None
    assert (heard.text, heard.final) == ("212. 555-0147.", True)
    assert tracker.plan() is None


def test_an_addition_without_words_leaves_the_words_before_it() -> None:
    tracker = resumed_after(0.8, 1.0)
    decode(tracker, "212.")
    heard = decode(tracker, "")
    assert heard is not None
    assert heard.text == "212."


def test_a_longer_text_and_a_short_noise_need_no_second_look() -> None:
    for pause_s, speech_s, text in ((0.4, 1.0, "212 555 0147."), (0.2, 0.1, "212.")):
        tracker = resumed_after(pause_s, speech_s)
        heard = decode(tracker, text)
        assert heard is not None
        assert heard.text == text
