"""A whole call on virtual time through the vendors' clients, over loopback, to emulated vendors.

The words are in the audio (`lab.spelled_speech`), so that a recogniser whose connection was cut hears what is
sent to it again: caller and agent say words of WORDS and no others.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from bridge_rig import loop_clock
from call_rig import CallRig, running_call
from fake_engines import InlineWorkers

from offhook.config.assistant import Assistant
from offhook.config.settings import Settings, load_settings
from offhook.config.vendors import KEY_VARIABLES
from offhook.lab.scripted_engines import AnsweringModel, Answers
from offhook.lab.spelled_speech import LevelVoiceActivity, read_words, spell
from offhook.lab.trials.conversation import trial_assistant
from offhook.lab.trials.engines import trial_engines
from offhook.lab.vendors.fault_words import parse_fault
from offhook.lab.vendors.inside import spelled_inside
from offhook.lab.vendors.latency import PROFILES, Latency
from offhook.lab.vendors.server import VendorServer
from offhook.lab.vendors.sightings import Sightings
from offhook.lab.vendors.world import InsideEngines, VendorWorld
from offhook.pipeline.ports import CallEvent

ANSWER = "lantern meadow nutmeg ocean."
"""What the emulated model says unless a test says otherwise."""


def emulated(inside: InsideEngines | None = None, *, profile: str = "instant", seed: int = 1) -> VendorServer:
    """Vendors that do not listen yet: `async with emulated().listening() as vendors`."""
    clock = loop_clock()
    keys = {vendor: f"emulated-{vendor}" for vendor in KEY_VARIABLES}
    world = VendorWorld(
        clock,
        inside or spelled_inside(AnsweringModel([ANSWER])),
        Latency(PROFILES[profile], seed),
        Sightings(clock),
        keys=keys,
    )
    return VendorServer(world)


@dataclass
class VendorRig:
    """What a test holds of a running call and its vendors."""

    call: CallRig
    vendors: VendorServer
    settings: Settings

    async def caller_says(self, words: str) -> None:
        """Speak; returns at the last sound."""
        await self.call.plays(spell(words))

    async def agent_answers(self, within_s: float = 20.0) -> list[str]:
        """Wait until the agent has begun and finished; returns the words of the call heard so far."""
        await self.call.agent_starts(within_s)
        await self.call.agent_is_silent(for_s=1.0)
        return self.heard()

    def heard(self) -> list[str]:
        """The agent's words that the caller has heard; one that was cut and said again is one."""
        return read_words(self.call.line.heard_bytes())

    def told(self) -> list[str]:
        """The agent's words that the call says were heard."""
        return " ".join(self.call.heard_replies()).replace(".", "").split()

    def understood(self) -> list[str]:
        """The caller's turns, as the call understood them."""
        return [str(data["text"]) for data in self.call.log.of("turn.ended")]

    def seen(self, vendor: str, what: str) -> list[dict[str, Any]]:
        """What a vendor saw of one kind, its data."""
        return [dict(item.data) for item in self.vendors.world.sightings.of(vendor, what)]

    def fault(self, words: str) -> None:
        """Let something go wrong from now on."""
        self.vendors.world.faults.plan(parse_fault(words))

    def events(self, kind: str) -> list[CallEvent]:
        """The call's events of a type."""
        return [event for event in self.call.log.events if event.type == kind]


@asynccontextmanager
async def vendor_call(
    *,
    answers: Answers = (ANSWER,),
    profile: str = "instant",
    faults: Sequence[str] = (),
    assistant: Assistant | None = None,
    **fields: Any,
) -> AsyncIterator[VendorRig]:
    """Run a call whose three stages are emulated vendors; `fields` go into the file of the usual assistant.

    Nothing of it is left when the block ends: no task, and no connection or context at a vendor.
    """
    server = emulated(spelled_inside(AnsweringModel(answers)), profile=profile)
    assistant = assistant or trial_assistant(**fields)
    before = asyncio.all_tasks()
    async with server.listening() as vendors:
        settings = load_settings(vendors.environment(), env_file=None)
        for words in faults:
            server.world.faults.plan(parse_fault(words))
        async with (
            trial_engines(
                assistant,
                settings.account,
                server.world.clock,
                voice_activity=LevelVoiceActivity(),
                workers=InlineWorkers(),
            ) as engines,
            running_call(assistant, engines=engines) as call,
        ):
            yield VendorRig(call, vendors, settings)
        await asyncio.sleep(2.0)
        left = +server.world.sightings.open
        assert not left, f"left open at a vendor: {dict(left)}"
    assert asyncio.all_tasks() == before, asyncio.all_tasks() - before
