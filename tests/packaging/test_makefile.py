"""The targets that a person types, and the set-up behind them."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

TARGETS = (
    "acceptance",
    "bench",
    "check",
    "clean",
    "compose-smoke",
    "demo",
    "help",
    "interleavings",
    "lock",
    "random-calls",
    "scoreboard",
    "setup",
    "test",
    "test-realtime",
)
ORDINARY_TOOLS = ("awk", "bash", "cat", "cmp", "cp", "dirname", "env", "grep", "id", "make", "mkdir")
MORE_TOOLS = ("rm", "sed", "sh", "touch", "chmod", "command")

# A Python as the set-up sees it: it answers version checks as told, makes environments and runs "pip".
FAKE_PYTHON = """#!/bin/bash
case "$*" in
  *version_info*) exit {fits} ;;
  *ensurepip*) exit {has_venv} ;;
  --version) echo "Python {version}" ;;
  "-m venv "*)
    mkdir -p "$3/bin" && cp "$0" "$3/bin/python"
    echo "#!$PWD/$3/bin/python" > "$3/bin/pip"
    echo "venv with {version}" >> log ;;
  "-m pip --version") ;;
  "-m pip install"*)
    echo "${{*:3:2}} ${{*: -2:2}}" >> log
    [ ! -e broken ] || exit 1 ;;
