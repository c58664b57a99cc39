"""The keys of one call: those the agent sends as tones, and those the caller presses for a tool.

Both wait for the floor like everything that is said: as wishes of the agent's, which turn-taking grants.
Which keys they are is known to the tool and to the model, and written to no log.
"""

from __future__ import annotations

__all__ = ["KEYS", "PROMPT", "PhoneKeys", "key_tones"]

import asyncio
from collections.abc import Callable

import numpy as np

from offhook.codecs import g711
from offhook.codecs.framing import SAMPLE_RATE_HZ
from offhook.codecs.tones import dtmf_sequence
from offhook.config.errors import ToolError

from .clock import Clock
from .evidence import AgentWants, Evidence, KeysWanted, Say
from .keypad import Collected, Keypad, KeyWish

KEYS = "keys"
"""Purpose of what is no speech: its text are keys."""
PROMPT = "key-prompt"
"""Purpose of a text that asks for keys; the first key ends it."""
TONE_S = 0.1
PAUSE_S = 0.5
"""How long a `w` among the keys lasts."""
HABIT_S = 2.0
"""A terminator so soon after the last key of a fixed length was pressed out of habit."""


def key_tones(keys: str) -> bytes:
    """Make carrier bytes (mu-law, 8 kHz): 100 ms of tone and 100 ms of silence a key, 500 ms for a `w`.

    Raises ValueError for what is neither a key nor a `w`.
    """
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE_HZ), np.int16)
    parts = [pause if key == "w" else dtmf_sequence(key, TONE_S, TONE_S) for key in keys]
    return g711.encode(np.concatenate(parts)) if parts else b""


class PhoneKeys:
    """Sends and collects keys for the tools of one call, one wish of each kind at a time."""

    def __init__(self, clock: Clock, feed: Callable[[Evidence], None]) -> None:
        self._clock = clock
        self._feed = feed
        self._keypad: Keypad | None = None
        self._prompt = ""
        self._moved = asyncio.Event()
        self._habit = ("", 0.0)
        """A key that means nothing until then."""
        self._sending = ""
        self._sent: asyncio.Future[bool] | None = None

    # -------------------------------------------------------------- collecting

    @property
    def collecting(self) -> bool:
        """Keys that the caller presses now belong to a tool."""
        return self._keypad is not None

    def prompts(self, text: str) -> bool:
        """A tool that asked for this prompt waits for keys, and none was pressed."""
        return self._keypad is not None and not self._keypad.pressed and text == self._prompt

    async def collect(self, wish: KeyWish) -> Collected:
        """Say the prompt, if any, and wait for the caller's keys; bounded by `wish.total_s`."""
        keypad = self._keypad = Keypad(wish, self._clock.now())
        self._prompt = wish.prompt
        try:
            self._feed(KeysWanted(True))
            if wish.prompt:
                self._feed(AgentWants(Say(wish.prompt, PROMPT)))
            while keypad.collected is None:
                self._moved.clear()
                timer = self._clock.call_at(keypad.next_deadline, self._moved.set)
                try:
                    await self._moved.wait()
                finally:
                    timer.cancel()
                keypad.advance(self._clock.now())
            return keypad.collected
        finally:
            self._keypad = None
            self._feed(KeysWanted(False))

    def press(self, key: str) -> bool:
        """Hand over a key of the caller's; False if no tool waits for it."""
        now = self._clock.now()
        habit, until = self._habit
        self._habit = ("", 0.0)
        keypad = self._keypad
        if keypad is None or keypad.collected is not None:
            return key == habit and now < until
        collected = keypad.press(key, now)
        self._moved.set()
        if collected is not None and collected.ended_by == "length":
            self._habit = (keypad.terminator, now + HABIT_S)
        return True

    def hang_up(self) -> None:
        """The caller is gone."""
        if self._keypad is not None:
            self._keypad.hang_up()
            self._moved.set()

    # ----------------------------------------------------------------- sending

    def sends(self, keys: str) -> bool:
        """A tool waits for these tones to be played; one that has given up wants them no more."""
        return self._sent is not None and keys == self._sending

    async def send(self, keys: str) -> None:
        """Play the tones of these keys at the next free moment; returns when they were played.

        Raises ToolError if they could not be.
        """
        sent = self._sent = asyncio.get_running_loop().create_future()
        self._sending = keys
        try:
            self._feed(AgentWants(Say(keys, KEYS, interruptible=False)))
            if not await sent:
                raise ToolError("the keys could not be sent")
        finally:
            self._sent = None

    def sent(self, keys: str, *, whole: bool) -> None:
        """The tones of these keys were played, to their end or not."""
        if self._sent is not None and keys == self._sending and not self._sent.done():
            self._sent.set_result(whole)
