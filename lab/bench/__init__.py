"""How many calls one core carries: a real server under the load of many simulated calls."""
