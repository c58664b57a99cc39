"""What goes over an emulated ElevenLabs' wires: checked queries, messages, errors."""

from __future__ import annotations

__all__ = [
    "VENDOR",
    "SocketOptions",
    "VendorRefusal",
    "abort",
    "alignment_in_seconds",
    "audio_message",
    "checked_query",
    "error_of",
    "final_message",
]

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from .connections import reset
from .elevenlabs_speech import SpeechChunk

VENDOR = "elevenlabs"
OUTPUT_FORMAT = "ulaw_8000"
DEFAULT_INACTIVITY_S, LONGEST_INACTIVITY_S = 20, 180
_BOOLEANS = {"true": True, "false": False}
_SENTENCES = {
    "max_active_conversations": "Too many contexts are open on this connection; close one first.",
    "invalid_api_key": "The API key is not valid.",
    "invalid_input_message": "The message is no JSON object of this protocol.",
    "too_many_concurrent_requests": "Too many requests at a time.",
    "internal_server_error": "Something went wrong.",
}


class VendorRefusal(Exception):
    """The vendor closes the socket; its last word is the error `code`, if that is not empty."""

    def __init__(self, code: str, close_code: int = 1008) -> None:
        self.code, self.close_code = code, close_code
        super().__init__(code)


@dataclass(frozen=True, slots=True)
class SocketOptions:
    """What a socket's query asks for."""

    auto_mode: bool
    """Every text is spoken as it comes, `flush` or not."""
    sync_alignment: bool
    inactivity_s: float


def checked_query(query: Mapping[str, str]) -> SocketOptions:
    """Read a query. Raises VendorRefusal for a value that the vendor, or this emulator, does not know."""
    # ElevenLabs documentation: multi-context is not available for eleven_v3.
    if not (model := query.get("model_id", "eleven")).startswith("eleven") or "_v3" in model:
        raise VendorRefusal("unsupported_model")
    if query.get("output_format") != OUTPUT_FORMAT:
        raise VendorRefusal("invalid_output_format")
    inactivity = query.get("inactivity_timeout", str(DEFAULT_INACTIVITY_S))
    if not inactivity.isdigit() or not 1 <= int(inactivity) <= LONGEST_INACTIVITY_S:
        raise VendorRefusal("invalid_inactivity_timeout")
    if query.get("optimize_streaming_latency", "0") not in ("0", "1", "2", "3", "4"):
        raise VendorRefusal("invalid_optimize_streaming_latency")
    try:
        auto, aligned = (_BOOLEANS[query.get(name, "false")] for name in ("auto_mode", "sync_alignment"))
    except KeyError:
        raise VendorRefusal("invalid_query") from None
    return SocketOptions(auto, aligned, float(inactivity))


def error_of(code: str, close_code: int) -> dict[str, Any]:
    """Make the vendor's own error message."""
    return {"message": _SENTENCES.get(code, "The request is not valid."), "error": code, "code": close_code}


def audio_message(chunk: SpeechChunk, context_id: str, *, aligned: bool) -> dict[str, Any]:
    """Make the message that carries a chunk; times are milliseconds from the chunk's start."""
    alignment = {
        "chars": [each.character for each in chunk.characters],
        "charStartTimesMs": [round(each.start_s * 1000) for each in chunk.characters],
        "charDurationsMs": [
            round(each.end_s * 1000) - round(each.start_s * 1000) for each in chunk.characters
        ],
    }
    return {
        "audio": base64.b64encode(chunk.audio).decode(),
        "alignment": alignment if aligned else None,
        "normalizedAlignment": alignment if aligned else None,
        "contextId": context_id,
    }


def final_message(context_id: str) -> dict[str, Any]:
    """Make the message that ends a context."""
    return {"isFinal": True, "contextId": context_id}


def alignment_in_seconds(chunk: SpeechChunk, begins_s: float) -> list[tuple[str, float, float]]:
    """Give a chunk's characters with start and end, in seconds from the text's start."""
    return [
        (each.character, round(begins_s + each.start_s, 3), round(begins_s + each.end_s, 3))
        for each in chunk.characters
    ]


def abort(request: web.Request) -> None:
    """Cut the connection without a word."""
    if request.transport is not None:
        reset(request.transport)
