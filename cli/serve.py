"""`offhook serve`: answer calls until told to stop."""

from __future__ import annotations

__all__ = ["serve"]

import asyncio
from pathlib import Path
from typing import Annotated

import typer


def serve(
    assistant: Annotated[
        Path | None, typer.Option(help="The assistant file of calls that name none (default: the demo).")
    ] = None,
    assistants: Annotated[
        Path | None, typer.Option(help="A folder of assistant files that a call may name.")
    ] = None,
    host: Annotated[str | None, typer.Option(help="Where to listen (HOST; default 127.0.0.1).")] = None,
    port: Annotated[
        int | None,
        typer.Option(help="The one port of webhook and stream (PORT; default 8080)."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes that share the port (OFFHOOK_WORKERS; default 1)."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Serve requests that nobody signed, from anywhere.")
    ] = False,
) -> None:
    """Answer phone calls: Twilio's webhook and media streams on one port.

    Settings come from the environment and from .env; options go first.
    """
    from offhook.bridge.app import run_server
    from offhook.config.errors import OffhookError
    from offhook.config.settings import load_settings, with_options

    from .event_loop import loop_factory
    from .logs import configure_logs

    configure_logs()
    given = {"host": host, "port": port, "workers": workers, "insecure": insecure or None}
    try:
        settings = with_options(load_settings(), given)
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            if settings.workers == 1:
                runner.run(run_server(settings, assistant, assistants))
            else:
                from offhook.bridge.workers.supervisor import supervise

                from .worker import work

                runner.run(supervise(settings, assistant, assistants, work))
    except (OffhookError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
