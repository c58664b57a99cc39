"""`offhook webhooks`: what is posted of calls."""

from __future__ import annotations

__all__ = ["app"]

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offhook.bridge.events_out.replay import Replayed
    from offhook.config.server import Server

app = typer.Typer(name="webhooks", help="What is posted of calls.", no_args_is_help=True)


@app.callback()
def _webhooks() -> None:
    """What is posted of calls."""


@app.command()
def schema() -> None:
    """Print the JSON Schema of everything that is posted, but for calls of tools."""
    from offhook.bridge.events_out.messages import message_schema

    typer.echo(json.dumps(message_schema(), indent=2))


@app.command()
def replay(
    file: Annotated[
        Path | None, typer.Argument(help="The file of messages (default: the one in OFFHOOK_DATA_FOLDER).")
    ] = None,
    assistant: Annotated[
        list[Path] | None, typer.Option(help="An assistant file whose `server` is posted to, too.")
    ] = None,
) -> None:
    """Post the messages again that no receiver took; what is not taken now stays in the file."""
    from offhook.bridge.events_out.telling import DEAD_LETTERS
    from offhook.config.assistant_loading import load_assistant
    from offhook.config.errors import ConfigError
    from offhook.config.server import Server
    from offhook.config.settings import load_settings

    servers: dict[str, Server] = {}
    try:
        settings = load_settings()
        if settings.webhook_url is not None:
            servers[settings.webhook_url] = Server(url=settings.webhook_url, secret=settings.webhook_secret)
        for path in assistant or ():
            if (server := load_assistant(path).server) is not None:
                servers[server.url] = server
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if file is None and settings.data_folder is None:
        typer.echo("Name the file, or set OFFHOOK_DATA_FOLDER.", err=True)
        raise typer.Exit(2)
    chosen = file or Path(settings.data_folder or "") / DEAD_LETTERS
    try:
        result = asyncio.run(_replayed(chosen, servers))
    except FileNotFoundError:
        typer.echo(f"{chosen} is not there: nothing waits.")
        return
    except OSError as error:
        typer.echo(f"{chosen}: {error.strerror}", err=True)
        raise typer.Exit(2) from error
    typer.echo(f"{result.delivered} delivered.")
    for sentence in (*result.kept, *(f"line {number} is no message" for number in result.broken_lines)):
        typer.echo(sentence, err=True)
    if result.kept:
        raise typer.Exit(1)


async def _replayed(file: Path, servers: dict[str, Server]) -> Replayed:
    from offhook.bridge.events_out.replay import replay as replay_file
    from offhook.pipeline.providers.web.web_client import WebClient

    client = WebClient()
    try:
        return await replay_file(file, servers, client.exchange)
    finally:
        await client.close()
