"""Reads what is wrong with a line from a caller's script.

line:
  echo_db: -25              # the agent's voice in the caller's channel, relative to what the caller hears
  echo_delay_ms: 120
  noise: cafe               # a kind of lab/noises.py
  snr_db: 10
  jitter_ms: [100, 150]     # messages arrive in clumps, one after so many milliseconds
  burst_ms: 400             # so long nothing arrives at the bridge, then all at once
  burst_every_s: 5
"""

from __future__ import annotations

__all__ = ["read_line"]

from collections.abc import Mapping

from .line import CLEAR_LINE, LineConditions
from .noises import KINDS
from .script_values import ScriptValues

_KEYS = ("echo_db", "echo_delay_ms", "noise", "snr_db", "jitter_ms", "burst_ms", "burst_every_s")
_LONGEST_MS = 5000


def read_line(values: ScriptValues, data: object) -> LineConditions:
    """Make line conditions of plain data, a clear line of None; problems are reported to `values`."""
    if data is None:
        return CLEAR_LINE
    if not isinstance(data, Mapping):
        values.report("line", "What is wrong with the line is a mapping such as `{noise: cafe}`.")
        return CLEAR_LINE
    values.check_keys("line", data, _KEYS)
    noise, echo_db = data.get("noise", ""), data.get("echo_db")
    if noise and noise not in KINDS:
        values.report_choice("line.noise", noise, KINDS)
    return LineConditions(
        echo_db=None if echo_db is None else values.number("line.echo_db", echo_db, -90.0, 0.0),
        echo_delay_ms=values.milliseconds("line.echo_delay_ms", data.get("echo_delay_ms", 120)) or 120,
        noise=str(noise),
        snr_db=values.number("line.snr_db", data.get("snr_db", 10.0), -20.0, 60.0),
        jitter_ms=_jitter_ms(values, data.get("jitter_ms")),
        burst_ms=values.milliseconds("line.burst_ms", data.get("burst_ms")) or 0,
        burst_every_s=values.seconds("line.burst_every_s", data.get("burst_every_s", 5.0)),
    )


def _jitter_ms(values: ScriptValues, data: object) -> tuple[int, int] | None:
    if data is None:
        return None
    if isinstance(data, list) and len(data) == 2 and all(type(each) is int for each in data):
        least, most = data
        if 0 < least <= most <= _LONGEST_MS:
            return least, most
    values.report("line.jitter_ms", f"{data!r} is not a pair of milliseconds such as `[100, 150]`.")
    return None
