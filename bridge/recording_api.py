"""`/v1/calls/{id}/recording`: the recording of a call that has ended, and orders to that of a live one."""

from __future__ import annotations

__all__ = ["routes"]

import re

import msgspec
from aiohttp import web

from . import http_rules
from .admission import read_order, trust_fault
from .control_api import guarded, live_entry
from .http_rules import refuse
from .recording.call_recording import CallRecording, Ordered
from .recording.recorder import FIND_WITHIN_S
from .recording.shelf import Parts
from .rules import Rule
from .server_state import STATE
from .trust import Audience

PARTS = "Recording-Parts"
"""The header that tells how many recordings of the call there are."""
_PART = re.compile(r"[1-9][0-9]{0,3}")


class RecordingOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is to become of a recording: `pause` for what must not be kept, then `resume`; or `stop`."""

    action: Ordered

    def give(self, recording: CallRecording) -> str:
        """Tell the recording; returns what it does from now on."""
        recording.order(self.action)
        return recording.status


def routes() -> list[web.RouteDef]:
    """For whoever may use the control interface."""
    place = "/v1/calls/{call_sid}/recording"
    return [web.get(place, _get), web.post(place, guarded(_order))]


async def _get(request: web.Request) -> web.StreamResponse:
    """Send the file; all workers have the same folder, so it is no matter which of them held the call."""
    if (untrusted := trust_fault(request, Audience.CONTROL)) is not None:
        return refuse(request, untrusted)
    wanted = request.query.get("part")
    if wanted is not None and not _PART.fullmatch(wanted):
        return refuse(request, http_rules.BAD_REQUEST, "`part` is a number, and the first one is 1")
    recorder = request.config_dict[STATE].recorder
    try:
        parts = Parts(()) if recorder is None else await recorder.finished(request.match_info["call_sid"])
    except TimeoutError:
        return refuse(request, http_rules.RECORDINGS_UNREAD, f"no answer of the disk in {FIND_WITHIN_S:g} s")
    except OSError as error:
        return refuse(request, http_rules.RECORDINGS_UNREAD, f"the disk says: {error.strerror}")
    path = parts.chosen(None if wanted is None else int(wanted))
    if path is None:
        return refuse(request, http_rules.NO_RECORDING)
    headers = {"Content-Type": "audio/wav", "Cache-Control": "no-store", PARTS: str(len(parts.recorded))}
    return web.FileResponse(path, headers=headers)


async def _order(request: web.Request) -> web.StreamResponse:
    """Pause, resume or stop; the answer comes when that is done."""
    order = await read_order(request, RecordingOrder)
    if isinstance(order, web.Response):
        return order
    entry = live_entry(request)
    if isinstance(entry, Rule):
        return refuse(request, entry)
    recorder = request.config_dict[STATE].recorder
    recording = None if recorder is None else recorder.live(entry.call_sid)
    if recording is None:
        return refuse(request, http_rules.NOT_RECORDED)
    return web.json_response({"id": entry.call_sid, "recording": order.give(recording)})
