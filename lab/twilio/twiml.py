"""TwiML as Twilio reads it: a document in, verbs out, or the error Twilio would log.

Source: Twilio's TwiML reference for each verb, and its error dictionary.
"""

from __future__ import annotations

__all__ = ["parse_twiml", "stream_url"]

import ipaddress
import re
import xml.etree.ElementTree as ET
from urllib.parse import urljoin, urlsplit

from .errors import twilio_error
from .verbs import ConnectStream, Dial, Hangup, Pause, Play, Record, Redirect, Reject, SayText, Verb

_MAX_BYTES = 64 * 1024
_MAX_PARAMETER = 500
_LONGEST_WAIT_S = 600.0


def parse_twiml(document: bytes, base_url: str) -> tuple[Verb, ...]:
    """Read a TwiML document that was fetched from `base_url`.

    Raises ProtocolError with Twilio's error number for what Twilio would refuse.
    """
    if len(document) > _MAX_BYTES:
        raise twilio_error(11750, "the TwiML document is larger than 64 KiB")
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document:
        raise twilio_error(12100, "a TwiML document has no DOCTYPE")
    try:
        root = ET.fromstring(document)  # noqa: S314  a DOCTYPE, and so any entity, is refused above
    except ET.ParseError as error:
        raise twilio_error(12100, f"the answer is not XML ({error})") from error
    if root.tag != "Response":
        raise twilio_error(12200, f"the root of a TwiML document is <Response>, not <{root.tag}>")
    return tuple(_read_verb(element, base_url) for element in root)


def stream_url(url: str) -> str:
    """Check a stream's URL as Twilio does, with ws:// allowed on loopback only. Raises ProtocolError."""
    parts = urlsplit(url)
    if not parts.hostname:
        raise twilio_error(31923, f"the stream URL {url!r} has no host")
    if parts.scheme != "wss" and not (parts.scheme == "ws" and _is_loopback(parts.hostname)):
        raise twilio_error(31922, f"the stream URL {url!r} must begin with wss://")
    if parts.query or parts.fragment or url.endswith("?"):
        raise twilio_error(
            31920, f"the stream URL {url!r} has a query string, which Twilio drops; use <Parameter>"
        )
    return url


def _read_verb(element: ET.Element, base_url: str) -> Verb:
    read = _VERBS.get(element.tag)
    if read is None:
        raise twilio_error(12200, f"<{element.tag}> is not a verb this caller can follow")
    return read(element, base_url)


def _read_connect(element: ET.Element, base_url: str) -> Verb:
    _allow(element, "action", "method")
    streams = element.findall("Stream")
    if len(streams) != 1 or len(element) != 1:
        raise twilio_error(12200, "<Connect> must hold exactly one <Stream>")
    stream = streams[0]
    _allow(stream, "url", "name", "track", "statusCallback", "statusCallbackMethod", "connectorName")
    track = stream.get("track", "inbound_track")
    if track != "inbound_track":
        raise twilio_error(31941, f"<Connect><Stream> takes track inbound_track only, not {track!r}")
    callback = stream.get("statusCallback")
    if callback is not None and not urlsplit(callback).netloc:
        raise twilio_error(12200, f"statusCallback {callback!r} must be an absolute URL")
    websocket_base = base_url.replace("http", "ws", 1)
    return ConnectStream(
        url=stream_url(urljoin(websocket_base, _required(stream, "url"))),
        parameters=_parameters(stream),
        action=_action(element, base_url),
        method=_method(element),
        name=stream.get("name", ""),
        status_callback=callback,
        status_callback_method=_method(stream, "statusCallbackMethod"),
    )


def _parameters(stream: ET.Element) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for element in stream:
        if element.tag != "Parameter":
            raise twilio_error(12200, f"<Stream> may hold <Parameter> only, not <{element.tag}>")
        _allow(element, "name", "value")
        name, value = _required(element, "name"), element.get("value", "")
        if len(name) + len(value) >= _MAX_PARAMETER:
            raise twilio_error(12200, f"parameter {name[:40]!r} is 500 characters or longer")
        parameters[name] = value
    return parameters


def _read_say(element: ET.Element, _: str) -> Verb:
    return SayText(" ".join("".join(element.itertext()).split()))


def _read_pause(element: ET.Element, _: str) -> Verb:
    return Pause(_seconds(element, "length", "1"))


