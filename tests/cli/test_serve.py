"""`offhook serve`, and the commands beside it: what they refuse, and in which words."""

from __future__ import annotations

import json
import socket
import sys
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs
from typer.testing import CliRunner

from offhook.bridge.app import _say_bad_edit
from offhook.cli import app
from offhook.cli.logs import configure_logs
from offhook.config.errors import ConfigError, ConfigProblem
from offhook.config.vendors import KEY_VARIABLES

runner = CliRunner()


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine's count, and no logging stays configured."""
    monkeypatch.chdir(tmp_path)
    for name in ("PORT", "HOST", "PUBLIC_URL", "TWILIO_AUTH_TOKEN", *KEY_VARIABLES.values()):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("offhook.cli.logs.configure_logs", lambda: None)


def run(*arguments: str, **environ: str) -> tuple[int, str]:
    result = runner.invoke(app, arguments, env=environ)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--port", "99999"), "options: --port: must be less than or equal to 65535."),
        (("--port", "-1"), "options: --port: must be greater than or equal to 0."),
        (("--host", ""), "options: --host: "),
        (("--workers", "0"), "options: --workers: must be greater than or equal to 1. Write a whole number"),
        (("--assistants", "nope"), "nope: is not there. Name a folder of assistant files."),
    ],
)
def test_an_option_that_cannot_be_used_stops_the_start(arguments: tuple[str, ...], said: str) -> None:
    code, output = run("serve", *arguments)
    assert code == 2
    assert said in output


@pytest.mark.realtime
def test_what_no_worker_can_be_served_with_is_told_once(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(VENDORS)
    code, output = run("serve", "--assistant", str(file), "--port", "0", "--workers", "2")
    assert code == 2
    assert output.count("DEEPGRAM_API_KEY is not set") == 1
    assert "Traceback" not in output


@pytest.mark.realtime
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_port_that_is_taken_is_one_sentence_with_its_mend(workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, output = run("serve", "--port", str(port), "--workers", workers)
    assert code == 2
    assert output.strip().endswith(
        f"server: 127.0.0.1:{port}: cannot be listened on: Address already in use. "
        "Stop what listens there, or choose another port with --port or PORT."
    )


@pytest.mark.realtime
def test_a_host_of_another_machine_is_one_sentence_with_its_mend() -> None:
    code, output = run("serve", "--host", "192.0.2.1", "--port", "0")
    assert code == 2
    assert "server: 192.0.2.1:0: cannot be listened on: " in output
    assert "--host" in output


def test_check_and_serve_agree_about_a_token_without_an_address() -> None:
    code, output = run("config", "check", TWILIO_AUTH_TOKEN="t")
    assert code == 1
    assert "PUBLIC_URL: is not set" in output
    assert "All good" not in output


VENDORS = """
name: Order line
transcriber: {provider: deepgram}
voice: {fallbacks: [{provider: elevenlabs, name: anna}]}
"""


def test_vendors_without_their_keys_stop_the_start_with_a_sentence_for_each(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(VENDORS)
    code, output = run("serve", "--assistant", str(file), "--port", "0")
    assert code == 2
    assert output.splitlines() == [
        f"assistant Order line: {place}: `{vendor}` needs a key, and {variable} is not set. "
        f"Set {variable} in the environment or in .env, or {variable}_FILE to a file that holds it."
        for place, vendor, variable in (
            ("transcriber.provider", "deepgram", "DEEPGRAM_API_KEY"),
            ("voice.fallbacks.0.provider", "elevenlabs", "ELEVENLABS_API_KEY"),
        )
    ]


def test_a_file_can_be_checked_on_a_machine_without_the_keys(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(VENDORS)
    code, output = run("config", "check", str(file))
    assert code == 0
    assert output.count("a.yaml: note: not served here: ") == 2
    assert (
        "voice.fallbacks.0.provider: `elevenlabs` needs a key, and ELEVENLABS_API_KEY is not set." in output
    )
    assert "All good." in output
    keys = dict.fromkeys(KEY_VARIABLES.values(), "s3cret")
    code, output = run("config", "check", str(file), **keys)
    assert (code, "not served here" in output, "s3cret" in output) == (0, False, False)


def test_settings_that_cannot_be_read_are_told_and_the_file_is_checked_all_the_same(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text(VENDORS + "turn_takin: {}\n")
    code, output = run("config", "check", str(file), PORT="x")
    assert code == 1
    assert "PORT: is not a whole number." in output
    assert "turn_takin" in output


def test_an_address_without_a_token_is_noted() -> None:
    code, output = run("config", "check", PUBLIC_URL="https://a.example")
    assert code == 0
    assert "every call is refused" in output


def test_a_folder_and_a_script_of_a_call_are_no_assistants(tmp_path: Path) -> None:
    script = tmp_path / "call.yaml"
    script.write_text("steps:\n- say: Hello\n")
    code, output = run("config", "check", str(tmp_path), str(script))
    assert code == 1
    assert "is a folder. Name its files" in output
    assert "call.yaml: is the script of a simulated call, not an assistant. Give it to" in output


def test_the_version_is_told() -> None:
    code, output = run("--version")
    assert code == 0
    assert output.startswith("offhook ")


def test_a_bad_edit_is_logged_with_its_mend() -> None:
    with capture_logs() as logs:
        _say_bad_edit(
            ConfigError([ConfigProblem("a.yaml:3", "modle", "is no key.", "Did you mean `model`?")])
        )
    assert (logs[0]["place"], logs[0]["fix"]) == ("a.yaml:3: modle", "Did you mean `model`?")


def test_json_logs_are_written_as_they_are_read(capfd: pytest.CaptureFixture[str]) -> None:
    before = structlog.get_config()
    try:
        configure_logs()
        structlog.get_logger().info("webhook.inbound", caller="…06")
        sys.stderr.flush()
    finally:
        structlog.configure(**before)
    line = capfd.readouterr().err.strip()
    assert "…06" in line
    assert json.loads(line)["caller"] == "…06"
