"""`offhook call`: its options, what it prints, how it exits."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
from typer.testing import CliRunner
from websockets.asyncio.server import ServerConnection, serve

from offhook.cli import app

runner = CliRunner()


def run(*arguments: str) -> tuple[int, str]:
    result = runner.invoke(app, ["call", *arguments], env={"TWILIO_AUTH_TOKEN": ""})
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--url", "ws://127.0.0.1:1/m", "--webhook", "http://127.0.0.1:1/v"), "not both"),
        (("--url", "ws://127.0.0.1:1/m", "--assistant", "a.yaml"), "--assistant is for"),
        (("--webhook", "http://127.0.0.1:1/v", "--param", "a=b"), "--param goes with --url"),
        (("--url", "ws://127.0.0.1:1/m", "--param", "ab"), "NAME=VALUE"),
        (("--script", "missing.yaml"), "missing.yaml: cannot be read"),
        (("--url", "ws://a.example/m"), "Twilio error 31922: "),
        (("--say", " "), "--say needs something to say"),
        (("--dtmf", "12x"), "0-9 * # A-D"),
        (("--dtmf", ""), "0-9 * # A-D"),
        (("--record", "missing/folder/call.wav"), "--record makes one folder at most"),
    ],
)
def test_a_call_that_cannot_be_placed_exits_with_2(arguments: tuple[str, ...], said: str) -> None:
    code, output = run(*arguments)
    assert code == 2
    assert said in " ".join(output.split())


def test_every_problem_of_a_script_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("steps:\n  - sai: hello\n  - dtmf: 12\n")
    code, output = run("--script", str(path))
    assert code == 2
    assert output.count("bad.yaml:") == 2
    assert "Did you mean `say`?" in output


@pytest.mark.realtime
def test_help_needs_none_of_the_heavy_modules() -> None:
    program = (
        "import sys\nfrom offhook.cli import app\n"
        "try:\n    app(['call', '--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'numpy', 'aiohttp', 'websockets', 'yaml', 'onnxruntime', 'ctranslate2'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=15)
    assert done.returncode == 0, done.stderr
    assert "--webhook" in done.stdout


@contextmanager
def echo_bridge() -> Iterator[tuple[str, list[str]]]:
    """A bridge in a thread of its own that notes the keys and hangs up after `#`."""
    pressed: list[str] = []
    port, ready, stop = [0], Event(), Event()

    async def handle(connection: ServerConnection) -> None:
        async for message in connection:
            event = json.loads(message)
            if event["event"] == "dtmf":
                pressed.append(event["dtmf"]["digit"])
            if pressed[-1:] == ["#"]:
                await connection.close()

    async def main() -> None:
        async with serve(handle, "127.0.0.1", 0) as server:
            port[0] = server.sockets[0].getsockname()[1]
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = Thread(target=asyncio.run, args=(main(),))
    thread.start()
    assert ready.wait(5)
    try:
        yield f"ws://127.0.0.1:{port[0]}/media", pressed
    finally:
        stop.set()
        thread.join()


def keys(path: Path, digits: str) -> str:
    path.write_text(f'steps:\n  - dtmf: "{digits}"\n  - silence_s: 0.1\n')
    return str(path)


@pytest.mark.realtime
def test_actions_of_different_kinds_are_done_in_the_order_given(tmp_path: Path) -> None:
    first, last = keys(tmp_path / "first.yaml", "1"), keys(tmp_path / "last.yaml", "3#")
    second = keys(tmp_path / "second.yaml", "2")
    with echo_bridge() as (url, pressed):
        code, output = run("--json", "--script", first, "--url", url, f"--script={second}", "--script", last)
    assert pressed == ["1", "2", "3", "#"]
    result = json.loads(output)
    assert (code, result["ended_by"]) == (1, "agent")
    assert (result["failures"][0]["step"], result["failures"][0]["name"]) == (5, "step 2 of script call")


@pytest.mark.realtime
def test_a_call_that_went_well_exits_with_0(tmp_path: Path) -> None:
    with echo_bridge() as (url, _):
        code, output = run("--url", url, "--script", keys(tmp_path / "keys.yaml", "1"))
    assert code == 0
    assert "ended by caller (stop)" in output


@pytest.mark.realtime
def test_the_token_is_read_where_the_server_reads_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("TWILIO_AUTH_TOKEN=0123456789abcdef\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFHOOK_LOG_WORDS", "perhaps")
    signed: list[str] = []

    def sign(url: str, form: dict[str, str], token: str) -> str:
        signed.append(token)
        return "signature"

    monkeypatch.setattr("offhook.lab.phone.sign", sign)
    code, output = run("--url", "ws://127.0.0.1:1/m")
    assert (code, signed) == (2, [])
    assert "OFFHOOK_LOG_WORDS" in output
    monkeypatch.delenv("OFFHOOK_LOG_WORDS")
    code, output = run("--url", "ws://127.0.0.1:1/m")
    assert (code, signed) == (2, ["0123456789abcdef"])
    assert "Twilio error 31902: " in output
