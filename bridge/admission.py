"""Trust, applied to aiohttp's requests."""

from __future__ import annotations

__all__ = ["FORM_WITHIN_S", "read_form", "read_json_body", "read_order", "trust_fault"]

import asyncio
from typing import TypeVar
from urllib.parse import parse_qs

import msgspec
from aiohttp import web

from . import http_rules
from .rules import Rule
from .server_state import STATE
from .trust import Audience, Request, refusal
from .twilio.signature import Fields
from .workers.place import peer_address

T = TypeVar("T")
FORM_WITHIN_S = 5.0
_FIELD_LIMIT = 200


def trust_fault(request: web.Request, audience: Audience, form: Fields | None = None) -> Rule | None:
    """The rule by which a request may not be served; None when it may."""
    version = (request.version.major, request.version.minor)
    incoming = Request(peer_address(request), request.headers, request.raw_path, form or {}, version)
    refused = refusal(incoming, audience, request.config_dict[STATE].policy)
    return None if refused is None else http_rules.TRUST_RULES[refused.reason]


async def read_form(request: web.Request) -> Fields | Rule:
    """Every field of a webhook's form, blank ones too, or the rule by which it cannot be read.

    Raises HTTPRequestEntityTooLarge.
    """
    if request.content_type != "application/x-www-form-urlencoded":
        return http_rules.WRONG_CONTENT_TYPE
    body = await _read_body(request)
    if isinstance(body, Rule):
        return body
    try:
        return parse_qs(
            body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_FIELD_LIMIT
        )
    except ValueError:
        return http_rules.BAD_FORM


async def read_json_body(request: web.Request) -> bytes | Rule:
    """The body of a request that says it is JSON, or the rule by which it cannot be read.

    A form of a web page can say no such thing. Raises HTTPRequestEntityTooLarge.
    """
    if request.content_type != "application/json":
        return http_rules.NO_JSON
    return await _read_body(request)


async def read_order(request: web.Request, kind: type[T]) -> T | web.Response:
    """The order that a JSON body holds, or the answer that says what is wrong with it."""
    body = await read_json_body(request)
    if isinstance(body, Rule):
        return http_rules.refuse(request, body)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        return http_rules.refuse(request, http_rules.BAD_ORDER, str(error))


async def _read_body(request: web.Request) -> bytes | Rule:
    try:
        async with asyncio.timeout(FORM_WITHIN_S):
            return await request.read()
    except TimeoutError:
        return http_rules.SLOW_BODY
    except web.RequestPayloadError:
        # It was cut off, or is not encoded as it says.
        return http_rules.BAD_REQUEST
