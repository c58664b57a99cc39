"""The file of variables: for its owner alone, there while the vendors run, and no other is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from offhook.config.errors import OffhookError
from offhook.config.settings import load_settings
from offhook.lab.vendors.env_file import env_file

VARIABLES = {"OPENAI_API_KEY": "emulated-openai-1", "OPENAI_BASE_URL": "http://127.0.0.1:9100/v1"}


def test_it_is_read_as_settings_while_it_is_there(tmp_path: Path) -> None:
    path = tmp_path / "out" / "vendors.env"
    with env_file(path, VARIABLES):
        assert path.stat().st_mode & 0o777 == 0o600
        settings = load_settings({}, path)
        assert settings.openai_base_url == VARIABLES["OPENAI_BASE_URL"]
        assert settings.openai_api_key is not None
    assert not path.exists()


def test_one_that_was_left_behind_is_replaced_whatever_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "vendors.env"
    path.write_text("OPENAI_API_KEY=old\n")
    path.chmod(0o644)
    with env_file(path, VARIABLES):
        assert "old" not in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("text", ["TWILIO_AUTH_TOKEN=t\nOPENAI_API_KEY=k\n", "some notes\n"])
def test_a_file_that_holds_anything_else_is_left_alone(tmp_path: Path, text: str) -> None:
    path = tmp_path / ".env"
    path.write_text(text)
    with (
        pytest.raises(OffhookError, match="holds more than the vendors' variables"),
        env_file(path, VARIABLES),
    ):
        pass
    assert path.read_text() == text


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    other, link = tmp_path / "other", tmp_path / "link"
    other.write_text("")
    link.symlink_to(other)
    with pytest.raises(OffhookError), env_file(link, VARIABLES):
        pass
    assert other.read_text() == ""


def test_what_was_changed_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "vendors.env"
    with env_file(path, VARIABLES):
        path.write_text("MINE=1\n")
    assert path.read_text() == "MINE=1\n"


@pytest.mark.parametrize("name", ["no/such/folder/v.env", "folder"])
def test_a_place_that_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OffhookError, match="cannot be written: "), env_file(tmp_path / name, VARIABLES):
        pass


def test_a_file_that_is_no_text_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "vendors.env"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(OffhookError, match="not UTF-8"), env_file(path, VARIABLES):
        pass
    assert path.read_bytes() == b"\xff\xfe\x00"
