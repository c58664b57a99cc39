"""TwiML documents: what Twilio is to do next with a call.

Source: Twilio documentation of `<Connect>`, `<Stream>`, `<Parameter>`, `<Dial>`, `<Say>`, `<Pause>`,
`<Redirect>` and `<Hangup>`; XML 1.0, section 2.2, of what a document may hold. A stream's address may
hold no query string (it is dropped, or error 31920), and the name and value of a parameter are below 500
characters each.
"""

from __future__ import annotations

__all__ = ["PARAMETER_LIMIT", "ask_again", "connect_stream", "dial", "hangup", "reject", "say_and_hangup"]

import re
from collections.abc import Mapping
from xml.etree.ElementTree import Element, SubElement, tostring

RING_S = 20
"""So long does somebody's telephone ring who is to take a call over."""
PARAMETER_LIMIT = 500
"""A name or value must be shorter, in characters."""
_CONTROL = re.compile(r"[\x00-\x1f]")
_NOT_IN_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def connect_stream(
    url: str,
    *,
    action: str,
    parameters: Mapping[str, str],
    status_callback: str | None = None,
) -> str:
    """Open a two-way media stream to `url`; when it ends, ask `action` what to do next.

    Parameters with an empty value are left out. Raises ValueError for a query string in `url`, and
    for a parameter name or value that is too long or that XML cannot carry.
    """
    if "?" in url or "#" in url:
        raise ValueError("the address of a stream may hold neither query string nor fragment")
    response = Element("Response")
    connect = SubElement(response, "Connect", {"action": action, "method": "POST"})
    attributes = {"url": url}
    if status_callback is not None:
        attributes |= {"statusCallback": status_callback, "statusCallbackMethod": "POST"}
    stream = SubElement(connect, "Stream", attributes)
    for name, value in parameters.items():
        _check_parameter(name, value)
        if value:
            SubElement(stream, "Parameter", {"name": name, "value": value})
    return _document(response)


def say_and_hangup(text: str) -> str:
    """Speak `text` with Twilio's own voice, then hang up."""
    response = Element("Response")
    SubElement(response, "Say").text = text
    SubElement(response, "Hangup")
    return _document(response)


def reject() -> str:
    """Do not answer the call at all; the caller hears that the number is not in service."""
    response = Element("Response")
    SubElement(response, "Reject", {"reason": "rejected"})
    return _document(response)


def hangup() -> str:
    """End the call."""
    response = Element("Response")
    SubElement(response, "Hangup")
    return _document(response)


def ask_again(address: str, after_s: int) -> str:
    """Wait for so many seconds, then ask this address what to do."""
    response = Element("Response")
    SubElement(response, "Pause", {"length": str(after_s)})
    SubElement(response, "Redirect", {"method": "POST"}).text = address
    return _document(response)


def dial(number: str, *, action: str | None = None, first_words: str = "") -> str:
    """Connect the caller with `number` (E.164), who has 20 s to answer; then ask `action` what to do next.

    The `first_words`, if any, are said before in Twilio's own voice.
    """
    response = Element("Response")
    if first_words:
        SubElement(response, "Say").text = first_words
    attributes = {"answerOnBridge": "true", "timeout": str(RING_S)}
    if action is not None:
        attributes |= {"action": action, "method": "POST"}
    SubElement(SubElement(response, "Dial", attributes), "Number").text = number
    return _document(response)


def _check_parameter(name: str, value: str) -> None:
    if not name:
        raise ValueError("a parameter needs a name")
    for part in (name, value):
        if len(part) >= PARAMETER_LIMIT:
            raise ValueError(f"parameter {name[:40]!r} is longer than Twilio takes")
        if _CONTROL.search(part) or _NOT_IN_XML.search(part):
            raise ValueError(f"parameter {name[:40]!r} holds a control character")


def _document(response: Element) -> str:
    """Write it down. What XML cannot hold becomes a space: a caller hears the rest, not an error."""
    body: str = tostring(response, encoding="unicode")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + _NOT_IN_XML.sub(" ", body)
