"""A corpus of spoken scenarios, played as real calls, and what came of each."""
