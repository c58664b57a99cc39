"""A webhook of the carrier's about a call, and its answers: TwiML with this server's addresses."""

from __future__ import annotations

__all__ = ["CALL_SID", "CarrierQuestion", "Form"]

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from aiohttp import web

from .apologies import Apology
from .rules import Rule
from .server_state import STATE, ServerState
from .stream_document import stream_document
from .twilio import twiml

CALL_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TIMES, _STATUS = "times", "status"
ASKED_AGAIN_AFTER_S = 1
_ONE_MOMENT = "One moment, I will put you through."

Form = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CarrierQuestion:
    """What the carrier asked; the other methods write answers."""

    request: web.Request
    form: Form

    @property
    def state(self) -> ServerState:
        """The server that is asked."""
        return self.request.config_dict[STATE]

    @property
    def call_sid(self) -> str:
        """Which call it is about."""
        return self.form["CallSid"]

    @property
    def dialled(self) -> str:
        """How the ringing of somebody else went (`DialCallStatus`); empty where nobody was rung."""
        return (self.form.get("DialCallStatus") or self.request.query.get(_STATUS, ""))[:200]

    @property
    def times_asked(self) -> int:
        """How often the carrier was told to ask this again."""
        given = self.request.query.get(_TIMES, "0")
        return int(given) if given.isdecimal() and len(given) == 1 else 9

    @property
    def variables(self) -> dict[str, str]:
        """The variables of every call, as its stream brings them."""
        return {"from": _parameter(self.form.get("From", "")), "to": _parameter(self.form.get("To", ""))}

    @property
    def session(self) -> str:
        """The conversation in writing that the call goes on with; or empty."""
        named = self.request.query.get("session", "")
        return named if CALL_SID.fullmatch(named) else ""

    def connect(self, assistant: str, *, resumes: bool = False) -> web.Response:
        """Open a stream for the call, also to go on with it where a worker that is gone left it."""
        document = stream_document(
            self.state,
            self.call_sid,
            self._origin,
            self.variables,
            assistant=assistant,
            resumes=resumes,
            session=self.session,
        )
        return _xml(document)

    def dial(self, number: str, tried: int) -> web.Response:
        """Ring the number (E.164), the `tried`th one."""
        return _xml(twiml.dial(number, action=f"{self._page('after')}?dialled={tried}"))

    def apologise(self, rule: Rule, apology: Apology, fallback: str = "") -> web.Response:
        """Say why nobody talks to the caller, and ring `fallback` (E.164), if there is one."""
        self.state.apply(rule, call_sid=self.call_sid)
        if fallback:
            return _xml(
                twiml.dial(fallback, action=self._page("after"), first_words=f"{apology.why} {_ONE_MOMENT}")
            )
        return self.say(apology.whole)

    def say(self, words: str) -> web.Response:
        """Say this, then hang up."""
        return _xml(twiml.say_and_hangup(words))

    def ask_again(self) -> web.Response:
        """Have the carrier ask the same again in a second; what it said of its own is lost by that."""
        query = {**self.request.query, _TIMES: str(self.times_asked + 1)}
        if self.dialled:
            query[_STATUS] = self.dialled
        return _xml(twiml.ask_again(f"{self._page('after')}?{urlencode(query)}", ASKED_AGAIN_AFTER_S))

    def hang_up(self) -> web.Response:
        """End the call."""
        return _xml(twiml.hangup())

    def reject(self) -> web.Response:
        """Do not take the call."""
        return _xml(twiml.reject())

    def _page(self, name: str) -> str:
        """One of this server's webhooks, as the carrier sees it."""
        return f"{self._origin}/voice/{name}"

    @property
    def _origin(self) -> str:
        """This server, as the carrier sees it."""
        return self.state.policy.public_url or f"http://{self.request.host}"


def _xml(document: str) -> web.Response:
    return web.Response(text=document, content_type="text/xml", charset="utf-8")


def _parameter(value: str) -> str:
    """A form's value as a stream's parameter: as long as Twilio takes, and fit for XML."""
    return "".join(character for character in value if character.isprintable())[: twiml.PARAMETER_LIMIT - 1]
