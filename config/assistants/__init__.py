"""The assistants that come with offhook."""

from __future__ import annotations

__all__ = ["DEMO"]

from pathlib import Path

DEMO = Path(__file__).with_name("demo.yaml")
"""The order line of a small shop: a file to call, to read and to copy."""
