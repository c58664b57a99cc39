"""What the bridge answers to HTTP requests that it does not serve."""

from __future__ import annotations

__all__ = ["RULES", "TRUST_RULES", "error_answers", "refuse"]

from collections.abc import Mapping

import structlog
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from offhook.pipeline.log_fields import failure_fields

from .rules import Outcome, Rule
from .server_state import STATE

_log = structlog.get_logger("offhook.bridge")


def _refused(name: str, status: int, when: str) -> Rule:
    return Rule(name, Outcome.REFUSED, when, status)


SIGNATURE_MISSING = _refused("signature_missing", 403, "no `X-Twilio-Signature`, where one is required")
SIGNATURE_WRONG = _refused("signature_wrong", 403, "a signature that does not fit address and form")
SIGNATURE_KEY_UNKNOWN = _refused("signature_key_unknown", 403, "signed with a shared key we do not have")
SIGNATURE_BODY_WRONG = _refused("signature_body_wrong", 403, "a body that is not the one signed")
UNSIGNED_PUBLIC = _refused(
    "unsigned_public", 403, "`PUBLIC_URL` is set, but no `TWILIO_AUTH_TOKEN` to check signatures with"
)
CONTROL_KEY_REQUIRED = _refused(
    "control_key_required",
    403,
    "`/v1/calls` or `/metrics` without the control key, where `TWILIO_AUTH_TOKEN` is set",
)
REMOTE_ADDRESS = _refused("remote_address", 403, "unsigned, from another machine")
PROXIED = _refused("proxied", 403, "unsigned, through a proxy or tunnel on this machine")
FOREIGN_HOST = _refused("foreign_host", 403, "unsigned, and `Host` does not name this machine")
FOREIGN_ORIGIN = _refused("foreign_origin", 403, "sent by a web page of another site")

NOT_FOUND = _refused("not_found", 404, "no such page, or no such call")
NO_TOOL_WAITS = _refused(
    "no_tool_waits", 404, "a tool's result at an address that no tool waits at, or not any more"
)
NO_RESULT = _refused("no_result", 400, "a tool's result that is not in one of the forms of docs/tools.md")
WRONG_METHOD = _refused("wrong_method", 405, "a webhook must be POSTed; `/media` is a GET")
SLOW_BODY = _refused("slow_body", 408, "the body took more than 5 s")
ALREADY_ENDED = _refused("already_ended", 409, "an order to a call that has ended")
NOT_RECORDED = _refused(
    "not_recorded", 409, "an order to the recording of a call that is not recorded, or no more"
)
NO_RECORDING = _refused(
    "no_recording", 404, "the recording of a call that has none, or none that is finished"
)
RECORDINGS_UNREAD = _refused(
    "recordings_unread", 503, "a recording, while its disk fails, or does not answer within 5 s"
)
BODY_TOO_LARGE = _refused("body_too_large", 413, "a body of more than 64 KiB")
WRONG_CONTENT_TYPE = _refused(
    "wrong_content_type", 415, "a webhook that is not `application/x-www-form-urlencoded`"
)
BAD_FORM = _refused("bad_form", 400, "a form that cannot be read, or without a `CallSid`")
BAD_REQUEST = _refused("bad_request", 400, "any other request that cannot be served")
BAD_UPGRADE = _refused("bad_upgrade", 426, "`/media` without a right WebSocket handshake (400, 426 or 505)")
WORKER_SECRET_REQUIRED = _refused(
    "worker_secret_required", 403, "on a worker's own socket, without the workers' secret"
)
OWNER_GONE = _refused("owner_gone", 404, "the worker that held the call is gone")
OWNER_SILENT = _refused("owner_silent", 503, "the worker that holds the call did not answer within 2 s")
OWNER_UNKNOWN = _refused("owner_unknown", 503, "the workers' store did not say who holds the call")
BAD_ORDER = _refused(
    "bad_order", 400, "a body that is not the JSON described for `messages`, `say`, `transfer` or `recording`"
)
NO_JSON = _refused("no_json", 415, "an order to a call that is not `application/json`")
BAD_ASSISTANT = _refused("bad_assistant", 400, "a posted assistant that cannot be used")
UNKNOWN_ASSISTANT = _refused(
    "unknown_assistant", 404, "a name that is no assistant's, in `/ws/` or with a text"
)
ONE_WORKER_ONLY = _refused(
    "one_worker_only",
    501,
    "`POST /assistant`, or a text that begins a conversation, to one of several workers: only it would know",
)
NO_LINE = _refused(
    "no_line", 409, "an order to speak, transfer or record, in a conversation that is held in writing"
)
NO_SESSION = _refused(
    "no_session", 503, "a text that would begin a conversation: 1,000 go on, or no engine is ready"
)
TOO_MANY_TEXTS = _refused("too_many_texts", 429, "a text while 16 of the same call wait for their answers")
TOO_MANY_LISTENERS = _refused("too_many_listeners", 429, "more than 16 listeners to one call")
INTERNAL_ERROR = _refused("internal_error", 500, "a fault of ours; the log names its place")
TOO_MANY_SOCKETS = _refused("too_many_sockets", 503, "more streams than twice the calls allowed, and 20")
DRAINING = _refused(
    "draining", 503, "a new stream, or a text that would begin a conversation, while the server shuts down"
)