def _read_redirect(element: ET.Element, base_url: str) -> Verb:
    target = (element.text or "").strip()
    if not target:
        raise twilio_error(12200, "<Redirect> has no URL")
    return Redirect(urljoin(base_url, target), _method(element))


def _read_dial(element: ET.Element, base_url: str) -> Verb:
    _allow(element, "action", "method", "timeout", "answerOnBridge", "callerId", "timeLimit", "hangupOnStar")
    if any(child.tag != "Number" for child in element):
        raise twilio_error(12200, "<Dial> may hold <Number> here, and nothing else")
    for child in element:
        _allow(child)
    texts = [child.text or "" for child in element] or [element.text or ""]
    numbers = tuple(text.strip() for text in texts)
    if not all(numbers):
        raise twilio_error(13201, "<Dial> has no number")
    return Dial(
        numbers,
        timeout_s=_seconds(element, "timeout", "30"),
        time_limit_s=_seconds(element, "timeLimit", "14400", most=86_400),
        answer_on_bridge=_flag(element, "answerOnBridge", "false"),
        action=_action(element, base_url),
        method=_method(element),
    )


def _read_play(element: ET.Element, base_url: str) -> Verb:
    _allow(element, "digits", "loop")
    url, digits = (element.text or "").strip(), element.get("digits", "")
    if bool(url) == bool(digits):
        raise twilio_error(12200, "<Play> has either an address or digits")
    if not re.fullmatch("[0-9*#A-Dw]*", digits):
        raise twilio_error(12200, f"<Play digits={digits[:40]!r}> are not all keys or w")
    loops = int(_seconds(element, "loop", "1"))
    if not loops:
        raise twilio_error(12200, "<Play loop='0'> would never end; this caller hears no endless sound")
    return Play(urljoin(base_url, url) if url else "", digits, loops)


def _read_record(element: ET.Element, base_url: str) -> Verb:
    _allow(element, "action", "method", "maxLength", "timeout", "playBeep", "finishOnKey", "trim")
    return Record(
        _action(element, base_url) or base_url,
        _method(element),
        _seconds(element, "maxLength", "3600", most=14_400),
        _seconds(element, "timeout", "5"),
        _flag(element, "playBeep", "true"),
    )


def _read_hangup(_: ET.Element, __: str) -> Verb:
    return Hangup()


def _read_reject(element: ET.Element, _: str) -> Verb:
    _allow(element, "reason")
    reason = element.get("reason", "rejected")
    if reason not in ("rejected", "busy"):
        raise twilio_error(12200, f"<Reject reason={reason!r}> must be rejected or busy")
    return Reject(reason)


_VERBS = {
    "Connect": _read_connect,
    "Dial": _read_dial,
    "Hangup": _read_hangup,
    "Pause": _read_pause,
    "Play": _read_play,
    "Record": _read_record,
    "Redirect": _read_redirect,
    "Reject": _read_reject,
    "Say": _read_say,
}


def _required(element: ET.Element, name: str) -> str:
    value = element.get(name, "").strip()
    if not value:
        raise twilio_error(12200, f"<{element.tag}> needs the attribute {name!r}")
    return value


def _allow(element: ET.Element, *names: str) -> None:
    unknown = set(element.keys()) - set(names)
    if unknown:
        raise twilio_error(12200, f"<{element.tag}> has no attribute {', '.join(sorted(unknown))}")


def _action(element: ET.Element, base_url: str) -> str | None:
    action = element.get("action")
    return urljoin(base_url, action) if action else None


def _flag(element: ET.Element, name: str, default: str) -> bool:
    value = element.get(name, default)
    if value not in ("true", "false"):
        raise twilio_error(12200, f"<{element.tag} {name}={value[:40]!r}> must be true or false")
    return value == "true"


def _seconds(element: ET.Element, name: str, default: str, most: float = _LONGEST_WAIT_S) -> float:
    try:
        seconds = float(element.get(name, default))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= most:
        raise twilio_error(12200, f"<{element.tag} {name}={element.get(name)!r}> is not a number of seconds")
    return seconds


def _method(element: ET.Element, name: str = "method") -> str:
    method = element.get(name, "POST").upper()
    if method not in ("GET", "POST"):
        raise twilio_error(12200, f"<{element.tag} {name}={method!r}> must be GET or POST")
    return method


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
