"""`offhook lab vendors`: what it refuses, and one whole run of it."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession
from typer.testing import CliRunner

from offhook.cli import app
from offhook.cli.vendors import WhichProfile
from offhook.lab.vendors.latency import PROFILES

runner = CliRunner()
EXPORT = re.compile(r"export (\w+)=(\S+)")


@pytest.fixture(autouse=True)
def _logs_stay_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.cli.logs.configure_logs", lambda *_: None)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--fault", "openai text dropp"), "`dropp` is no kind of fault; there are: drop, close"),
        (("--fault", "openai audio drop"), "`audio` is no moment of openai's; there are: request"),
        (("--latency", "frist_token=1"), "steps are connect, partial"),
        (("--latency", "final=2/1"), "p95 is less than p50"),
        (("--assistant", "nope.yaml"), "nope.yaml: cannot be read"),
    ],
)
def test_an_option_that_cannot_be_used_stops_the_start(arguments: tuple[str, ...], said: str) -> None:
    result = runner.invoke(app, ["lab", "vendors", "--port", "0", *arguments])
    assert result.exit_code == 2
    assert "The vendors could not be emulated: " in result.output
    assert said in result.output


def test_an_assistant_without_intents_is_told_before_anything_starts(tmp_path: Path) -> None:
    file = tmp_path / "bare.yaml"
    file.write_text("name: Bare\nmodel: {provider: openai}\n")
    result = runner.invoke(app, ["lab", "vendors", "--assistant", str(file)])
    assert result.exit_code == 2
    assert "Bare has no embedded model that could answer in a vendor's place" in result.output


def test_every_profile_may_be_chosen() -> None:
    assert [profile.value for profile in WhichProfile] == list(PROFILES)


async def started(*arguments: str, folder: Path) -> tuple[asyncio.subprocess.Process, dict[str, str]]:
    """Start the command; returns when it has printed its variables, which come with it."""
    offhook = Path(sys.executable).with_name("offhook")
    process = await asyncio.create_subprocess_exec(
        offhook,
        *("lab", "vendors", *arguments),
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    variables: dict[str, str] = {}
    while len(variables) < 6:
        line = (await process.stdout.readline()).decode()
        found = EXPORT.fullmatch(line.strip())
        assert found is not None, f"{line!r} is no export"
        variables[found[1]] = found[2]
    return process, variables


@pytest.mark.realtime
@pytest.mark.timeout(60)
async def test_a_run_is_pointed_at_answers_and_tells_what_it_saw(tmp_path: Path) -> None:
    arguments = ("--port", "0", "--env-file", "v.env", "--fault", "openai request busy")
    process, variables = await started(*arguments, folder=tmp_path)
    written = dict(line.split("=", 1) for line in (tmp_path / "v.env").read_text().splitlines())
    assert written == variables
    assert len({variables[name] for name in variables if name.endswith("_KEY")}) == 3
    url = f"{variables['OPENAI_BASE_URL']}/chat/completions"
    body = {"model": "m", "messages": [{"role": "user", "content": "What is your shipping policy?"}]}
    statuses = []
    async with ClientSession() as client:
        for key in ("wrong", variables["OPENAI_API_KEY"], variables["OPENAI_API_KEY"]):
            async with client.post(url, json=body, headers={"Authorization": f"Bearer {key}"}) as response:
                statuses.append(response.status)
                answer = await response.text()
    assert statuses == [401, 429, 200]
    assert "working day" in answer
    process.send_signal(signal.SIGINT)
    said, complaints = await process.communicate()
    assert process.returncode == 0
    lines = said.decode().split("\n")
    assert lines[1].startswith("vendor      connections  requests  cancelled  refused  most open")
    assert lines[3].split() == ["openai", "1", "3", "0", "1", "1", "request", "0"]
    assert complaints.decode().strip() == (
        f"Emulated vendors listen on {variables['DEEPGRAM_BASE_URL']}. Ctrl-C ends them."
    )
    assert not (tmp_path / "v.env").exists()


@pytest.mark.realtime
@pytest.mark.timeout(60)
def test_a_port_that_is_taken_is_one_sentence() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = runner.invoke(app, ["lab", "vendors", "--port", str(port)])
    assert result.exit_code == 2
    assert f"port {port} cannot be listened on: Address already in use; choose another" in result.output
