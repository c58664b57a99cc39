"""X-Twilio-Signature, as Twilio makes it.

Written for the caller's side on its own, so that it checks the bridge's and does not share its faults.
Source: Twilio documentation, "Webhooks security".
"""

from __future__ import annotations

__all__ = ["sign"]

import base64
import hashlib
import hmac
from collections.abc import Mapping


def sign(url: str, fields: Mapping[str, str], auth_token: str) -> str:
    """Base64 of HMAC-SHA1 over the URL as requested and the form fields sorted by name."""
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()
