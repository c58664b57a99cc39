"""Folder X is imported as offhook.X: the places that say so agree."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

LINKS = Path(".imports", "offhook")


def _packages_on_disk(root: Path, folders: frozenset[str]) -> set[str]:
    holding_code = {path.parent for folder in folders for path in (root / folder).rglob("*.py")}
    return {".".join(("offhook", *path.relative_to(root).parts)) for path in holding_code}


def test_package_dir_maps_each_folder_to_its_own_name(project: dict[str, Any]) -> None:
    mapping = project["tool"]["setuptools"]["package-dir"]

    assert mapping == {f"offhook.{folder}": folder for folder in mapping.values()}


def test_packages_lists_every_folder_that_holds_code_and_no_other(
    root: Path, project: dict[str, Any], folders: frozenset[str]
) -> None:
    assert set(project["tool"]["setuptools"]["packages"]) == _packages_on_disk(root, folders)


def test_each_folder_is_linked_for_type_checkers(root: Path, folders: frozenset[str]) -> None:
    links = {path.name: path for path in (root / LINKS).iterdir()}

    assert set(links) == folders
    for folder, link in links.items():
        assert link.is_symlink()
        assert link.resolve() == root / folder
        assert not link.readlink().is_absolute()


def test_each_folder_says_that_it_is_typed(root: Path, folders: frozenset[str]) -> None:
    assert {folder for folder in folders if not (root / folder / "py.typed").is_file()} == set()


def test_codecs_is_no_regular_package_and_all_others_are(
    root: Path, project: dict[str, Any], folders: frozenset[str]
) -> None:
    without_init = {
        package
        for package in _packages_on_disk(root, folders)
        if not root.joinpath(*package.split(".")[1:], "__init__.py").is_file()
    }

    assert without_init == {"offhook.codecs"}


def test_no_module_bears_the_name_of_a_standard_one(root: Path, folders: frozenset[str]) -> None:
    modules = {
        path.relative_to(root)
        for folder in folders
        for path in (root / folder).rglob("*")
        if (path.suffix == ".py" or any(path.glob("*.py"))) and path.stem != "__init__"
    }

    assert {str(path) for path in modules if path.stem in sys.stdlib_module_names} == set()


def test_every_folder_of_code_is_a_package_or_the_tests(root: Path, folders: frozenset[str]) -> None:
    holding_code = {
        path.name
        for path in root.iterdir()
        if path.is_dir() and not path.name.startswith(".") and any(path.glob("**/*.py"))
    }

    assert holding_code - {"build", "tests"} == folders
