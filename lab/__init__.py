"""The other end of the wire: simulated caller, reports, load."""
