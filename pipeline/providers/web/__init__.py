"""Tools that ask other machines over HTTP."""
