"""The port that the server listens on, and the folder in which it keeps things."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from aiohttp import web
from bridge_rig import EchoFactory, loop_clock, settings
from web_rig import answering

from offhook.bridge.doctor.asking import Answer, Asking, NoAnswer
from offhook.bridge.doctor.finding import Finding, Outcome
from offhook.bridge.doctor.place import (
    Folder,
    judge_folder,
    judge_port,
    judge_readiness,
    look_at_folder,
    look_at_port,
    look_at_readiness,
)
from offhook.bridge.server import Server


async def port_finding(port: int, host: str = "127.0.0.1") -> Finding:
    own = settings(host=host, port=port)
    async with Asking() as asking:
        return judge_port(own, await look_at_port(own, asking))


async def test_a_free_port_is_left_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for host in ("127.0.0.1", "0.0.0.0"):
        found = await port_finding(port, host)
        assert (found.outcome, "is free" in found.told) == (Outcome.OK, True)
    with socket.create_server(("127.0.0.1", port)):
        pass


async def test_our_own_server_may_hold_the_port() -> None:
    server = Server(settings(), EchoFactory(), loop_clock())
    port = await server.start("127.0.0.1", 0)
    try:
        found = await port_finding(port)
    finally:
        await server.stop()
    assert (found.outcome, found.told) == (Outcome.OK, f"offhook listens at 127.0.0.1:{port} already.")


async def test_a_server_that_takes_no_calls_says_why() -> None:
    factory = EchoFactory(ready=False)
    server = Server(settings(), factory, loop_clock())
    own = settings(port=await server.start("127.0.0.1", 0))
    try:
        async with Asking() as asking:
            waits = judge_readiness(await look_at_readiness(own, asking))
            factory.ready = True
            takes = judge_readiness(await look_at_readiness(own, asking))
    finally:
        await server.stop()
    assert waits.outcome is Outcome.WARNING
    assert waits.told == "The server takes no call now: the speech models are not loaded yet."
    assert takes.outcome is Outcome.OK


def test_readiness_that_nobody_tells_is_told_as_such() -> None:
    assert judge_readiness(None).outcome is Outcome.NOT_CHECKED
    assert judge_readiness(NoAnswer("did not answer within 5 s")).outcome is Outcome.FAILED
    for body in (b"<html>", b"[]", b"{}"):
        assert "HTTP 503" in judge_readiness(Answer(503, body)).told


async def test_another_server_may_not() -> None:
    async def answer(request: web.Request) -> web.Response:
        return web.Response(text="hello")

    async with answering(answer) as other:
        found = await port_finding(other.port)
    assert found.outcome is Outcome.FAILED
    assert "Something else than offhook answers" in found.told


async def test_a_port_that_is_taken_by_something_silent_fails() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        found = await port_finding(taken.getsockname()[1])
    assert found.outcome is Outcome.FAILED
    assert "Address already in use" in found.told


async def test_an_address_of_another_machine_cannot_be_listened_on() -> None:
    found = await port_finding(65_000, "192.0.2.1")
    assert found.outcome is Outcome.FAILED
    assert "HOST" in found.fix
    assert asyncio.all_tasks() == {asyncio.current_task()}


def test_a_port_that_the_system_chooses_is_not_asked() -> None:
    assert judge_port(settings(port=0), None).outcome is Outcome.NOT_CHECKED


def test_a_folder_is_written_to_and_nothing_stays_in_it(tmp_path: Path) -> None:
    found = judge_folder(tmp_path, look_at_folder(tmp_path))
    assert (found.outcome, "can be written to" in found.told) == (Outcome.OK, True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "here"
    found = judge_folder(folder, look_at_folder(folder))
    assert (found.outcome, "will be made" in found.told) == (Outcome.OK, True)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Asked of the system, for root may write anywhere.
    monkeypatch.setattr("os.access", lambda place, mode: place != tmp_path)
    found = judge_folder(tmp_path / "data" / "here", look_at_folder(tmp_path / "data" / "here"))
    assert found.outcome is Outcome.FAILED
    assert f"cannot be made in {tmp_path}." in found.told


def test_what_is_no_folder_fails(tmp_path: Path) -> None:
    file, nowhere = tmp_path / "file", tmp_path / "link"
    file.write_text("")
    nowhere.symlink_to(tmp_path / "gone")
    for folder, why in ((file, file), (file / "data", file), (nowhere, nowhere), (nowhere / "data", nowhere)):
        found = judge_folder(folder, look_at_folder(folder))
        assert (found.outcome, f"{why} is no folder" in found.told) == (Outcome.FAILED, True)


def test_little_space_is_a_warning_and_no_folder_none() -> None:
    assert judge_folder(Path("/data"), Folder(free_mb=12)).outcome is Outcome.WARNING
    assert judge_folder(None, None).outcome is Outcome.NOT_CHECKED
