"""Results of tools that their server gives later, at an address that it was told with the request.

Whoever knows the address may answer: its token is random and signed, so that a guess costs no process
that shares the key more than a look, and it is good for one result within the tool's deadline.
"""

from __future__ import annotations

__all__ = ["ExpectedResult", "LateResults"]

import asyncio
import hmac
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from offhook.config.errors import ToolError

from ...tool_run import ToolOutcome, ToolRun
from .server_messages import read_answer

PATH = "/v1/tool-results"
_NONCE_BYTES, _MAC_BYTES = 15, 18
"""33 bytes are 44 letters of base64, and no `=`."""


class ExpectedResult:
    """What one execution waits for."""

    def __init__(self, run: ToolRun, url: str) -> None:
        self._key = run.key
        self.url = url
        """Where the result may be posted; empty where this server has no address."""
        self._given: asyncio.Future[ToolOutcome] = asyncio.get_running_loop().create_future()

    @property
    def given(self) -> bool:
        """It is there."""
        return self._given.done()

    def take(self, body: bytes) -> bool:
        """Take what the server posts; False if no result is in it."""
        try:
            outcome = read_answer(body, self._key)
        except ToolError as error:
            self._given.set_exception(error)
            # Nobody need ask for it: the tool's time may be over.
            self._given.exception()
            return True
        if outcome is not None:
            self._given.set_result(outcome)
        return outcome is not None

    async def within(self, seconds: float) -> ToolOutcome | None:
        """Wait for it; None if it does not come in time. Raises ToolError for a failure that is told."""
        await asyncio.wait((self._given,), timeout=max(0.0, seconds))
        return self._given.result() if self._given.done() else None


class LateResults:
    """The results that executions of this process wait for."""

    def __init__(self) -> None:
        self.origin = ""
        """Where the servers of tools reach this one: "https://bridge.example.com"; empty: nowhere."""
        self.key = secrets.token_bytes(32)
        """Of all processes that a result may come to."""
        self._expected: dict[tuple[str, str], ExpectedResult] = {}

    @contextmanager
    def expect(self, run: ToolRun) -> Iterator[ExpectedResult]:
        """Give an execution its address, which is good until the block is left."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        token = urlsafe_b64encode(nonce + self._mac(run.call_id, nonce)).decode("ascii")
        url = f"{self.origin}{PATH}/{quote(run.call_id, safe='')}/{token}" if self.origin else ""
        place = run.call_id, token
        self._expected[place] = expected = ExpectedResult(run, url)
        try:
            yield expected
        finally:
            del self._expected[place]

    def is_ours(self, call_id: str, token: str) -> bool:
        """One of the processes that share the key gave this address."""
        try:
            decoded = urlsafe_b64decode(token.encode("ascii"))
        except ValueError:
            return False
        nonce, mac = decoded[:_NONCE_BYTES], decoded[_NONCE_BYTES:]
        return hmac.compare_digest(mac, self._mac(call_id, nonce))

    def _mac(self, call_id: str, nonce: bytes) -> bytes:
        return hmac.digest(self.key, nonce + call_id.encode("utf-8", "surrogatepass"), "sha256")[:_MAC_BYTES]

    def find(self, call_id: str, token: str) -> ExpectedResult | None:
        """Look up who waits under this address."""
        expected = self._expected.get((call_id, token))
        return None if expected is None or expected.given else expected
