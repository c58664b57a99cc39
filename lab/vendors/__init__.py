"""Vendors that run on this machine: their real wire protocols, with latencies and faults as asked for."""
