"""`offhook recordings`: listing and erasing what is kept of calls."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from offhook.bridge.recording.file import RecordingFile
from offhook.bridge.recording.shelf import Note
from offhook.bridge.recording.tape import Stretch
from offhook.cli import app

FIRST, SECOND = "+15550100267", "+15550100268"


def keep(folder: Path, call: str, caller: str, *, finished: bool = True) -> Path:
    """A recording of a tenth of a second."""
    note = Note(call, "shop", caller, "+15550199", 1.75e9, 2e9)
    file = RecordingFile(folder, note)
    file.write(Stretch(0, 800, [], [], []))
    file.finish(Note(call, "shop", caller, "+15550199", 1.75e9, 2e9, seconds=0.1 if finished else None))
    return file.path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OFFHOOK_DATA_FOLDER", str(tmp_path / "data"))
    return tmp_path / "data" / "recordings"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["recordings", *arguments])


def test_recordings_are_listed(folder: Path) -> None:
    first = keep(folder, "CA1", FIRST)
    keep(folder, "CA2", SECOND, finished=False)
    told = run("list")
    assert told.exit_code == 0
    assert f"2025-06-15 15:06:40Z       0.1 s  CA1  {first}" in told.output
    assert "unfinished  CA2" in told.output
    assert "2 recordings." in told.output
    assert FIRST not in told.output
    assert "CA2" not in run("list", "--number", FIRST).output
    assert "CA1" not in run("list", "--call", "CA2").output


def test_all_of_a_number_is_erased_and_nothing_else(folder: Path) -> None:
    gone = [keep(folder, "CA1", FIRST), keep(folder, "CA3", FIRST)]
    stays = keep(folder, "CA2", SECOND)
    assert run("erase", "--number", FIRST).output == "2 recordings erased.\n"
    assert not any(path.exists() or path.with_suffix(".json").exists() for path in gone)
    assert sorted(file.name for file in folder.iterdir()) == [stays.with_suffix(".json").name, stays.name]


@pytest.mark.parametrize("written", ["+1 (555) 010-0267", "+1.555.010.0267", "+1-555-010-0267"])
def test_a_number_may_be_written_as_people_write_it(folder: Path, written: str) -> None:
    keep(folder, "CA1", FIRST)
    keep(folder, "CA2", SECOND)
    assert run("erase", "--number", written).output == "1 recording erased.\n"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("+44 (0)20 7946 0000", "+442079460000"),
        ("+44(0) 20-7946-0000", "+442079460000"),
        ("+44\u00a020\u20117946\u20130000", "+442079460000"),
        ("+39 (0)6 1234 5678", "+390612345678"),
    ],
)
def test_a_zero_for_calls_within_the_country_is_no_part_of_the_number(
    folder: Path, written: str, kept: str
) -> None:
    keep(folder, "CA1", kept)
    assert run("erase", "--number", written).output == "1 recording erased.\n"


@pytest.mark.parametrize("address", ["sip:lee@pbx.example", "sips:+442079460000@a.example", "client:lee"])
def test_callers_without_a_number_are_named_as_the_note_names_them(folder: Path, address: str) -> None:
    keep(folder, "CA1", address)
    keep(folder, "CA2", "sip:lee@other.example")
    assert run("erase", "--number", address).output == "1 recording erased.\n"


@pytest.mark.parametrize("wrong", ["15550100267", "5550100267", "Ms Lee", "", "lee@pbx.example", "sip:"])
def test_what_is_no_number_is_not_taken_for_one_without_recordings(folder: Path, wrong: str) -> None:
    keep(folder, "CA1", FIRST)
    told = run("erase", "--number", wrong)
    assert told.exit_code == 2
    assert "country code" in told.output


def test_one_call_is_erased(folder: Path) -> None:
    keep(folder, "CA1", FIRST)
    assert run("erase", "--call", "CA1").output == "1 recording erased.\n"
    assert list(folder.iterdir()) == []


def test_one_that_cannot_be_erased_is_named_and_keeps_no_other(folder: Path) -> None:
    stuck = keep(folder, "CA1", FIRST)
    stuck.unlink()
    stuck.mkdir()
    gone = keep(folder, "CA2", FIRST)
    told = run("erase", "--number", FIRST)
    assert told.exit_code == 1
    assert f"{stuck}: Is a directory\n" in told.output
    assert "1 recording erased.\n" in told.output
    assert not gone.exists()


def test_what_is_not_there_cannot_be_erased(folder: Path) -> None:
    told = run("erase", "--number", FIRST)
    assert (told.exit_code, told.output) == (1, "0 recordings erased.\n")


def test_nothing_is_erased_unless_it_is_named(folder: Path) -> None:
    keep(folder, "CA1", FIRST)
    told = run("erase")
    assert told.exit_code == 2
    assert "--number" in told.output
    assert len(list(folder.iterdir())) == 2


def test_without_a_folder_the_fix_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OFFHOOK_DATA_FOLDER", raising=False)
    told = run("list")
    assert told.exit_code == 2
    assert "OFFHOOK_DATA_FOLDER" in told.output
    assert run("list", "--folder", str(tmp_path)).exit_code == 0
