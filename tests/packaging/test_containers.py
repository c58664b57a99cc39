"""The image and the compose file, read by the tools that will read them; no engine is needed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TOOLS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def bridge(root: Path) -> dict[str, Any]:
    """The one service, as Docker Compose understands the file with nothing set."""
    done = subprocess.run(
        [
            TOOLS / "docker-compose",
            "--file",
            "docker/compose.yaml",
            "config",
            "--format",
            "json",
            "--no-env-resolution",
        ],
        cwd=root,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent"},
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    services = json.loads(done.stdout)["services"]
    assert list(services) == ["bridge"]
    service: dict[str, Any] = services["bridge"]
    return service


def test_the_dockerfile_has_no_fault_that_hadolint_knows(root: Path) -> None:
    done = subprocess.run(
        [TOOLS / "hadolint", "--config", "/dev/null", "docker/Dockerfile"],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )

    assert (done.returncode, done.stdout) == (0, "")


def test_the_dockerfile_copies_every_folder_and_the_context_lets_it_through(
    root: Path, folders: frozenset[str]
) -> None:
    copied = re.findall(r"^COPY (\w+)/ \1/$", (root / "docker/Dockerfile").read_text(), re.MULTILINE)
    let_through = re.findall(r"^!(.+)$", (root / ".dockerignore").read_text(), re.MULTILINE)

    assert sorted(copied) == sorted(folders)
    assert folders <= set(let_through)


def test_the_context_holds_no_secret_and_no_environment(root: Path) -> None:
    patterns = (root / ".dockerignore").read_text().splitlines()

    assert "*" in patterns
    assert {pattern for pattern in patterns if re.search(r"^!.*(env|secret|\.git|\*)", pattern)} == set()


def test_the_image_installs_nothing_without_a_hash(root: Path) -> None:
    commands = (root / "docker/Dockerfile").read_text().replace("\\\n", " ").split("&&")
    installs = [command for command in commands if " install " in command]

    assert installs
    assert [one for one in installs if "--require-hashes" not in one and "--no-index" not in one] == []


def test_the_image_runs_as_nobody_from_a_stage_without_build_tools(root: Path) -> None:
    final_stage = (root / "docker/Dockerfile").read_text().rsplit("FROM ${BASE}", 1)[1]

    assert re.search(r"^USER 10001:10001$", final_stage, re.MULTILINE)
    assert re.search(r"^RUN ", final_stage, re.MULTILINE) is None
    assert re.search(r"^HEALTHCHECK ", final_stage, re.MULTILINE)


def test_the_service_is_published_on_this_machine_alone(bridge: dict[str, Any]) -> None:
    assert [(port["host_ip"], port["target"]) for port in bridge["ports"]] == [("127.0.0.1", 8080)]


def test_the_service_is_confined(bridge: dict[str, Any]) -> None:
    assert bridge["read_only"] is True
    assert bridge["cap_drop"] == ["ALL"]
    assert bridge["security_opt"] == ["no-new-privileges:true"]
    assert bridge["tmpfs"]
    assert bridge["deploy"]["resources"]["limits"].keys() >= {"memory", "pids"}
    assert not {"privileged", "cap_add", "devices", "network_mode", "pid"} & bridge.keys()


def test_the_service_keeps_the_checks_of_who_may_call(bridge: dict[str, Any]) -> None:
    assert "OFFHOOK_INSECURE" not in bridge["environment"]
    assert "--insecure" not in (bridge.get("command") or [])


def test_the_service_may_finish_its_calls(bridge: dict[str, Any]) -> None:
    assert bridge["stop_grace_period"] == "10m0s"
