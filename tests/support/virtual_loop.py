"""The loop of the tests: its clock jumps to the next timer whenever nothing is ready."""

from __future__ import annotations

__all__ = ["VirtualLoop"]

from offhook.lab.virtual_loop import VirtualLoop
