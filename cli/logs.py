"""Where logs go: standard error, as lines for people on a terminal and as JSON elsewhere."""

from __future__ import annotations

__all__ = ["configure_logs"]

import logging
import sys


def configure_logs(level: int = logging.INFO) -> None:
    """Send what is logged at `level` and above to standard error; standard output stays the command's own."""
    import structlog

    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    pretty = sys.stderr.isatty()
    last: list[structlog.typing.Processor] = (
        [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        if pretty
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
    )
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        # Each line in one write: several workers share the file, and their lines must not mix.
        logger_factory=lambda *_: structlog.WriteLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
    # Notes of every connection and request would stand beside our own, some with the names of voices.
    for library in ("websockets", "httpx", "httpx2", "openai"):
        logging.getLogger(library).setLevel(logging.WARNING)
    logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