esac
"""


def _fake_python(path: Path, version: str, *, has_venv: bool = True) -> None:
    fits = version.startswith(("3.11.", "3.12.", "3.13."))
    path.write_text(FAKE_PYTHON.format(version=version, fits=int(not fits), has_venv=int(not has_venv)))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


class Checkout:
    """A copy of what the set-up reads, on a machine that has ordinary tools and the given Pythons."""

    def __init__(self, root: Path, path: Path, commands: Path) -> None:
        self.path, self.commands = path, commands
        for name in ("Makefile", "pyproject.toml", "requirements-dev.lock"):
            shutil.copy(root / name, path)
        shutil.copytree(root / ".ci", path / ".ci")
        for name in (*ORDINARY_TOOLS, *MORE_TOOLS):
            if found := shutil.which(name):
                (commands / name).symlink_to(found)

    def setup(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["make", "setup", *arguments],
            cwd=self.path,
            env={"PATH": str(self.commands), "HOME": str(self.path)},
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )

    def steps(self) -> list[str]:
        """What the Pythons were asked to make since the last time this was asked."""
        log = self.path / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return lines


@pytest.fixture
def checkout(root: Path, tmp_path: Path) -> Checkout:
    path, commands = tmp_path / "checkout", tmp_path / "commands"
    path.mkdir()
    commands.mkdir()
    return Checkout(root, path, commands)


LOCKED = "install --require-hashes -r requirements-dev.lock"
EDITABLE = "install --quiet --editable ."


def _older(path: Path) -> None:
    """Make the file as old as a fresh checkout's, however coarse the file system's clock is."""
    os.utime(path, (1_700_000_000, 1_700_000_000))


def test_help_is_the_default_and_lists_every_target(root: Path) -> None:
    answer = subprocess.run(["make"], cwd=root, capture_output=True, text=True, timeout=20, check=True).stdout

    assert sorted(re.findall(r"^  make (\S+)  ", answer, re.MULTILINE)) == sorted(TARGETS)


@pytest.mark.parametrize("target", TARGETS)
def test_each_target_exists(root: Path, target: str) -> None:
    done = subprocess.run(["make", "-n", target], cwd=root, capture_output=True, timeout=20, check=False)

    assert done.returncode == 0


def test_the_makefile_uses_nothing_newer_than_gnu_make_3_81(root: Path) -> None:
    text = (root / "Makefile").read_text()

    assert re.findall(r"^\.ONESHELL|^\.SHELLFLAGS|\$\(file |!=|::=|\$\(guile ", text, re.MULTILINE) == []


def test_setup_happens_once(checkout: Checkout) -> None:
    _fake_python(checkout.commands / "python3", "3.12.4")

    assert checkout.setup().returncode == 0
    assert checkout.steps() == ["venv with 3.12.4", LOCKED, EDITABLE]
    assert checkout.setup().returncode == 0
    assert checkout.steps() == []


def test_setup_skips_a_python_that_does_not_fit(checkout: Checkout) -> None:
    _fake_python(checkout.commands / "python3", "3.10.9")
    _fake_python(checkout.commands / "python3.11", "3.11.2")

    assert checkout.setup().returncode == 0
    assert checkout.steps()[0] == "venv with 3.11.2"


def test_setup_uses_the_python_it_is_told_to(checkout: Checkout, tmp_path: Path) -> None:
    _fake_python(checkout.commands / "python3", "3.11.2")
    _fake_python(tmp_path / "mine", "3.13.1")

    assert checkout.setup(f"PYTHON={tmp_path / 'mine'}").returncode == 0
    assert checkout.steps()[0] == "venv with 3.13.1"


def test_setup_says_what_is_missing_when_no_python_fits(checkout: Checkout) -> None:
    _fake_python(checkout.commands / "python3", "3.14.0")
    done = checkout.setup()

    assert done.returncode != 0
    assert "no Python 3.11, 3.12 or 3.13 was found" in done.stderr
    assert "make setup PYTHON=" in done.stderr


def test_setup_says_how_to_get_a_missing_venv_module(checkout: Checkout) -> None:
    _fake_python(checkout.commands / "python3", "3.11.2", has_venv=False)
    done = checkout.setup()

    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stderr


def test_setup_refuses_a_told_python_that_does_not_fit(checkout: Checkout, tmp_path: Path) -> None:
    _fake_python(checkout.commands / "python3", "3.11.2")
    done = checkout.setup(f"PYTHON={tmp_path / 'none'}")

    assert done.returncode != 0
    assert "is no Python 3.11, 3.12 or 3.13 that runs" in done.stderr


def test_setup_starts_over_after_an_interrupted_installation(checkout: Checkout) -> None:
    _fake_python(checkout.commands / "python3", "3.11.2")
    (checkout.path / "broken").touch()
    assert checkout.setup().returncode != 0
    assert checkout.steps() == ["venv with 3.11.2", LOCKED]
    (checkout.path / "broken").unlink()

    assert checkout.setup().returncode == 0
    assert checkout.steps() == ["venv with 3.11.2", LOCKED, EDITABLE]


def test_setup_installs_again_when_the_lock_has_changed(checkout: Checkout) -> None:
    _fake_python(checkout.commands / "python3", "3.11.2")
    checkout.setup()
    checkout.steps()
    _older(checkout.path / ".venv" / "ready")
    with (checkout.path / "requirements-dev.lock").open("a") as lock:
        lock.write("# changed\n")

    assert checkout.setup().returncode == 0
    assert checkout.steps() == [LOCKED]


def test_setup_installs_nothing_when_only_the_dates_have_changed(checkout: Checkout) -> None:
    _fake_python(checkout.commands / "python3", "3.11.2")
    checkout.setup()
    checkout.steps()
    _older(checkout.path / ".venv" / "ready")

    assert checkout.setup().returncode == 0
    assert checkout.steps() == []


def test_setup_makes_a_moved_environment_anew(checkout: Checkout, tmp_path: Path) -> None:
    _fake_python(checkout.commands / "python3", "3.11.2")
    checkout.setup()
    checkout.path = checkout.path.rename(tmp_path / "elsewhere")
    checkout.steps()

    assert checkout.setup().returncode == 0
    assert checkout.steps() == ["venv with 3.11.2", LOCKED, EDITABLE]


@pytest.mark.parametrize("script", [".ci/run", ".ci/setup", ".ci/lock", "docker/compose-smoke.sh"])
def test_each_script_is_executable_and_well_formed(root: Path, script: str) -> None:
    assert os.access(root / script, os.X_OK)
    assert subprocess.run(["bash", "-n", script], cwd=root, timeout=20, check=False).returncode == 0


def test_the_bounds_of_the_continuous_run_stay_under_twenty_minutes(root: Path) -> None:
    bounds_s = re.findall(r"^step (\d+) ", (root / ".ci/run").read_text(), re.MULTILINE)

    assert len(bounds_s) >= 3
    assert sum(map(int, bounds_s)) <= 20 * 60
