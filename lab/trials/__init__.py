"""Trials of whole calls through the vendors' clients against emulated vendors."""
