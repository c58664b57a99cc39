"""The script of the demo is part of the package and sound."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from offhook.lab.script import HangUp, HangUpKind, Say
from offhook.lab.script_file import load_script


def test_the_demo_cuts_in_and_lets_the_agent_hang_up() -> None:
    script = load_script(Path(str(resources.files("offhook.lab") / "scripts" / "demo.yaml")))
    says = [step for step in script.steps if isinstance(step, Say)]
    assert [say.cut_in_after_s for say in says] == [None, 4.0, None]
    assert HangUp(HangUpKind.NONE) in script.steps
