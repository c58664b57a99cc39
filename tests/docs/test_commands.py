"""Every command that a page shows exists: its program, its target, its sub-command, its options."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))
# Programs whose commands are shown as they are; what they do is not ours to check.
FOREIGN = {"cd", "cloudflared", "cp", "curl", "export", "git", "ngrok", "pip", "python3", "ssh"}


def shown_commands(page: str) -> list[str]:
    """The commands of a page's ```console blocks: lines that begin with `$ `, continued by a backslash."""
    blocks = re.findall(r"^ *```console\n(.*?)^ *```", page, re.MULTILINE | re.DOTALL)
    text = "\n".join(blocks).replace("\\\n", " ")
    return [line.strip()[2:] for line in text.splitlines() if line.strip().startswith("$ ")]


def problems_of(command: str) -> list[str]:
    """What is wrong with a command line; a pipeline's or list's parts are checked one by one."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = "#"
    parts: list[list[str]] = [[]]
    for token in lexer:
        if set(token) <= set("|&;"):
            parts.append([])
        else:
            parts[-1].append(token)
    return [problem for part in parts for problem in _problems_of_one(_without_assignments(part))]


def _without_assignments(words: list[str]) -> list[str]:
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        words = words[1:]
    return words


def _problems_of_one(words: list[str]) -> list[str]:
    if not words:
        return []
    program, *arguments = words
    match program.removeprefix(".venv/bin/"):
        case "make":
            return _problems_of_make(arguments)
        case "offhook":
            return _problems_of_offhook(arguments)
        case "docker":
            return _problems_of_docker(arguments)
        case other:
            return [] if other in FOREIGN else [f"{program} is not a program that a page may show"]


def _problems_of_make(arguments: list[str]) -> list[str]:
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    asked = [word for word in arguments if "=" not in word and not word.startswith("-")]
    return [f"make {target}: no such target" for target in asked if target not in targets]


def _problems_of_docker(arguments: list[str]) -> list[str]:
    after_file = [later for word, later in pairwise(arguments) if word in {"-f", "--file"}]
    return [f"docker: there is no file {file}" for file in after_file if not (ROOT / file).is_file()]


def _problems_of_offhook(arguments: list[str]) -> list[str]:
    path: tuple[str, ...] = ()
    while arguments and arguments[0] in _known(path)[0]:
        path, arguments = (*path, arguments[0]), arguments[1:]
    sub_commands, options = _known(path)
    name = " ".join(("offhook", *path))
    if sub_commands and arguments and not arguments[0].startswith("-"):
        return [f"{name} {arguments[0]}: no such command"]
    used = [word.split("=", 1)[0] for word in arguments if re.match(r"--?[a-zA-Z]", word)]
    return [f"{name}: no option {option}" for option in used if option not in options]


@lru_cache
def _known(path: tuple[str, ...]) -> tuple[frozenset[str], frozenset[str]]:
    """The sub-commands and the options that `offhook PATH --help` names."""
    plain = {**os.environ, "COLUMNS": "200", "TERM": "dumb", "NO_COLOR": "1", "TERMINAL_WIDTH": "200"}
    done = subprocess.run(
        [Path(sys.executable).with_name("offhook"), *path, "--help"],
        capture_output=True,
        text=True,
        env=plain,
        timeout=20,
        check=True,
    )
    options = frozenset(re.findall(r"(?<![\w-])(--?[a-zA-Z][\w-]*)", done.stdout))
    _, _, listed = done.stdout.partition("Commands")
    return frozenset(re.findall(r"^[\W_]*([a-z][a-z-]*)\s{2,}", listed, re.MULTILINE)), options


def test_every_command_shown_exists() -> None:
    wrong = [
        f"{page.relative_to(ROOT)}: {command}: {problem}"
        for page in PAGES
        for command in shown_commands(page.read_text())
        for problem in problems_of(command)
    ]

    assert wrong == []


def test_commands_are_found_in_console_blocks_alone() -> None:
    page = """
```console
$ make setup   # once
set up: .venv/bin/offhook
$ offhook call \\
    --say hello
```
```python
$ make nothing
```
"""
    assert [command.split() for command in shown_commands(page)] == [
        ["make", "setup", "#", "once"],
        ["offhook", "call", "--say", "hello"],
    ]


def test_what_does_not_exist_is_found() -> None:
    assert problems_of("make nothing-of-the-kind") == ["make nothing-of-the-kind: no such target"]
    assert problems_of("PORT=1 frobnicate --hard") == ["frobnicate is not a program that a page may show"]
    assert problems_of("docker compose -f docker/none.yaml up") == [
        "docker: there is no file docker/none.yaml"
    ]
    assert problems_of("cd offhook && make setup; make demo | cat -x # why") == [
        "cat is not a program that a page may show"
    ]


def test_unknown_commands_and_options_of_ours_are_found() -> None:
    assert problems_of("offhook call --say 'hello there'") == []
    assert problems_of(".venv/bin/offhook frobnicate") == ["offhook frobnicate: no such command"]
    assert problems_of("offhook call --frobnicate=1") == ["offhook call: no option --frobnicate"]
