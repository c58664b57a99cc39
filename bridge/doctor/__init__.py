"""Is everything in place for calls? Named checks, each with what was found and what to do.

Asking and judging are apart: `asking` and the `look_...` functions fetch facts, the `judge_...` functions
make findings of them and touch nothing.
"""
