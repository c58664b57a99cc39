"""The sockets of a load process: one for each call, and what tells which of them have something to read."""

from __future__ import annotations

__all__ = ["Readable", "Stream", "upgrade_request"]

import os
import select
import selectors
import socket
import time
from base64 import b64encode

from .carrier_frames import split_frames
from .far_end import FarEnd

HANDSHAKE_BYTES = 4096
READ_BYTES = 8192
"""A message of 100 ms takes 1,200; what is left comes with the next look."""
UNSENT_LIMIT_BYTES = 1_048_576


def upgrade_request(port: int) -> bytes:
    """What asks for the media stream of a server on this machine (RFC 6455, section 4.1)."""
    key = b64encode(os.urandom(16)).decode()
    return (
        f"GET /media HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode()


class Stream:
    """A far end and its socket, from the request for an upgrade on (RFC 6455, section 4)."""

    def __init__(self, far_end: FarEnd, port: int) -> None:
        """Connect and ask; neither waits for the server's program. Raises OSError when nobody listens."""
        self.far_end = far_end
        self.connection = socket.create_connection(("127.0.0.1", port))
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.connection.setblocking(False)
        self.upgraded = False
        """The server has answered; the call has begun."""
        self._unsent = b""
        self._rest = b""
        self.send(upgrade_request(port))

    def send(self, data: bytes) -> None:
        """Write as much as goes; the rest waits. Raises OSError when the server is gone or takes nothing."""
        if self._unsent:
            data = self._unsent + data
        try:
            sent = self.connection.send(data)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            self._unsent = b""
            return
        self._unsent = data[sent:]
        if len(self._unsent) > UNSENT_LIMIT_BYTES:
            raise ConnectionAbortedError("the server takes no more")

    def receive(self) -> None:
        """Read what is there and answer it. Raises OSError when the server is gone or will not upgrade."""
        data = self.connection.recv(READ_BYTES)
        now_ns = time.monotonic_ns()
        if not data:
            raise ConnectionResetError("the server closed the connection")
        if self._rest:
            data = self._rest + data
        if not self.upgraded:
            data = self._upgrade(data)
        frames, self._rest = split_frames(data) if self.upgraded else ([], data)
        received = self.far_end.received
        for opcode, payload in frames:
            answer = received(opcode, payload, now_ns)
            if answer:
                self.send(answer)

    def _upgrade(self, data: bytes) -> bytes:
        """Read the answer, and begin the call if it is whole; returns what stands behind it."""
        header, end, rest = data.partition(b"\r\n\r\n")
        if not end and len(data) <= HANDSHAKE_BYTES:
            return data
        if not header.startswith(b"HTTP/1.1 101 "):
            raise ConnectionRefusedError("the server refused the media stream")
        self.upgraded = True
        self.send(self.far_end.opening())
        return rest


class Readable:
    """Which of many streams have something to read: epoll(7) itself, or what the system has instead."""

    def __init__(self) -> None:
        self._streams: dict[int, Stream] = {}
        self._epoll = select.epoll() if hasattr(select, "epoll") else None
        self._selector = None if self._epoll else selectors.DefaultSelector()

    def add(self, stream: Stream) -> None:
        """Look at this one, too."""
        number = stream.connection.fileno()
        self._streams[number] = stream
        if self._epoll is not None:
            self._epoll.register(number, select.EPOLLIN)
        elif self._selector is not None:
            self._selector.register(number, selectors.EVENT_READ)

    def remove(self, stream: Stream) -> None:
        """Look at it no more; its socket is still open."""
        number = stream.connection.fileno()
        del self._streams[number]
        if self._epoll is not None:
            self._epoll.unregister(number)
        elif self._selector is not None:
            self._selector.unregister(number)

    def wait(self, seconds: float) -> list[Stream]:
        """Those that can be read, as soon as there are any; none after so many seconds."""
        if self._epoll is not None:
            return [self._streams[number] for number, _ in self._epoll.poll(seconds)]
        if self._selector is not None:
            return [self._streams[key.fd] for key, _ in self._selector.select(seconds)]
        return []

    def close(self) -> None:
        """Look at nothing any more."""
        for each in (self._epoll, self._selector):
            if each is not None:
                each.close()
