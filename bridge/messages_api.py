"""`POST /v1/calls/{id}/messages`: what a caller writes, answered by voice, in writing, or both."""

from __future__ import annotations

__all__ = ["routes"]

import asyncio
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec
from aiohttp import web

from offhook.config.errors import ConfigError, Refused
from offhook.pipeline.correspondence import WrittenAnswer, WrittenTurn

from . import http_rules
from .admission import read_order
from .call_orders import Text
from .carrier_question import CALL_SID
from .control_api import call_entry, guarded, live_entry
from .http_rules import refuse
from .registry import CallEntry
from .rules import Rule
from .server_state import STATE, ServerState
from .text_sessions import TextEntry

ANSWER_WITHIN_S = 30.0
"""An answer in writing that takes longer is told by the events alone."""
FORWARDED_WITHIN_S = ANSWER_WITHIN_S + 5.0
_Value = Annotated[str, msgspec.Meta(max_length=2_000)]


class Message(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Text that the caller wrote."""

    text: Text
    answer: Literal["voice", "text", "both"] = "voice"
    """How it is answered; `both`: in writing, and then read out."""
    assistant: str | None = None
    """Of a conversation that begins in writing: who answers; null for the default."""
    variables: Annotated[Mapping[str, _Value], msgspec.Meta(max_length=50)] = {}
    """Of the same: what fills the assistant's texts."""


def routes() -> list[web.RouteDef]:
    """The one route."""
    return [
        web.post("/v1/calls/{call_sid}/messages", guarded(_message, forwarded_within_s=FORWARDED_WITHIN_S))
    ]


async def _message(request: web.Request) -> web.StreamResponse:
    message = await read_order(request, Message)
    if isinstance(message, web.Response):
        return message
    if message.answer != "voice":
        return await _answer_in_writing(request, message)
    entry = live_entry(request)
    if isinstance(entry, Rule):
        return refuse(request, entry)
    entry.tell(lambda call: call.take_text(message.text))
    return web.json_response({"id": entry.call_sid, "status": "accepted"}, status=202)


async def _answer_in_writing(request: web.Request, message: Message) -> web.StreamResponse:
    writer = _writer(request, message)
    if isinstance(writer, web.Response):
        return writer
    told: asyncio.Future[WrittenAnswer] = asyncio.get_running_loop().create_future()

    def answered(answer: WrittenAnswer) -> None:
        if not told.done():
            told.set_result(answer)

    turn = WrittenTurn(message.text, answered, aloud=message.answer == "both")
    if isinstance(writer, TextEntry):
        request.config_dict[STATE].texts.write(writer, turn)
    else:
        writer.tell(lambda call: call.write(turn))
    name = request.match_info["call_sid"]
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            answer = await told
    except TimeoutError:
        return web.json_response({"id": name, "status": "pending"}, status=202)
    if answer.why:
        return refuse(
            request, http_rules.TOO_MANY_TEXTS if answer.why == "busy" else http_rules.ALREADY_ENDED
        )
    status = "answered" if answer.ok else "failed"
    return web.json_response({"id": name, "status": status, "text": answer.text})


def _writer(request: web.Request, message: Message) -> CallEntry | TextEntry | web.Response:
    """Who answers: the live call, the conversation in writing, or a new one; or why nobody does."""
    state = request.config_dict[STATE]
    text = state.texts.get(request.match_info["call_sid"])
    if text is not None and message.answer == "text":
        return text
    if message.answer == "both" or call_entry(request) is not None:
        entry = live_entry(request)
        return refuse(request, entry) if isinstance(entry, Rule) else entry
    return _begun(request, state, message)


def _begun(request: web.Request, state: ServerState, message: Message) -> TextEntry | web.Response:
    name = request.match_info["call_sid"]
    if not CALL_SID.fullmatch(name):
        return refuse(request, http_rules.NOT_FOUND)
    if state.place is not None:
        return refuse(request, http_rules.ONE_WORKER_ONLY)
    if state.draining:
        return refuse(request, http_rules.DRAINING)
    try:
        return state.texts.begin(name, message.assistant, message.variables)
    except Refused as refused:
        unknown = refused.reason == "unknown_assistant"
        return refuse(request, http_rules.UNKNOWN_ASSISTANT if unknown else http_rules.NO_SESSION)
    except ConfigError as error:
        return refuse(request, http_rules.BAD_ASSISTANT, str(error))
