"""Assistant files become assistants, or every reason why not, at once."""

from __future__ import annotations

__all__ = ["load_assistant", "parse_assistant"]

import sys
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from .assistant import Assistant
from .assistant_checks import effectless, inconsistencies
from .documents import Document, KeyPath, read_json, read_yaml
from .environment_texts import EnvironmentLookup, environment_lookup, with_environment
from .errors import ConfigError, ConfigProblem
from .explanation import explained
from .hosted_names import translate
from .tool_calls_out import unprotected
from .translation import Translation

_LARGEST_FILE_BYTES = 1 << 20


def load_assistant(path: Path, lookup: EnvironmentLookup | None = None) -> Assistant:
    """Read an assistant file, YAML or JSON by its ending.

    `lookup` gives the values of `${NAME}`: the environment and `.env` for None. The file's folder joins the
    end of `sys.path`, so that a tool's module may lie beside it. Raises ConfigError with all that is wrong.
    """
    source = str(path)
    if path.is_dir():
        raise ConfigError([ConfigProblem(source, "", "is a folder.", f"Name its files: {path / '*.yaml'}.")])
    if path.suffix not in (".yaml", ".yml", ".json"):
        problem = ConfigProblem(source, "", "is neither .yaml nor .json.", "Rename it.")
        raise ConfigError([problem])
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST_FILE_BYTES + 1)
        text = content.decode("utf-8-sig")
    except OSError as error:
        raise ConfigError([ConfigProblem(source, "", f"cannot be read: {error.strerror}.")]) from None
    except UnicodeDecodeError as error:
        message = f"is not UTF-8 text (byte {error.start})."
        raise ConfigError([ConfigProblem(source, "", message, "Save it as UTF-8.")]) from None
    if len(content) > _LARGEST_FILE_BYTES:
        raise ConfigError([ConfigProblem(source, "", "is larger than 1 MiB.", "Is it the right file?")])
    document = read_json(text, source) if path.suffix == ".json" else read_yaml(text, source)
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)
    return _assistant(document, source, lookup or environment_lookup())


def parse_assistant(data: Any, source: str, lookup: EnvironmentLookup | None = None) -> Assistant:
    """Make an assistant of plain data, as a JSON body holds it; raises ConfigError with all that is wrong."""
    return _assistant(Document(data), source, lookup or environment_lookup())


def _assistant(document: Document, source: str, lookup: EnvironmentLookup) -> Assistant:
    if not isinstance(document.data, dict):
        found = "is empty" if document.data is None else "does not hold `key: value` pairs"
        raise ConfigError([ConfigProblem(source, "", f"{found}.", "Write at least `name: ...`.")])
    if "steps" in document.data:
        message = "is the script of a simulated call, not an assistant."
        raise ConfigError([ConfigProblem(source, "", message, "Give it to `offhook call --script`.")])
    translation = translate(document.data, Assistant)
    assistant, found_problems = _validated(translation, lookup)
    problems = [_placed(source, document, *problem) for problem in found_problems]
    if problems or assistant is None:
        raise ConfigError(sorted(problems, key=_line_of))
    notices = (*translation.notices, *effectless(assistant), *unprotected(assistant))
    return assistant.model_copy(update={"notices": notices})


def _validated(
    translation: Translation, lookup: EnvironmentLookup
) -> tuple[Assistant | None, list[tuple[KeyPath, str, str]]]:
    """Validate translated data; problems are (path as written, message, fix)."""
    problems = [(path, message, "") for path, message in translation.problems]
    data, unset = with_environment(translation.data, lookup)
    problems += [(translation.written(path), message, fix) for path, message, fix in unset]
    assistant = None
    try:
        assistant = Assistant.model_validate(data)
    except ValidationError as error:
        told = {path for path, _, _ in problems}
        problems += [problem for problem in explained(error, translation) if problem[0] not in told]
    if "notices" in translation.data:
        problems.append((("notices",), "is not a key of an assistant file.", "Leave it out."))
    told = {path for path, _, _ in problems}
    for path, message, fix in inconsistencies(translation.data):
        written = translation.written(path)
        if written not in told:
            problems.append((written, message, fix))
    return assistant, problems


def _placed(source: str, document: Document, path: KeyPath, message: str, fix: str) -> ConfigProblem:
    line = document.line(path)
    return ConfigProblem(f"{source}:{line}" if line else source, ".".join(map(str, path)), message, fix)


def _line_of(problem: ConfigProblem) -> int:
    line = problem.source.rpartition(":")[2]
    return int(line) if line.isdigit() else 0
