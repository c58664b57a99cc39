"""Recordings of calls: what both sides said and heard, on disk, for as long as they may be kept."""
