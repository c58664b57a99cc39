"""Is this machine's clock right? Tokens, signatures and certificates are good for a time.

The servers that were asked anyway say theirs in the header `Date` (RFC 9110, 6.6.1).
"""

from __future__ import annotations

__all__ = ["judge_clock"]

from collections.abc import Sequence
from statistics import median

from .asking import SeenDate
from .finding import Finding, failed, not_checked, ok, warning

CHECK = "clock"
WRONG_BEYOND_S = 30.0
"""Stream tokens are good for a minute, and receivers of signed messages allow for little more."""
ODD_BEYOND_S = 5.0
_FIX = "Let this machine follow a time server: `timedatectl set-ntp true` on Linux."


def judge_clock(dates: Sequence[SeenDate]) -> Finding:
    """Judge by the server in the middle, so that one that is wrong itself does not count."""
    if not dates:
        return not_checked(CHECK, "No server was asked whose clock could be compared.")
    ahead_s = median(seen.ahead_s for seen in dates)
    side = "ahead of" if ahead_s > 0 else "behind"
    told = f"This machine's clock is {abs(ahead_s):.0f} s {side} the servers'."
    if abs(ahead_s) > WRONG_BEYOND_S:
        return failed(CHECK, f"{told} Signatures and tokens are refused for that.", _FIX)
    if abs(ahead_s) > ODD_BEYOND_S:
        return warning(CHECK, told, _FIX)
    hosts = len({seen.host for seen in dates})
    return ok(CHECK, f"This machine's clock agrees with {hosts} server{'s' if hosts > 1 else ''}.")
