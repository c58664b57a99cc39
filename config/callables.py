"""Python functions named in an assistant file, as `package.module:function`."""

from __future__ import annotations

__all__ = ["given_parameters", "import_callable"]

import importlib
import inspect
import re
from collections.abc import Callable
from typing import Any

_REFERENCE = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

_GIVEN = ("call", "idempotency_key")


def given_parameters(function: Callable[..., Any]) -> frozenset[str]:
    """Name what a tool's function is given beside its arguments, because it has parameters of these names."""
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):  # a builtin may hide its parameters
        return frozenset()
    by_name = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return frozenset(name for name in _GIVEN if name in parameters and parameters[name].kind in by_name)


def import_callable(reference: str) -> Callable[..., Any]:
    """Import the function that `package.module:function` names.

    Raises ValueError, with a sentence that says why, when there is none; the module's own code runs here,
    so whatever it raises counts as one.
    """
    if not _REFERENCE.fullmatch(reference):
        raise ValueError(f"`{reference}` is not of the form package.module:function")
    module_name, _, path = reference.partition(":")
    try:
        found: Any = importlib.import_module(module_name)
    except Exception as error:  # a user's module may raise anything while it is imported
        raise ValueError(
            f"module `{module_name}` cannot be imported ({type(error).__name__}: {error})"
        ) from error
    for name in path.split("."):
        if not hasattr(found, name):
            raise ValueError(f"module `{module_name}` has no `{path}`")
        found = getattr(found, name)
    if not callable(found):
        raise ValueError(f"`{reference}` is no function: it cannot be called")
    function: Callable[..., Any] = found
    return function
