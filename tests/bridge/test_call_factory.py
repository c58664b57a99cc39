"""Which assistant a call gets while files are edited and engines come and go."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path
from weakref import WeakSet

import pytest
from bridge_rig import loop_clock
from call_rig import assistant_from
from fake_engines import (
    InlineWorkers,
    ScriptedModel,
    ScriptedTranscriber,
    ScriptedVoice,
    ScriptedVoiceActivity,
    says,
)
from fake_line import FakeControl, FakeLine

from offhook.bridge.call_factory import ConversationFactory
from offhook.bridge.call_log import CallLog
from offhook.bridge.live_call import LiveCall
from offhook.bridge.posted_assistants import PostedAssistants
from offhook.bridge.recording.recorded_call import RecordedCall
from offhook.bridge.recording.recorder import Recorder
from offhook.config.assistant import Assistant
from offhook.config.errors import ConfigError, ConfigProblem, Refused
from offhook.pipeline.call import Call, Engines
from offhook.pipeline.conversation import Conversation, RecordingSoFar
from offhook.pipeline.line_up import alone

LACKING = ConfigError([ConfigProblem("assistant Edited", "voice.provider", "needs a key.")])


class Rig:
    """A factory whose files and engines are what a test says."""

    def __init__(self) -> None:
        self.clock = loop_clock()
        self.files: dict[str | None, Assistant | ConfigError] = {None: assistant_from(name="First")}
        self.refused: dict[str, Exception] = {}
        """Assistants without engines, by their name."""
        self.given: list[str] = []
        self.lent: WeakSet[Engines] = WeakSet()
        self.posted = PostedAssistants(self.clock)
        self.factory = ConversationFactory(
            clock=self.clock,
            assistants=self.file,
            engines=self.engines,
            is_ready=lambda: True,
            posted=self.posted,
            announce=lambda assistant, call_sid, variables, log: self.announced.append(
                (assistant.name, call_sid)
            ),
        )
        self.announced: list[tuple[str, str]] = []

    def file(self, name: str | None) -> Assistant:
        found = self.files.get(name) or ConfigError([ConfigProblem("assistant", str(name), "is not there.")])
        if isinstance(found, ConfigError):
            raise found
        return found

    def engines(self, assistant: Assistant) -> Engines:
        if assistant.name in self.refused:
            raise self.refused[assistant.name]
        self.given.append(assistant.name)
        engines = Engines(
            ScriptedVoiceActivity(self.clock),
            alone(ScriptedTranscriber(self.clock), self.clock),
            alone(ScriptedModel(says("All right.")), self.clock),
            alone(ScriptedVoice(), self.clock),
            InlineWorkers(),
        )
        self.lent.add(engines)
        return engines

    def call(self, assistant: str | None = None, resumes: Conversation | None = None) -> LiveCall:
        return self.factory.create(
            call_sid="CA1",
            assistant=assistant,
            variables={},
            line=FakeLine(self.clock, 0.02),
            log=CallLog(),
            control=FakeControl(),
            resumes=resumes,
        )


@pytest.mark.parametrize("error", [Refused("engines_not_ready", 503), LACKING])
async def test_an_edit_that_cannot_be_served_yet_refuses_no_call(error: Exception) -> None:
    rig = Rig()
    rig.call()
    rig.files[None] = assistant_from(name="Edited")
    rig.refused["Edited"] = error
    rig.call()
    assert [each.name for each in rig.factory.served] == ["First"]
    rig.refused.clear()
    rig.call()
    assert rig.given == ["First", "First", "Edited"]
    assert [each.name for each in rig.factory.served] == ["Edited"]


async def test_an_assistant_that_never_could_be_served_is_refused_for_its_own_reason() -> None:
    rig = Rig()
    rig.files["other"] = assistant_from(name="Other")
    rig.refused["Other"] = LACKING
    rig.call()
    with pytest.raises(ConfigError, match="needs a key"):
        rig.call("other")
    rig.refused["Other"] = Refused("engines_not_ready", 503)
    with pytest.raises(Refused, match="engines_not_ready"):
        rig.call("other")


async def test_names_that_are_none_are_refused_and_not_remembered() -> None:
    rig = Rig()
    for number in range(100):
        with pytest.raises(Refused, match="unknown_assistant"):
            rig.call(f"nobody-{number}")
    assert rig.factory.served == ()


async def test_a_file_that_never_was_good_says_so() -> None:
    rig = Rig()
    rig.files["bad"] = ConfigError([ConfigProblem("bad.yaml", "name", "is missing.")])
    with pytest.raises(ConfigError, match=r"bad\.yaml"):
        rig.call("bad")


async def test_a_call_holds_its_engines_until_it_is_over_and_no_longer() -> None:
    rig = Rig()
    calls = [rig.call() for _ in range(3)]
    held = asyncio.create_task(calls[0].run())
    del calls
    await asyncio.sleep(1)
    gc.collect()
    assert len(rig.lent) == 1, "calls that were never held keep nothing"
    held.cancel()
    await asyncio.wait((held,))
    del held
    gc.collect()
    assert len(rig.lent) == 0


async def test_every_call_is_announced_with_its_assistant_before_it_begins() -> None:
    rig = Rig()
    rig.call()
    assert rig.announced == [("First", "CA1")]


async def test_of_a_posted_assistant_nothing_is_kept_behind_its_call() -> None:
    rig = Rig()
    rig.call(await rig.posted.keep(assistant_from(name="Posted")))
    assert rig.announced == [("Posted", "CA1")]
    assert rig.factory.served == ()


async def test_calls_are_recorded_where_the_assistant_says_so_and_there_is_a_folder(tmp_path: Path) -> None:
    rig = Rig()
    recorder = Recorder(tmp_path, clock=rig.clock, workers=InlineWorkers())
    rig.factory = ConversationFactory(
        clock=rig.clock,
        assistants=rig.file,
        engines=rig.engines,
        is_ready=lambda: True,
        recorder=recorder,
    )
    assert type(rig.call()) is Call, "a call that is not recorded has nothing in its way"
    rig.files[None] = assistant_from(recording={"enabled": True})
    assert isinstance(rig.call(), RecordedCall)
    stopped = Conversation(recording=RecordingSoFar(stopped=True))
    resumed = rig.call(resumes=stopped)
    assert resumed.conversation().recording.stopped, "whoever goes on after this one knows it, too"


async def test_without_a_folder_an_assistant_that_records_is_refused_and_an_edit_waits() -> None:
    rig = Rig()
    rig.files["records"] = assistant_from(recording={"enabled": True})
    with pytest.raises(ConfigError, match="OFFHOOK_DATA_FOLDER"):
        rig.call("records")
    rig.call()
    rig.files[None] = assistant_from(name="Edited", recording={"enabled": True})
    rig.call()
    assert [each.name for each in rig.factory.served] == ["First"]
