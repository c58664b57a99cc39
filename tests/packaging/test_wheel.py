"""The wheel holds everything that the folders hold, and runs without the folders."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(180)]

BUILT_FROM = ("LICENSE", "README.md", "pyproject.toml")


def _run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def wheel(root: Path, folders: frozenset[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy that holds the sources and nothing else, without a network."""
    source, output = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        shutil.copy(root / name, source)
    for folder in folders:
        shutil.copytree(root / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    pip_wheel = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-index", "--no-build-isolation")
    _run(*pip_wheel, "--wheel-dir", output, ".", cwd=source)
    (built,) = output.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel in an environment of its own, which sees the dependencies of this one."""
    environment = tmp_path_factory.mktemp("environment")
    _run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=environment)
    python = environment / "bin" / "python"
    pip_install = (sys.executable, "-m", "pip", "--python", python, "install", "--no-deps", "--no-index")
    _run(*pip_install, wheel, cwd=environment)
    (site_packages,) = environment.glob("lib/python3*/site-packages")
    dependencies = [path for path in sys.path if path.endswith("site-packages")]
    # Plain paths: no .pth of theirs is read, so the editable install stays out of sight.
    (site_packages / "dependencies.pth").write_text("\n".join(dependencies) + "\n")
    return environment


def test_the_wheel_holds_every_file_of_the_folders(root: Path, folders: frozenset[str], wheel: Path) -> None:
    expected = {
        f"offhook/{path.relative_to(root)}"
        for folder in folders
        for path in (root / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}

    assert held == expected, "data files are named in [tool.setuptools.package-data]"


def test_the_wheel_carries_the_licence(wheel: Path) -> None:
    assert any(name.endswith("licenses/LICENSE") for name in zipfile.ZipFile(wheel).namelist())


def test_the_installed_command_answers(installed: Path, tmp_path: Path) -> None:
    assert "Usage: offhook" in _run(installed / "bin" / "offhook", "--help", cwd=tmp_path)


def test_every_installed_module_can_be_imported(installed: Path, tmp_path: Path) -> None:
    code = """
import importlib, pathlib, pkgutil, offhook
(home,) = offhook.__path__
names = sorted(
    ".".join(("offhook", *path.relative_to(home).with_suffix("").parts)).removesuffix(".__init__")
    for path in pathlib.Path(home).rglob("*.py")
)
for name in names:
    importlib.import_module(name)
print(home, len(names))
"""
    home, count = _run(installed / "bin" / "python", "-W", "error", "-c", code, cwd=tmp_path).split()

    assert Path(home).is_relative_to(installed.resolve())
    assert int(count) > 6
