"""Whole calls that are recorded: the file holds what was said, and what was heard of the agent."""

from __future__ import annotations

import json
import resource
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from call_rig import FRAME_BYTES, QUIET, SOUND, CallRig
from fake_engines import says
from numpy.typing import NDArray
from recording_rig import STARTED, RecordingRig, recorded_assistant, recorded_call

from offhook.bridge.recording.call_recording import BY_TOOL
from offhook.bridge.recording.shelf import recordings_in
from offhook.codecs import g711
from offhook.pipeline.conversation import Conversation, RecordingSoFar
from offhook.pipeline.messages import CallerSaid, ModelDelta, ModelRequest, TextDelta, ToolRequest

RATE_HZ = 8000
LEFT, RIGHT = 0, 1
POLICY = " ".join(f"word{number}" for number in range(60)) + "."
Sound = NDArray[np.int16]
CARD: dict[str, Any] = {
    "name": "card",
    "kind": "collect_digits",
    "arguments": {"length": 4, "prompt": "Your card number?"},
    "pauses_recording": True,
}


def asks_for_card(request: ModelRequest) -> Sequence[ModelDelta | float]:
    asked = isinstance(request.messages[-1], CallerSaid)
    return [ToolRequest("x", "card", "{}") if asked else TextDelta("Thank you.")]


def statuses(rig: RecordingRig) -> list[str]:
    kinds = [event.type for event in rig.call.log.events]
    return [kind.partition(".")[2] for kind in kinds if kind in ("recording.paused", "recording.resumed")]


def carried_over(rig: RecordingRig) -> Conversation:
    """What another worker would be told at this moment, through the store."""
    plain = json.loads(json.dumps(rig.call.outer.conversation().to_plain()))
    return Conversation.from_plain(plain)


def codes(sound: Sound) -> bytes:
    return g711.encode(np.ascontiguousarray(sound))


def without_silence(sound: Sound) -> bytes:
    """The codes of all samples that are not silent."""
    return codes(sound[sound != 0])


def heard(rig: CallRig) -> bytes:
    """What the far end has played, but for samples that are silent themselves."""
    return without_silence(g711.decode(rig.line.heard_bytes()))


async def test_a_cut_in_leaves_exactly_what_was_heard_on_the_right(tmp_path: Path) -> None:
    async with recorded_call(tmp_path, recorded_assistant(), says(POLICY, "On Tuesday.")) as rig:
        call = rig.call
        await call.sleep(0.5)
        await call.caller_says("What is your shipping policy?")
        await call.agent_starts()
        await call.sleep(4.0)
        await call.caller_says("Just tell me when order 12345 arrives", 2.4)
        await call.agent_starts()
        await call.agent_is_silent()
        expected = heard(call)
        runs = [(run.at - call.began_s, bytes(run.audio)) for run in call.line.runs]
    right = rig.sound().pcm[:, RIGHT]
    assert len(expected) > 4 * RATE_HZ
    assert without_silence(right) == expected
    assert len(call.line.clears) == 1
    for at, audio in runs:
        # The far end is 20 ms away; the recording lies half a round trip behind it.
        place = round((at + 0.02) * RATE_HZ)
        assert codes(right[place : place + len(audio)]) == audio, f"the run that began at {at:.3f} s"


async def test_the_caller_is_on_the_left_when_they_spoke(tmp_path: Path) -> None:
    async with recorded_call(tmp_path, recorded_assistant()) as rig:
        await rig.call.sleep(1.0)
        await rig.call.caller_says("hello there", 1.0)
        await rig.call.sleep(2.0)
    left = codes(rig.sound().pcm[:, LEFT])
    first = left.index(SOUND[:1])
    assert first == pytest.approx(1.0 * RATE_HZ, abs=FRAME_BYTES)
    assert left[first:].startswith(SOUND * 50 + QUIET)
    assert left.count(SOUND[:1]) == 50 * FRAME_BYTES


