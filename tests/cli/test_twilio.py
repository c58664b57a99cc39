"""`offhook twilio link`, against a REST interface on this machine: what it sets, and what it refuses to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twilio_rest import NUMBER, SID, TOKEN, FakeTwilio, refusal
from typer.testing import CliRunner

from offhook.cli import app
from offhook.config.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
URL = "https://bridge.example.com"
ENVIRONMENT = {"PUBLIC_URL": URL, "TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN}
LINKED = {
    "voice_url": f"{URL}/voice/inbound",
    "voice_method": "POST",
    "voice_fallback_url": f"{URL}/voice/inbound",
    "status_callback": f"{URL}/voice/status",
}


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings of this machine's count."""
    monkeypatch.chdir(tmp_path)
    for name in (*Settings.model_fields, "server_url"):
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeTwilio]:
    """A number that somebody else's server answers."""
    with FakeTwilio({"voice_url": "https://u:hush@old.example.com/answer?key=hush"}).in_thread() as fake:
        monkeypatch.setenv("TWILIO_API_BASE_URL", fake.base_url)
        yield fake


def link(*arguments: str, answer: str = "", **environ: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["twilio", "link", *arguments], env=ENVIRONMENT | environ, input=answer)
    return result.exit_code, result.output


def test_what_changes_is_shown_then_asked_then_set_and_read_back(fake: FakeTwilio) -> None:
    code, output = link(NUMBER, answer="y\n")
    assert code == 0, output
    assert f"VoiceUrl          https://old.example.com/answer?...  {URL}/voice/inbound" in output
    assert f"StatusCallback    (none)                              {URL}/voice/status" in output
    assert "Change that?" in output
    assert f"Set, and read back. Call {NUMBER}" in output
    assert "hush" not in output
    assert TOKEN not in output
    assert {name: fake.number[name] for name in ("voice_url", "status_callback")} == {
        name: LINKED[name] for name in ("voice_url", "status_callback")
    }


def test_yes_asks_nothing_and_the_number_may_be_a_setting(fake: FakeTwilio) -> None:
    code, output = link("--yes", TWILIO_PHONE_NUMBER=NUMBER)
    assert (code, "Change that?" in output) == (0, False)
    assert fake.number["voice_url"] == LINKED["voice_url"]


def test_a_number_may_be_written_with_spaces(fake: FakeTwilio) -> None:
    assert link("+1 (555) 010-0999", "--yes")[0] == 0


def test_no_changes_nothing(fake: FakeTwilio) -> None:
    code, output = link(NUMBER, answer="n\n")
    assert (code, fake.changes) == (1, [])
    assert "Nothing was changed." in output


def test_where_nobody_can_be_asked_nothing_is_changed(fake: FakeTwilio) -> None:
    code, _ = link(NUMBER, answer="")
    assert (code, fake.changes) == (1, [])


def test_a_number_that_is_linked_already_is_left_alone(fake: FakeTwilio) -> None:
    fake.number |= LINKED
    code, output = link(NUMBER)
    assert (code, fake.changes) == (0, [])
    assert "nothing to change" in output


@pytest.mark.parametrize(
    ("field", "sid", "name", "owner"),
    [
        ("trunk_sid", "TK1", "TrunkSid", "the SIP trunk TK1"),
        ("voice_application_sid", "AP1", "VoiceApplicationSid", "the application AP1"),
    ],
)
def test_whoever_answers_now_is_named_and_not_robbed_by_yes_alone(
    fake: FakeTwilio, field: str, sid: str, name: str, owner: str
) -> None:
    fake.number[field] = sid
    code, output = link(NUMBER, "--yes")
    assert (code, fake.changes) == (2, [])
    assert f"answered by {owner} now, which would lose its calls" in output
    assert "Add --take-over" in output
    code, output = link(NUMBER, "--yes", "--take-over")
    assert (code, fake.number[field]) == (0, "")
    assert f"{name}" in output


@pytest.mark.parametrize(
    ("arguments", "environ", "words"),
    [
        ((NUMBER,), {"PUBLIC_URL": "", "TWILIO_AUTH_TOKEN": TOKEN}, "PUBLIC_URL is not set"),
        ((NUMBER,), {"PUBLIC_URL": "http://bridge.example.com"}, "PUBLIC_URL begins with http://"),
        ((NUMBER,), {"PUBLIC_URL": "https://localhost:8080"}, "only this network can reach"),
        ((NUMBER,), {"TWILIO_AUTH_TOKEN": ""}, "TWILIO_AUTH_TOKEN: is not set"),
        ((NUMBER,), {"TWILIO_AUTH_TOKEN": "another"}, "refuses the credentials (HTTP 401, error 20003)"),
        ((NUMBER,), {"PORT": "x"}, "PORT: is not a whole number"),
        (("+15550100123",), {}, "is not a number of the account"),
        ((), {}, "Name the number"),
        (("front desk",), {}, "is no telephone number"),
    ],
)
def test_whatever_stands_in_the_way_is_told_and_changes_nothing(
    fake: FakeTwilio, arguments: tuple[str, ...], environ: dict[str, str], words: str
) -> None:
    code, output = link(*arguments, "--yes", **environ)
    assert (code, fake.changes) == (2, [])
    assert words in output
    assert TOKEN not in output
    assert "Traceback" not in output


def test_a_network_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_API_BASE_URL", "http://127.0.0.1:9")
    code, output = link(NUMBER, "--yes")
    assert code == 2
    assert "cannot be reached" in output


def test_a_number_for_messages_alone_is_not_linked(fake: FakeTwilio) -> None:
    fake.number["capabilities"] = {"voice": False, "sms": True}
    code, output = link(NUMBER, "--yes")
    assert (code, fake.changes) == (2, [])
    assert "text messages alone" in output


def test_a_change_that_twilio_does_not_show_is_no_success(fake: FakeTwilio) -> None:
    fake.is_deaf_to_changes = True
    code, output = link(NUMBER, "--yes")
    assert code == 2
    assert "does not show it" in output


def test_a_change_that_is_refused_is_told(fake: FakeTwilio) -> None:
    fake.answers.append(("POST", refusal(400, 21502)))
    code, output = link(NUMBER, "--yes")
    assert code == 2
    assert "error 21502" in output
    assert fake.number["voice_url"].startswith("https://u:hush@old")
