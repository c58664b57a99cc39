"""The TwiML that opens a call's media stream here."""

from __future__ import annotations

__all__ = ["stream_document"]

from collections.abc import Mapping

from .server_state import ServerState
from .stream_gate import ASSISTANT_PARAMETER, RESUMES_PARAMETER, SESSION_PARAMETER, TOKEN_PARAMETER
from .trust import stream_origin
from .twilio import twiml


def stream_document(
    state: ServerState,
    call_sid: str,
    origin: str,
    variables: Mapping[str, str],
    *,
    assistant: str = "",
    resumes: bool = False,
    session: str = "",
) -> str:
    """Open a stream for the call, also to go on with it where a worker that is gone left it.

    `origin` is this server as the carrier sees it: "https://bridge.example.com".
    """
    parameters = {
        TOKEN_PARAMETER: state.tokens.mint(call_sid),
        ASSISTANT_PARAMETER: assistant,
        RESUMES_PARAMETER: "1" if resumes else "",
        SESSION_PARAMETER: session,
        **variables,
    }
    return twiml.connect_stream(
        f"{stream_origin(origin)}/media",
        action=f"{origin}/voice/after",
        parameters=parameters,
        status_callback=f"{origin}/voice/stream-status",
    )