async def test_a_pause_is_silent_on_both_sides_and_nothing_else_is(tmp_path: Path) -> None:
    async with recorded_call(tmp_path, recorded_assistant(first_message=POLICY)) as rig:
        call = rig.call
        await call.sleep(3.0)
        call.caller_begins("", 0.04)
        rig.recording.pause()
        await call.sleep(2.0)
        rig.recording.resume()
        await call.sleep(1.0)
        assert [event.type for event in call.log.events if event.type.startswith("recording")] == [
            "recording.started",
            "recording.paused",
            "recording.resumed",
        ]
        played = call.line.heard_bytes()
    sound = rig.sound().pcm
    first, last = round(3.0 * RATE_HZ), round(5.0 * RATE_HZ)
    assert not sound[first:last].any()
    assert sound[first - FRAME_BYTES : first, RIGHT].all()
    assert sound[last : last + FRAME_BYTES, RIGHT].all()
    right = codes(sound[:, RIGHT])
    starts = right.index(played[:1])
    assert right[last : last + 1000] == played[last - starts : last - starts + 1000], "nothing was shifted"
    assert rig.kept().note.paused == ((3.0, 5.0),)


async def test_a_tool_that_asks_for_a_card_number_is_not_recorded(tmp_path: Path) -> None:
    async with recorded_call(tmp_path, recorded_assistant(tools=[CARD]), asks_for_card) as rig:
        call = rig.call
        await call.sleep(0.5)
        await call.caller_says("I want to pay")
        await call.agent_starts()
        await call.agent_is_silent()
        asked_s = call.log.times("function-call")[0]
        call.caller_begins("", 1.0)
        for key in "1234":
            await call.sleep(0.3)
            call.call.dtmf(key)
        await call.sleep(0.1)
        told_s = call.log.times("function-result")[0]
        await call.agent_starts()
        await call.agent_is_silent()
    sound = rig.sound().pcm
    ((first_s, last_s),) = rig.kept().note.paused
    assert first_s == pytest.approx(asked_s, abs=0.002)
    assert last_s == pytest.approx(told_s, abs=0.002)
    assert not sound[round(first_s * RATE_HZ) : round(last_s * RATE_HZ)].any()
    assert sound[: round(first_s * RATE_HZ), LEFT].any()
    assert sound[round(last_s * RATE_HZ) :, RIGHT].any()


async def test_an_order_to_go_on_waits_for_the_tool(tmp_path: Path) -> None:
    async with recorded_call(tmp_path, recorded_assistant()) as rig:
        rig.recording.pause("a tool")
        rig.recording.pause()
        rig.recording.resume()
        await rig.call.sleep(1.0)
        rig.recording.resume("a tool")
        await rig.call.sleep(1.0)
    assert rig.kept().note.paused == ((0.0, 1.0),)


async def test_consent_comes_first_is_not_cut_and_the_greeting_follows(tmp_path: Path) -> None:
    assistant = recorded_assistant({"consent_line": "This call is recorded."}, first_message="Hello, a shop.")
    async with recorded_call(tmp_path, assistant) as rig:
        await rig.call.sleep(0.5)
        rig.call.caller_begins("what is this", 0.6)
        await rig.call.agent_is_silent(for_s=1.5)
        assert rig.call.heard_replies()[0] == "This call is recorded."
        assert "Hello, a shop." in rig.call.heard_replies()
        assert not rig.call.line.clears


async def test_a_call_that_goes_on_elsewhere_hears_neither_consent_nor_greeting_again(tmp_path: Path) -> None:
    assistant = recorded_assistant({"consent_line": "This call is recorded."}, first_message="Hello, a shop.")
    async with recorded_call(tmp_path / "first", assistant) as rig:
        await rig.call.agent_is_silent(for_s=1.5)
        kept = carried_over(rig)
    async with recorded_call(tmp_path / "second", assistant, resumes=kept) as rig:
        await rig.call.agent_is_silent(for_s=1.5)
        assert rig.call.heard_replies() == [assistant.resumed_message]
        assert rig.recording.status == "recording"
        assert carried_over(rig).recording.consent_heard, "a third worker need not say it either"


async def test_consent_that_was_cut_off_with_its_worker_is_asked_for_again_and_cannot_be_cut(
    tmp_path: Path,
) -> None:
    line = "This call is recorded. It is kept for thirty days, {{from}}."
    assistant = recorded_assistant({"consent_line": line}, first_message="Hello, a shop.")
    async with recorded_call(tmp_path / "first", assistant) as rig:
        await rig.call.agent_starts()
        await rig.call.sleep(1.0)
        kept = carried_over(rig)
    assert not kept.recording.consent_heard
    async with recorded_call(tmp_path / "second", assistant, resumes=kept) as rig:
        await rig.call.agent_starts()
        rig.call.caller_begins("what is this", 0.6)
        await rig.call.agent_is_silent(for_s=1.5)
        assert rig.call.heard_replies()[0] == "This call is recorded. It is kept for thirty days, +15550100."
        assert assistant.resumed_message in rig.call.heard_replies()
        assert not rig.call.line.clears
        assert carried_over(rig).recording.consent_heard


