"""`offhook doctor`: is everything in place for calls?"""

from __future__ import annotations

__all__ = ["doctor"]

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from offhook.bridge.doctor.finding import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red", "not checked": "bright_black"}


def doctor(
    assistant: Annotated[
        Path | None, typer.Option(help="The assistant file that calls will get (default: the demo).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check keys, address, certificate, webhooks, number, clock and this machine, and say what to mend.

    Nothing is changed, no call is placed, and no audio or text is sent to a vendor. Run it where the server
    runs, with the same settings, while `offhook serve` is up.

    Exit code 1: a check failed.
    """
    import json

    from offhook.bridge.doctor.examination import examine, read_configuration
    from offhook.bridge.doctor.finding import Outcome
    from offhook.config.settings import load_settings

    settings, loaded, findings = read_configuration(load_settings, assistant)
    if settings is not None:
        try:
            findings += asyncio.run(examine(settings, loaded))
        except KeyboardInterrupt:
            raise typer.Exit(130) from None
    is_well = not any(finding.outcome is Outcome.FAILED for finding in findings)
    if as_json:
        told = [
            {"check": each.check, "outcome": each.outcome.value, "finding": each.told, "fix": each.fix}
            for each in findings
        ]
        typer.echo(json.dumps({"ok": is_well, "findings": told}, indent=2, ensure_ascii=False))
    else:
        _print(findings)
    if not is_well:
        raise typer.Exit(1)


def _print(findings: Sequence[Finding]) -> None:
    from collections import Counter

    outcomes = max(map(len, _COLOURS))
    checks = max(len(finding.check) for finding in findings)
    for each in findings:
        outcome = typer.style(f"{each.outcome.value:<{outcomes}}", fg=_COLOURS[each.outcome.value])
        typer.echo(f"{outcome}  {each.check:<{checks}}  {each.told}")
        if each.fix:
            typer.echo(f"{'':<{outcomes + checks + 4}}{each.fix}")
    counts = Counter(each.outcome.value for each in findings)
    typer.echo("\n" + ", ".join(f"{counts[name]} {name}" for name in _COLOURS if counts[name]))
