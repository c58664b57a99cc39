"""What the agent can do beside talking."""

from __future__ import annotations

__all__ = ["Tool"]

from typing import Annotated, Any, Literal

from jsonschema import Draft202012Validator, SchemaError
from pydantic import Field, ValidationInfo, field_validator

from .section import Section


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class Tool(Section):
    """A function that the model may ask for, and what is said while it runs and when it fails."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    """The name by which the model asks for it."""
    description: str = ""
    """What it does, for the model to read."""
    kind: Literal["python", "end_call"] = "python"
    """`python` runs `callable`; `end_call` says goodbye and ends the call."""
    callable: str | None = None
    """The function of a `python` tool, as `package.module:function`; it gets the arguments by name."""
    parameters: dict[str, Any] = Field(default_factory=_no_parameters)
    """JSON Schema (draft 2020-12) of the arguments, an object."""
    deadline_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """The tool has failed when it has not answered after so many seconds."""
    dedupe_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """The same call within so many seconds shares the first one's answer."""
    filler: str = ""
    """Said when the answer takes long, or empty."""
    filler_after_ms: Annotated[int, Field(ge=0, le=60_000)] = 800
    """How long an answer may take before the filler is said."""
    failed: str = ""
    """Said when the tool has failed and nothing better is known."""
    cpu_bound: bool = False
    """The function computes for long: run it in a process of its own. It must not be `async`."""

    @field_validator("callable")
    @classmethod
    def _where_it_belongs(cls, reference: str | None, info: ValidationInfo) -> str | None:
        kind = info.data.get("kind")
        if kind == "python" and not reference:
            raise ValueError("is needed for a python tool; write package.module:function")
        if kind == "end_call" and reference:
            raise ValueError("has no use in an end_call tool; leave it out")
        return reference

    @field_validator("parameters")
    @classmethod
    def _is_an_object_schema(cls, schema: dict[str, Any]) -> dict[str, Any]:
        try:
            Draft202012Validator.check_schema(schema)
        except SchemaError as error:
            place = ".".join(str(part) for part in error.absolute_path)
            raise ValueError(
                f"is not a JSON Schema{f' (at {place})' if place else ''}: {error.message}"
            ) from None
        if schema.get("type") != "object":
            raise ValueError('must describe an object: write "type: object" and "properties"')
        unknown = sorted(set(schema.get("required", ())) - set(schema.get("properties", {})))
        if unknown:
            raise ValueError(f"requires {', '.join(unknown)}, which `properties` does not describe")
        return schema
