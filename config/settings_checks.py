"""Settings that are right one by one and do not go together."""

from __future__ import annotations

__all__ = ["contradictions", "notices"]

from .errors import ConfigProblem
from .settings import Settings


def contradictions(settings: Settings) -> list[ConfigProblem]:
    """List what no server can be started with."""
    problems = []
    if settings.ask_for_assistant and settings.webhook_url is None:
        problems.append(
            ConfigProblem(
                "environment",
                "WEBHOOK_URL",
                "is not set, but with OFFHOOK_ASK_FOR_ASSISTANT that server is asked at every call.",
                "Write its address, like https://example.com/events.",
            )
        )
    if settings.twilio_auth_token is None or settings.public_url is not None or settings.insecure:
        return problems
    return [
        *problems,
        ConfigProblem(
            "environment",
            "PUBLIC_URL",
            "is not set, but with TWILIO_AUTH_TOKEN every request's signature is checked against it.",
            "Write the address that Twilio reaches this server by, like https://bridge.example.com.",
        ),
    ]


def notices(settings: Settings) -> list[str]:
    """Say what a server would do with these settings that nobody may have meant."""
    told = []
    if settings.insecure:
        told.append("OFFHOOK_INSECURE is set: requests that nobody signed are served, from anywhere.")
    elif settings.public_url is not None and settings.twilio_auth_token is None:
        told.append(
            "PUBLIC_URL is set without TWILIO_AUTH_TOKEN: "
            "no signature can be checked, so every call is refused."
        )
    return told
