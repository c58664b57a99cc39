"""A server that is put together: what stops its start, and what does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bridge_rig import settings
from call_rig import EventList
from fake_line import FakeControl, FakeLine
from structlog.testing import capture_logs

from offhook.bridge.app import RunningServer, serving
from offhook.config.errors import ConfigError
from offhook.pipeline.clock import Clock

VENDOR = "name: Vendor line\nvoice: {provider: elevenlabs, name: anna}\n"


def call_to(running: RunningServer, assistant: str | None, clock: Clock) -> None:
    unused: Any = EventList()
    running.server.state.factory.create(
        call_sid="CA1",
        assistant=assistant,
        variables={},
        line=FakeLine(clock, 0.02),
        log=unused,
        control=FakeControl(),
    )


async def test_a_server_whose_assistant_lacks_a_key_never_listens(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(VENDOR)
    with capture_logs() as logs, pytest.raises(ConfigError, match=r"voice\.provider.*ELEVENLABS_API_KEY"):
        async with serving(settings(port=0), tmp_path / "a.yaml"):
            pass
    assert not [line for line in logs if line["event"] == "server.listening"]


async def test_a_server_that_is_to_record_and_has_no_folder_never_listens(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: Shop\nrecording: {enabled: true}\n")
    with capture_logs() as logs, pytest.raises(ConfigError, match=r"recording\.enabled.*OFFHOOK_DATA_FOLDER"):
        async with serving(settings(port=0), tmp_path / "a.yaml"):
            pass
    assert not [line for line in logs if line["event"] == "server.listening"]


async def test_a_number_of_an_assistant_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "sales.yaml").write_text("name: Sales\n")
    numbers = {"+15551234567": "sale"}
    with pytest.raises(ConfigError, match=r"ASSISTANT_NUMBERS.*'sale'.*Did you mean `sales`"):
        async with serving(settings(port=0, assistant_numbers=numbers), folder=tmp_path):
            pass


@pytest.mark.realtime
async def test_an_assistant_beside_the_default_one_that_cannot_be_served_stops_nothing(
    tmp_path: Path,
) -> None:
    (tmp_path / "vendor.yaml").write_text(VENDOR)
    (tmp_path / "broken.yaml").write_text("name: x\nvioce: {}\n")
    with capture_logs() as logs:
        async with serving(settings(port=0), folder=tmp_path) as running:
            state = running.server.state
            assert state.factory.ready
            call_to(running, None, state.clock)
            for name, told in (("vendor", "ELEVENLABS_API_KEY"), ("broken", "vioce")):
                with pytest.raises(ConfigError, match=told):
                    call_to(running, name, state.clock)
    places = [line["place"] for line in logs if line["event"] == "assistant.not-served"]
    assert places[0].endswith("broken.yaml:2: vioce")
    assert places[1] == "assistant Vendor line: voice.provider"
