"""The Line: synchronous writes in Twilio's words, and nothing off stream."""

from __future__ import annotations

import json

from bridge_rig import connected, start, stop

from offhook.bridge.twilio.dialect import Dialect
from offhook.bridge.twilio.line import TwilioLine


class ListSocket:
    """Keeps what is sent."""

    congested = False
    open = True

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def send_text(self, text: bytes) -> None:
        self.sent.append(text)

    def close(self, code: int = 1000, reason: str = "") -> None:
        self.open = False


def line() -> tuple[TwilioLine, ListSocket, Dialect]:
    socket, dialect = ListSocket(), Dialect()
    dialect.receive(connected())
    return TwilioLine(socket, dialect), socket, dialect


def test_audio_mark_and_clear_go_out_in_order_and_at_once() -> None:
    out, socket, dialect = line()
    dialect.receive(start())
    out.send_audio(b"\xff")
    out.send_mark("m")
    out.send_clear()
    assert [json.loads(text)["event"] for text in socket.sent] == ["media", "mark", "clear"]


def test_what_is_sent_off_stream_is_dropped_and_counted() -> None:
    out, socket, dialect = line()
    out.send_audio(b"\xff")
    dialect.receive(start())
    dialect.receive(stop())
    out.send_mark("m")
    out.send_clear()
    assert socket.sent == []
    assert dialect.counters["sent_off_stream"] == 3


def test_nothing_is_sent_to_a_closed_socket() -> None:
    out, socket, dialect = line()
    dialect.receive(start())
    out.close()
    out.send_audio(b"\xff")
    assert (socket.sent, socket.open) == ([], False)


def test_empty_audio_is_no_message() -> None:
    out, socket, dialect = line()
    dialect.receive(start())
    out.send_audio(b"")
    assert socket.sent == []


def test_congestion_is_the_sockets() -> None:
    out, socket, _ = line()
    assert not out.congested
    socket.congested = True
    assert out.congested
