"""The carrier's side of a call: a dialect's words on a media socket."""

from __future__ import annotations

__all__ = ["TwilioLine"]

from typing import Protocol

from offhook.pipeline.ports import Line

from ..carrier_dialect import CarrierDialect


class TextSocket(Protocol):
    """The part of a media socket that a line writes to."""

    @property
    def congested(self) -> bool:
        """The carrier reads slower than it is sent to."""

    @property
    def open(self) -> bool:
        """Messages can be sent."""

    def send_text(self, text: bytes) -> None:
        """Send one message; never waits."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the socket."""


class TwilioLine(Line):
    """A Line in Twilio's dialect; what is sent while no stream is on is dropped and counted."""

    def __init__(self, socket: TextSocket, dialect: CarrierDialect) -> None:
        self._socket = socket
        self._dialect = dialect

    @property
    def congested(self) -> bool:
        """The carrier reads slower than it is sent to; audio must wait."""
        return self._socket.congested

    def send_audio(self, audio: bytes) -> None:
        """Send mu-law bytes to be played in order."""
        if audio and self._on():
            self._socket.send_text(self._dialect.audio(audio))

    def send_mark(self, name: str) -> None:
        """Ask for an echo of `name` once all audio sent before it was played."""
        if self._on():
            self._socket.send_text(self._dialect.mark(name))

    def send_clear(self) -> None:
        """Empty Twilio's buffer at once; pending marks come back."""
        if self._on():
            self._socket.send_text(self._dialect.clear())

    def close(self) -> None:
        """End the stream; Twilio goes on behind `<Connect>`."""
        self._socket.close()

    def _on(self) -> bool:
        on = self._dialect.streaming and self._socket.open
        if not on:
            self._dialect.counters["sent_off_stream"] += 1
        return on