async def test_a_recording_that_was_paused_stays_so_wherever_the_call_goes_on(tmp_path: Path) -> None:
    async with recorded_call(tmp_path / "first", recorded_assistant()) as rig:
        await rig.call.sleep(1.0)
        rig.recording.order("pause")
        kept = carried_over(rig)
    async with recorded_call(tmp_path / "second", recorded_assistant(), resumes=kept) as rig:
        await rig.call.caller_says("four one one one", 1.0)
        assert rig.recording.status == "paused"
        assert carried_over(rig).recording == kept.recording
        rig.recording.order("resume")
        await rig.call.caller_says("thank you", 1.0)
        await rig.call.sleep(1.0)
        assert carried_over(rig).recording == RecordingSoFar(consent_heard=False)
    ((first, last),) = rig.kept().note.paused
    assert first == 0
    sound = rig.sound().pcm[:, LEFT]
    assert not sound[: round(last * RATE_HZ)].any()
    assert sound[round(last * RATE_HZ) :].any()


async def test_a_recording_that_was_stopped_is_not_begun_again_by_another_worker(tmp_path: Path) -> None:
    assistant = recorded_assistant({"consent_line": "This call is recorded."})
    async with recorded_call(tmp_path / "first", assistant) as rig:
        rig.recording.order("stop")
        kept = carried_over(rig)
    for folder in ("second", "third"):
        async with recorded_call(tmp_path / folder, assistant, resumes=kept) as rig:
            await rig.call.caller_says("hello there", 1.0)
            await rig.call.sleep(2.0)
            kept = carried_over(rig)
            assert rig.recording.status == "stopped"
            assert "This call is recorded." not in rig.call.heard_replies()
            assert not rig.call.log.of("recording.started")
        assert not list(recordings_in(tmp_path / folder))


async def test_what_a_tool_hid_that_died_with_its_worker_stays_hidden_until_it_has_run_again(
    tmp_path: Path,
) -> None:
    assistant = recorded_assistant(tools=[CARD])
    async with recorded_call(tmp_path / "first", assistant, asks_for_card) as rig:
        await rig.call.caller_says("I will pay by card", 1.0)
        await rig.call.sleep(3.0)
        rig.recording.order("pause")
        rig.recording.order("resume")
        assert rig.recording.status == "paused", "the tool still runs"
        kept = carried_over(rig)
    assert kept.recording.paused_by == (BY_TOOL,)
    async with recorded_call(tmp_path / "second", assistant, asks_for_card, resumes=kept) as rig:
        await rig.call.caller_says("four one one one", 1.0)
        assert statuses(rig) == ["paused"]
        await rig.call.sleep(4.0)
        for digit in "1234":
            rig.call.outer.dtmf(digit)
        await rig.call.sleep(8.0)
        assert statuses(rig) == ["paused", "resumed"]
        assert not carried_over(rig).recording.paused_by
    async with recorded_call(tmp_path / "third", assistant, asks_for_card, resumes=kept) as rig:
        await rig.call.sleep(0.1)
        rig.recording.order("resume")
        assert rig.recording.status == "recording", "whoever orders knows"


async def test_consent_alone_lets_the_caller_begin(tmp_path: Path) -> None:
    assistant = recorded_assistant({"consent_line": "This call is recorded."})
    async with recorded_call(tmp_path, assistant) as rig:
        await rig.call.sleep(3)
        assert rig.call.heard_replies() == ["This call is recorded."]


async def test_the_file_is_its_owners_alone_and_its_note_says_whose_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    async with recorded_call(folder, recorded_assistant({"keep_days": 2})) as rig:
        await rig.call.sleep(6.0)
        unfinished = rig.kept().note
    path = rig.kept().path
    assert unfinished.seconds is None
    assert path.name.startswith("20250615T150640Z-CA1-")
    assert "5550100" not in path.name
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    note = json.loads(path.with_suffix(".json").read_text())
    assert note == {
        "call": "CA1",
        "assistant": "test",
        "from": "+15550100",
        "to": "+15550199",
        "started": STARTED,
        "erase_at": STARTED + 2 * 86_400,
        "seconds": pytest.approx(6.04, abs=0.03),
        "paused": [],
        "lost_s": 0.0,
    }
    assert len(rig.sound().pcm) / RATE_HZ == note["seconds"]


