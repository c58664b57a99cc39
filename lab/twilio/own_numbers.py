"""The telephone numbers of the simulated account; Twilio's API reference, "IncomingPhoneNumber resource"."""

from __future__ import annotations

__all__ = ["OwnNumber"]

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from .world import Routing


@dataclass(slots=True)
class OwnNumber:
    """A number and what Twilio does with calls to it; the fields are those of the REST interface."""

    sid: str
    phone_number: str
    """E.164."""
    voice_url: str = ""
    voice_method: str = "POST"
    voice_fallback_url: str = ""
    voice_fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    voice_application_sid: str = ""
    trunk_sid: str = ""

    def routing(self) -> Routing:
        """Whom a call to it concerns."""
        return Routing(
            self.voice_url,
            self.voice_method,
            self.voice_fallback_url,
            self.voice_fallback_method,
            self.status_callback,
            self.status_callback_method,
        )

    def change(self, form: Mapping[str, str]) -> str:
        """Take the fields of a request such as `VoiceUrl`; returns the name of one that is no address."""
        changes = {_snake(name): (name, value) for name, value in form.items()}
        known = {item.name for item in fields(self)} - {"sid", "phone_number"}
        for field, (name, value) in changes.items():
            if field.endswith(("_url", "_callback")) and value and not re.match("https?://", value):
                return name
        for field, (_, value) in changes.items():
            if field in known:
                setattr(self, field, value)
        return ""

    def to_json(self) -> dict[str, object]:
        """What the REST interface tells of it."""
        return {**asdict(self), "capabilities": {"voice": True, "sms": False}}


def _snake(name: str) -> str:
    """`VoiceFallbackUrl` as `voice_fallback_url`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()
