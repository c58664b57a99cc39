"""Does the Twilio account serve, and does its number ring here?"""

from __future__ import annotations

__all__ = ["ACCOUNT", "NUMBER", "judge_number", "judge_standing"]

from offhook.config.errors import CarrierError

from ..twilio.account import Standing
from ..twilio.number_routing import OwnNumber, changes, routing_to, shown, taken_by
from .finding import Finding, failed, ok, warning

ACCOUNT, NUMBER = "twilio account", "twilio number"
_LINK = "Run `offhook twilio link`."
_ADDRESSES = frozenset(("VoiceUrl", "VoiceMethod", "VoiceApplicationSid", "TrunkSid"))
"""Fields that decide who answers; the others are told of calls, or asked when nobody answered."""


def judge_standing(told: Standing | CarrierError) -> Finding:
    """Judge the account's credentials and status."""
    if isinstance(told, CarrierError):
        return failed(ACCOUNT, told.reason, told.fix)
    if told.status != "active":
        fix = "Look at the Twilio console: it says what the account lacks."
        return failed(ACCOUNT, f"The credentials are right, and the account is {told.status}.", fix)
    if told.is_trial:
        fix = "Upgrade it in the Twilio console before callers hear its announcement."
        return warning(ACCOUNT, "It is a trial account, which calls verified numbers alone.", fix)
    return ok(ACCOUNT, "The credentials are right, and the account is active.")


def judge_number(told: OwnNumber | CarrierError, public_url: str) -> Finding:
    """Judge whether calls to the number come to the server at `public_url`."""
    if isinstance(told, CarrierError):
        return failed(NUMBER, told.reason, told.fix)
    if not told.takes_calls:
        return failed(NUMBER, f"{told.number} takes text messages alone.", "Use another number.")
    if owner := taken_by(told.routing):
        return failed(NUMBER, f"{told.number} is answered by {owner}.", _LINK)
    missing = {item.name for item in changes(told.routing, routing_to(public_url, told.routing))}
    if missing & _ADDRESSES:
        where = shown(told.routing.voice_url) or "nobody"
        told_method = f" by {told.routing.voice_method}" if "VoiceMethod" in missing else ""
        return failed(NUMBER, f"{told.number} asks {where}{told_method}, and not this server.", _LINK)
    if missing:
        fields = ", ".join(sorted(missing))
        return warning(NUMBER, f"{told.number} rings here, and {fields} is not set as it should be.", _LINK)
    return ok(NUMBER, f"{told.number} rings here.")