async def test_a_recording_that_is_stopped_stays_and_the_call_goes_on(tmp_path: Path) -> None:
    async with recorded_call(tmp_path, recorded_assistant(first_message=POLICY)) as rig:
        await rig.call.sleep(3.0)
        rig.recording.stop()
        rig.recording.pause()
        rig.recording.stop()
        await rig.call.sleep(3.0)
        (ended,) = rig.call.log.of("recording.ended")
        assert ended == {"why": "stopped", "seconds": pytest.approx(3.04, abs=0.01)}
        assert rig.call.log.of("recording.paused") == []
        assert rig.call.line.speaking_at(rig.call.clock.now())
    assert len(rig.sound().pcm) == pytest.approx(3.04 * RATE_HZ, abs=80)


@contextmanager
def full_disk(after_bytes: int) -> Iterator[None]:
    """No file grows beyond this."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (after_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def test_a_full_disk_ends_the_recording_with_one_event_and_not_the_call(tmp_path: Path) -> None:
    with full_disk(100_000):
        async with recorded_call(tmp_path, recorded_assistant(first_message=POLICY)) as rig:
            await rig.call.sleep(12.0)
            assert [data["why"] for data in rig.call.log.of("recording.ended")] == ["File too large"]
            assert rig.call.line.speaking_at(rig.call.clock.now())
            rig.recording.pause()
            rig.recording.stop()
    assert len(rig.call.log.of("recording.ended")) == 1
    kept = rig.sound().pcm
    assert len(kept) / RATE_HZ == rig.kept().note.seconds
    assert len(kept) / RATE_HZ == rig.call.log.of("recording.ended")[0]["seconds"]
    assert 1.0 <= len(kept) / RATE_HZ <= 3.2
    assert kept[-FRAME_BYTES:, RIGHT].any()


async def test_a_folder_that_cannot_be_made_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    async with recorded_call(tmp_path / "file" / "kept", recorded_assistant(first_message="Hello.")) as rig:
        await rig.call.sleep(6.0)
        assert rig.call.log.of("recording.ended") == [{"why": "Not a directory", "seconds": 0.0}]
        assert rig.call.heard_replies() == ["Hello."]


async def test_a_caller_who_hangs_up_heard_nothing_of_what_was_under_way(tmp_path: Path) -> None:
    async with recorded_call(tmp_path, recorded_assistant(first_message=POLICY)) as rig:
        await rig.call.sleep(3.013)
        rig.call.outer.line_closed("stopped")
        rig.call.line.hang_up()
        await rig.call.sleep(0.5)
        expected = heard(rig.call)
    assert without_silence(rig.sound().pcm[:, RIGHT]) == expected


@pytest.mark.parametrize("latency_s", [0.0, 0.01, 0.15])
async def test_the_agent_is_on_the_right_when_the_carrier_played_it(tmp_path: Path, latency_s: float) -> None:
    assistant = recorded_assistant(first_message="Hello there.")
    async with recorded_call(tmp_path, assistant, latency_s=latency_s) as rig:
        await rig.call.agent_starts()
        await rig.call.agent_is_silent()
        began_s = rig.call.line.runs[0].at - rig.call.began_s
    right = rig.sound().pcm[:, RIGHT]
    # The frames of the rig's caller take no time to come here, so the whole round trip is the way out.
    assert right.nonzero()[0][0] / RATE_HZ == pytest.approx(began_s + latency_s, abs=0.001)


async def test_a_call_of_many_minutes_does_not_drift(tmp_path: Path) -> None:
    async with recorded_call(tmp_path, recorded_assistant(), says("Yes.")) as rig:
        for _ in range(20):
            await rig.call.sleep(30)
            await rig.call.caller_says("are you there", 1.0)
        await rig.call.agent_starts()
        began_s = rig.call.line.runs[-1].at - rig.call.began_s
        await rig.call.sleep(5.0)
    sound = rig.sound().pcm
    last = codes(sound[:, LEFT]).rindex(SOUND[:1]) / RATE_HZ
    assert last == pytest.approx(20 * 31, abs=0.03)
    run = codes(sound[round((began_s + 0.02) * RATE_HZ) :, RIGHT])
    assert run.startswith(bytes(rig.call.line.runs[-1].audio)[:100])
