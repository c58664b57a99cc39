"""The commands: parse arguments, wire the parts, print; nothing else."""

from __future__ import annotations

__all__ = ["app", "main"]

import os
from importlib.metadata import version
from typing import Annotated

import typer

from . import config, lab, recordings, twilio, webhooks
from .bench import bench
from .call import CallCommand, call
from .doctor import doctor
from .serve import serve

app = typer.Typer(
    name="offhook",
    help="A self-hosted real-time media bridge for phone calls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"offhook {version('offhook')}")
        raise typer.Exit


@app.callback()
def _offhook(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A self-hosted real-time media bridge for phone calls."""


app.command("bench")(bench)
app.command("call", cls=CallCommand)(call)
app.command("doctor")(doctor)
app.command("serve")(serve)
app.add_typer(config.app)
app.add_typer(lab.app)
app.add_typer(twilio.app)
app.add_typer(recordings.app)
app.add_typer(webhooks.app)


def main() -> None:
    """Run the command line."""
    # Matrices here are small: a second thread of the linear-algebra library would only wait for the first.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    app()