SPOKEN_NOT_READY = Rule(
    "spoken_not_ready", Outcome.REFUSED, "a call before the models are loaded: a spoken apology", 200
)
SPOKEN_AT_CAPACITY = Rule(
    "spoken_at_capacity", Outcome.REFUSED, "a call above `OFFHOOK_MAX_CALLS`: a spoken apology", 200
)
SPOKEN_OVERLOADED = Rule(
    "spoken_overloaded",
    Outcome.REFUSED,
    "a call while the event loop is more than 100 ms late (p99): a spoken apology",
    200,
)
SPOKEN_BAD_ASSISTANT = Rule(
    "spoken_bad_assistant", Outcome.REFUSED, "`?assistant=` is no name of one: a spoken apology", 200
)
SPOKEN_FAILED = Rule(
    "spoken_failed",
    Outcome.REFUSED,
    "a call whose assistant could not be used, or failed: a spoken apology",
    200,
)
WORKER_LEFT_OUT = Rule(
    "worker_left_out", Outcome.NOTED, "a list or figures of all workers, of which one did not answer in 1 s"
)
CALLER_BLOCKED = Rule(
    "caller_blocked", Outcome.REFUSED, "a caller whose number is blocked, or not among those allowed", 200
)
CALLER_TOO_OFTEN = Rule(
    "caller_too_often", Outcome.REFUSED, "a call above `OFFHOOK_CALLS_PER_CALLER`: a spoken apology", 200
)
DAY_BUDGET_SPENT = Rule(
    "day_budget_spent", Outcome.REFUSED, "a call above `OFFHOOK_CALLS_PER_DAY`: a spoken apology", 200
)
NOT_CHOSEN = Rule(
    "assistant_not_chosen",
    Outcome.NOTED,
    "`WEBHOOK_URL` was asked for an assistant, and gave no answer of use within 5 s; the usual one answers",
    200,
)
NOT_TAKEN_OVER = Rule(
    "not_taken_over", Outcome.NOTED, "nobody took a call that was handed over; the next number rings", 200
)
RESUMED = Rule(
    "resumed",
    Outcome.NOTED,
    "a call whose worker is gone; another one goes on with it, up to three times a minute",
    200,
)
NOT_RESUMED = Rule(
    "not_resumed",
    Outcome.NOTED,
    "the same for the fourth time, or at a shutdown: `fallback_number`, or an apology",
    200,
)
NOT_TAKEN_UP = Rule(
    "not_taken_up",
    Outcome.NOTED,
    "a call whose worker is gone and that came without our webhook could not be taken up over REST",
)
ASKED_AGAIN = Rule(
    "asked_again",
    Outcome.NOTED,
    "what follows a call while the workers' store fails: the carrier asks again, five times within 5 s",
    200,
)
STREAM_ERROR = Rule("stream_error", Outcome.NOTED, "Twilio reports a `stream-error`", 204)

TRUST_RULES: Mapping[str, Rule] = {
    rule.name: rule
    for rule in (
        *(SIGNATURE_MISSING, SIGNATURE_WRONG, SIGNATURE_KEY_UNKNOWN, SIGNATURE_BODY_WRONG),
        *(UNSIGNED_PUBLIC, CONTROL_KEY_REQUIRED, REMOTE_ADDRESS, PROXIED, FOREIGN_HOST, FOREIGN_ORIGIN),
    )
}
"""By the reason of a refusal."""

RULES = (
    *TRUST_RULES.values(),
    *(BAD_FORM, BAD_REQUEST, BAD_ORDER, NO_RESULT, BAD_ASSISTANT, UNKNOWN_ASSISTANT, ONE_WORKER_ONLY),
    *(NOT_FOUND, NO_RECORDING, NO_TOOL_WAITS, WRONG_METHOD, SLOW_BODY, ALREADY_ENDED, NOT_RECORDED, NO_LINE),
    *(
        BODY_TOO_LARGE,
        WRONG_CONTENT_TYPE,
        NO_JSON,
        BAD_UPGRADE,
        TOO_MANY_LISTENERS,
        TOO_MANY_TEXTS,
        INTERNAL_ERROR,
        TOO_MANY_SOCKETS,
        NO_SESSION,
        DRAINING,
        RECORDINGS_UNREAD,
    ),
    *(WORKER_SECRET_REQUIRED, OWNER_GONE, OWNER_SILENT, OWNER_UNKNOWN, WORKER_LEFT_OUT),
    *(SPOKEN_NOT_READY, SPOKEN_AT_CAPACITY, SPOKEN_OVERLOADED, SPOKEN_BAD_ASSISTANT, SPOKEN_FAILED),
    *(CALLER_BLOCKED, CALLER_TOO_OFTEN, DAY_BUDGET_SPENT, NOT_CHOSEN, NOT_TAKEN_OVER, RESUMED, NOT_RESUMED),
    NOT_TAKEN_UP,
    ASKED_AGAIN,
    STREAM_ERROR,
)
"""Every answer that is not the one hoped for, in the order of docs/protocol.md."""

_BY_STATUS = {404: NOT_FOUND, 405: WRONG_METHOD, 413: BODY_TOO_LARGE}


def refuse(request: web.Request, rule: Rule, why: str = "") -> web.Response:
    """Count and log the rule, and answer in one plain sentence: its own, or `why` where more is known."""
    request.config_dict[STATE].apply(rule, path=request.path)
    return web.Response(status=rule.code or 400, text=f"{rule.name}: {why or rule.when}\n")


def error_answers() -> Middleware:
    """A middleware by which no traceback and no page of aiohttp's ever goes out."""

    @web.middleware
    async def answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            answer = refuse(request, _BY_STATUS.get(error.status, BAD_REQUEST))
            answer.headers.update({name: error.headers[name] for name in ("Allow",) if name in error.headers})
            return answer
        except (ConnectionError, TimeoutError):
            raise
        except Exception as error:
            state = request.config_dict[STATE]
            fields = failure_fields(error, log_words=state.settings.log_words)
            _log.error("request.failed", path=request.path, **fields)
            return refuse(request, INTERNAL_ERROR)

    return answer_errors
