"""Engines that start, fail and close as a test says, in place of those that there are."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Hashable, Iterable
from typing import Any

from fake_engines import ScriptedModel, ScriptedTranscriber, ScriptedVoice, ScriptedVoiceActivity, says

from offhook.config.assistant import Assistant, ModelChoice, TranscriberChoice, VoiceChoice
from offhook.config.errors import ConfigProblem, ProviderError
from offhook.config.vendors import Account
from offhook.pipeline.clock import Clock
from offhook.pipeline.ports import LanguageModel, SpokenAudio, Transcriber, Voice, VoiceActivity, Workers
from offhook.pipeline.providers.catalogue import Built, Choice, Making, candidate_name, identity


class FakeLifecycle:
    """Starts in `seconds`, unless its plan says otherwise."""

    def __init__(self, owner: FakeCatalogue, name: str) -> None:
        self._owner, self.name = owner, name
        self.starts = self.closes = 0
        self.takes_jobs = False

    async def start(self) -> None:
        self.starts += 1
        self._owner.attempts[self.name].append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._owner.seconds[self.name])
        if self.name in self._owner.broken:
            raise self._owner.broken[self.name]
        self.takes_jobs = True

    async def close(self) -> None:
        self.closes += 1
        self.takes_jobs = False
        await asyncio.sleep(0.1)


class FakeVoice(ScriptedVoice):
    """A voice that may be down or hang, by its name."""

    def __init__(self, owner: FakeCatalogue, name: str) -> None:
        super().__init__()
        self._owner, self.name = owner, name

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        await asyncio.sleep(self._owner.speaking_s[self.name])
        if self.name in self._owner.mute:
            raise ProviderError("voice", "scripted failure")
        async for piece in super().speak(text):
            yield piece


class FakeCatalogue:
    """Builds fakes and remembers them; names are those of the candidates: "deepgram nova-3"."""

    def __init__(self) -> None:
        self.broken: dict[str, Exception] = {}
        """What cannot be started now, and why."""
        self.models: dict[str, LanguageModel] = {}
        """Those that a test brings, by name."""
        self.mute: set[str] = set()
        self.seconds: defaultdict[str, float] = defaultdict(lambda: 1.0)
        self.speaking_s: defaultdict[str, float] = defaultdict(lambda: 0.01)
        self.attempts: defaultdict[str, list[float]] = defaultdict(list)
        """When each was tried to be started."""
        self.built: list[FakeLifecycle] = []
        self.behind: dict[Any, FakeLifecycle] = {}
        """What starts and closes a voice."""
        self.unmet: dict[str, ConfigProblem] = {}
        """What an assistant lacks, by its name."""

    @property
    def open(self) -> list[str]:
        """What was started and not closed."""
        return sorted(each.name for each in self.built if each.starts > each.closes)

    def voice_activity(self, thread: Workers, clock: Clock) -> Built[VoiceActivity]:
        return Built(ScriptedVoiceActivity(clock), self._lifecycle("listening"))

    def transcriber(self, choice: TranscriberChoice, language: str, making: Making) -> Built[Transcriber]:
        return Built(ScriptedTranscriber(making.clock), self._lifecycle(candidate_name(choice)))

    def model(self, choice: ModelChoice, assistant: Assistant, making: Making) -> Built[LanguageModel]:
        lifecycle = self._lifecycle(candidate_name(choice))
        if choice.provider == "embedded":
            self.built.remove(lifecycle)
            lifecycle.takes_jobs = True
        made = self.models.get(candidate_name(choice), ScriptedModel(says("All right.")))
        return Built(made, lifecycle)

    def voice(self, choice: VoiceChoice, language: str, making: Making) -> Built[Voice]:
        name = candidate_name(choice)
        made, lifecycle = FakeVoice(self, name), self._lifecycle(name)
        self.behind[made] = lifecycle
        return Built(made, lifecycle)

    def identity(self, choice: Choice, language: str) -> Hashable:
        return identity(choice, language)

    def unmet_needs(self, assistant: Assistant, account: Callable[[str], Account]) -> Iterable[ConfigProblem]:
        return [self.unmet[assistant.name]] if assistant.name in self.unmet else []

    def _lifecycle(self, name: str) -> FakeLifecycle:
        made = FakeLifecycle(self, name)
        self.built.append(made)
        return made
