"""`offhook doctor` as a command: its lines, its JSON, its exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offhook.cli import app
from offhook.config.settings import Settings
from offhook.config.vendors import KEY_VARIABLES


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine's count."""
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "server_url"):
        monkeypatch.delenv(name.upper(), raising=False)


def doctor(*arguments: str, **environ: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", *arguments], env={"PORT": "0"} | environ)
    return result.exit_code, result.output


def test_a_machine_without_any_account_is_well_and_told_what_was_not_checked() -> None:
    code, output = doctor()
    assert code == 0, output
    assert re.search(r"^ok +settings +The settings can be read", output, re.MULTILINE)
    assert re.search(r"^not checked +public page +No PUBLIC_URL: only local calls\.", output, re.MULTILINE)
    assert re.search(r"^\d+ ok, (\d+ warning, )?\d+ not checked$", output, re.MULTILINE)
    assert "\x1b" not in output


def test_what_failed_has_its_fix_below_and_exits_with_one(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\ntranscriber: {provider: deepgram}\n")
    code, output = doctor("--assistant", str(file))
    assert code == 1
    failed = re.search(
        r"^failed +transcriber +.+DEEPGRAM_API_KEY is not set\.\n +(.+)$", output, re.MULTILINE
    )
    assert failed is not None
    assert failed[1].startswith(f"Set {KEY_VARIABLES['deepgram']}")
    assert "1 failed" in output


def test_json_holds_the_same_and_nothing_else() -> None:
    code, output = doctor("--json")
    told = json.loads(output)
    assert (code, told["ok"]) == (0, True)
    assert {frozenset(each) for each in told["findings"]} == {
        frozenset(("check", "outcome", "finding", "fix"))
    }
    assert {"check": "assistant", "outcome": "ok"}.items() <= told["findings"][1].items()


def test_settings_that_cannot_be_read_are_all_that_is_told(tmp_path: Path) -> None:
    code, output = doctor("--assistant", str(tmp_path / "none.yaml"), PORT="x")
    assert code == 1
    assert "PORT: is not a whole number." in output
    assert "none.yaml" in output
    assert "2 failed" in output
    code, output = doctor("--json", PORT="x")
    assert (code, json.loads(output)["ok"]) == (1, False)
