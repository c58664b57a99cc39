"""The commands: parse arguments, wire the parts, print; nothing else."""

from __future__ import annotations

__all__ = ["app", "main"]

import os

import typer

from . import config
from .bench import bench
from .call import CallCommand, call
from .serve import serve

app = typer.Typer(
    name="offhook",
    help="A self-hosted real-time media bridge for phone calls.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)


@app.callback()
def _offhook() -> None:
    """Keeps the commands named, even while there is only one."""


app.command("bench")(bench)
app.command("call", cls=CallCommand)(call)
app.command("serve")(serve)
app.add_typer(config.app)


def main() -> None:
    """Run the command line."""
    # Matrices here are small: a second thread of the linear-algebra library would only wait for the first.
    for library in ("OPENBLAS", "OMP", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    app()
