"""What emulated vendors saw of their clients, as a table."""

from __future__ import annotations

__all__ = ["summary_lines"]

from collections.abc import Mapping

from .faults import MOMENTS
from .world import VendorWorld

_HEAD = ("vendor", "connections", "requests", "cancelled", "refused", "most open", "left open")


def summary_lines(world: VendorWorld) -> list[str]:
    """A line for each vendor; what is open now counts as left open."""
    sightings, connections = world.sightings, world.connections
    rows = [_HEAD] + [
        (
            vendor,
            str(connections.made[vendor]),
            str(connections.requests[vendor]),
            str(sightings.counts[vendor, "cancelled"]),
            str(sightings.counts[vendor, "refused"]),
            _things(vendor, sightings.most_open),
            _things(vendor, sightings.open),
        )
        for vendor in MOMENTS
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HEAD))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _things(vendor: str, counts: Mapping[str, int]) -> str:
    """Write how many of what: "1 connection, 3 contexts"."""
    named = {what.partition(" ")[2]: count for what, count in counts.items() if what.startswith(f"{vendor} ")}
    things = [f"{count} {what}{'' if count == 1 else 's'}" for what, count in sorted(named.items()) if count]
    return ", ".join(things) or "0"
