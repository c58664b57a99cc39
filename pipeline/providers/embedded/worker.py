"""The child process that holds one model: reads jobs from its standard input, writes answers to its output.

    python -m offhook.pipeline.providers.embedded.worker KIND OPTIONS_AS_JSON

It ends when its input is closed, so that it never outlives its parent.
"""

from __future__ import annotations

__all__ = ["Engine", "main", "serve"]

import os
import sys
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Protocol

import msgspec

from .jobs import (
    MAX_FRAME_BYTES,
    Answer,
    Done,
    Failed,
    Finding,
    Order,
    Ready,
    Report,
    Request,
    frame,
    order_decoder,
)

NICENESS = 5
"""The parent moves audio; it goes first when the cores are short."""


class Engine(Protocol):
    """A loaded model."""

    def answer(self, request: Request) -> Iterator[Answer]:
        """Yield the answers to one job."""


def _claim_pipes() -> tuple[BinaryIO, BinaryIO]:
    """Take input and output for frames alone; what libraries print goes to the standard error."""
    source = os.fdopen(os.dup(0), "rb", buffering=1 << 16)
    sink = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    return source, sink


def _orders(source: BinaryIO) -> Iterator[Order]:
    while len(head := source.read(4)) == 4:
        length = int.from_bytes(head, "little")
        if length > MAX_FRAME_BYTES:
            raise ValueError(f"a frame of {length} bytes is over the limit")
        body = source.read(length)
        if len(body) < length:
            return
        yield order_decoder.decode(body)


def _reason(error: BaseException) -> str:
    """Name an error and its place; its message may hold what a caller said, so it stays here."""
    places = traceback.extract_tb(error.__traceback__)
    where = f" in {places[-1].name}, line {places[-1].lineno}" if places else ""
    return f"{type(error).__name__}{where}"


def serve(build: Callable[[], Engine]) -> int:
    """Load a model, say so, and answer jobs until the input is closed; returns the exit status."""
    source, sink = _claim_pipes()

    def report(message: Report) -> None:
        remaining = memoryview(frame(message))
        while remaining:
            remaining = remaining[sink.write(remaining) :]

    try:
        engine = build()
    except Exception as error:  # the parent words it for whoever started the server
        report(Failed(0, f"{type(error).__name__}: {error}"))
        return 1
    try:
        report(Ready())
        for order in _orders(source):
            try:
                for answer in engine.answer(order.request):
                    report(Finding(order.id, answer))
            except Exception as error:
                report(Failed(order.id, _reason(error)))
            else:
                report(Done(order.id))
    except BrokenPipeError:  # the parent is gone
        return 0
    return 0


def _engine(kind: str, options: dict[str, Any]) -> Engine:
    if kind == "whisper":
        from .whisper import Whisper

        return Whisper(**options)
    if kind == "hibari":
        from .hibari_speech import HibariSpeech

        return HibariSpeech(**options)
    raise ValueError(f"no model is called {kind!r}")


def main(arguments: list[str]) -> int:
    """Serve the model named by `arguments` (kind, JSON options)."""
    os.nice(NICENESS)
    kind, options = arguments
    return serve(lambda: _engine(kind, msgspec.json.decode(options, type=dict[str, Any])))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
