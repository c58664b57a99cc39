"""A server of the operator's own, which is told of calls and asked by tools."""

from __future__ import annotations

__all__ = ["Server", "SigningSecret", "signing_key"]

import base64
import binascii
from typing import Annotated

from pydantic import AfterValidator, SecretStr, field_validator
from yarl import URL

from .section import Section
from .urls import checked_url

_STANDARD_PREFIX = "whsec_"
"""Of Standard Webhooks, behind which a secret is base64."""


_THIS_MACHINE = frozenset({"localhost", "127.0.0.1", "::1"})


def _can_sign(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("must be plain letters, digits and signs, for it is sent as a header")
    signing_key(text)
    return secret


SigningSecret = Annotated[SecretStr, AfterValidator(_can_sign)]
"""Shared with the receiver of what is posted."""


class Server(Section):
    """A server that is posted to; `${NAME}` stands for a variable of the environment."""

    url: str
    """An http or https address."""
    secret: SigningSecret | None = None
    """Shared with the receiver, to sign what is posted; behind `whsec_` it is read as base64."""

    send_secret: bool | None = None
    """Send the secret itself too, as `x-vapi-secret`; unset: only over https, or on this machine."""

    @property
    def sends_secret(self) -> bool:
        """Whether the secret itself goes with what is posted."""
        if self.send_secret is not None:
            return self.send_secret
        url = URL(self.url)
        return url.scheme == "https" or url.host in _THIS_MACHINE

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        return checked_url(url)


def signing_key(secret: str) -> bytes:
    """Give the key that a secret stands for (Standard Webhooks).

    Raises ValueError for base64 behind `whsec_` that is none.
    """
    if not secret.startswith(_STANDARD_PREFIX):
        return secret.encode()
    try:
        key = base64.b64decode(secret.removeprefix(_STANDARD_PREFIX), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise ValueError("must be base64 behind `whsec_`")
    return key
