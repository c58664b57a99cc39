"""Assistant files that are edited while calls are up."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from offhook.config.assistant_files import AssistantFiles
from offhook.config.errors import ConfigError


@pytest.fixture
def told() -> list[ConfigError]:
    return []


@pytest.fixture
def default(tmp_path: Path) -> Path:
    path = tmp_path / "default.yaml"
    path.write_text("name: one\n")
    return path


@pytest.fixture
def files(default: Path, tmp_path: Path, told: list[ConfigError]) -> AssistantFiles:
    folder = tmp_path / "assistants"
    folder.mkdir()
    (folder / "shop.yaml").write_text("name: Shop\n")
    (folder / "bank.json").write_text('{"name": "Bank"}')
    (folder / "Not A Name.yaml").write_text("name: hidden\n")
    return AssistantFiles(default, folder, told.append)


def test_nothing_is_read_again_while_nothing_changes(files: AssistantFiles) -> None:
    assert files.current() is files.current()
    assert files.current("shop") is files.current("shop")


def test_an_edit_counts_from_the_next_call(files: AssistantFiles, default: Path) -> None:
    before = files.current()
    default.write_text("name: second\n")
    assert (before.name, files.current().name) == ("one", "second")


def test_an_edit_of_the_same_size_counts_too(files: AssistantFiles, default: Path) -> None:
    files.current()
    default.write_text("name: two\n")
    os.utime(default, ns=(1, 1))
    assert files.current().name == "two"


def test_a_bad_edit_keeps_the_last_good_one_and_is_told_once(
    files: AssistantFiles, default: Path, told: list[ConfigError]
) -> None:
    files.current()
    default.write_text("name: [\n")
    assert [files.current().name, files.current().name] == ["one", "one"]
    assert len(told) == 1
    assert str(default) in str(told[0])
    default.write_text("name: mended\n")
    assert files.current().name == "mended"
    assert len(told) == 1


def test_a_file_that_vanishes_keeps_its_last_good_state(
    files: AssistantFiles, told: list[ConfigError]
) -> None:
    assert files.current("shop").name == "Shop"
    folder = files._folder
    assert folder is not None
    (folder / "shop.yaml").unlink()
    assert [files.current("shop").name, files.current("shop").name] == ["Shop", "Shop"]
    assert len(told) == 1


def test_a_file_that_never_was_good_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        AssistantFiles(tmp_path / "none.yaml").current()


def test_assistants_are_chosen_by_name(files: AssistantFiles) -> None:
    assert (files.current("shop").name, files.current("bank").name) == ("Shop", "Bank")
    assert files.names() == ("bank", "shop")


@pytest.mark.parametrize(
    "name", ["../default", "/etc/passwd", "shop.yaml", "", ".", "Shop", "a/b", "shop\n", "x" * 65, "é"]
)
def test_only_plain_names_are_looked_for(files: AssistantFiles, name: str) -> None:
    with pytest.raises(ConfigError, match="no assistant's name"):
        files.current(name)


def test_an_unknown_name_is_told_with_those_that_are_there(files: AssistantFiles) -> None:
    with pytest.raises(ConfigError, match="Did you mean `shop`\\? There are: bank, shop"):
        files.current("shopp")
    with pytest.raises(ConfigError, match="bank, shop"):
        files.current("zebra")


def test_without_a_folder_there_is_only_the_default(default: Path) -> None:
    files = AssistantFiles(default)
    assert files.names() == ()
    with pytest.raises(ConfigError, match="only the default"):
        files.current("shop")
