"""What the agent can do beside talking."""

from __future__ import annotations

__all__ = ["Tool", "ToolMessage"]

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from .built_in_tools import BUILT_IN_TOOLS
from .destination import Destination, DestinationName, destination_parameters
from .http_tool import checked_body, checked_headers, checked_hosts, result_paths, url_with_holes
from .section import Section
from .server import Server
from .templates import placeholders, stray_braces
from .tool_parameters import arguments_validator, checked_parameters

_BELONGS_TO = {
    "callable": "python",
    "url": "http",
    "headers": "http",
    "body": "http",
    "result": "http",
    "allow": "http",
    "server": "server",
    "posts": "server",
    "destinations": "transfer_call",
}
"""Keys that one kind of tool alone has."""
_WITHOUT_BODY = ("GET", "DELETE")


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


ResultPaths = Annotated[
    dict[str, str], BeforeValidator(result_paths, json_schema_input_type=dict[str, str] | list[str])
]


def _fixed_parameters(known: Mapping[str, Any]) -> dict[str, Any] | None:
    """The arguments of a kind that says itself what they are."""
    if known.get("kind") == "transfer_call":
        return destination_parameters(known.get("destinations", {}))
    built_in = BUILT_IN_TOOLS.get(known.get("kind", ""))
    return None if built_in is None else built_in.parameters


class ToolMessage(Section):
    """Something that is said while a tool runs, if nobody speaks at that time."""

    after_ms: Annotated[int, Field(ge=0, le=600_000)]
    """How long after the tool was asked."""
    text: Annotated[str, Field(min_length=1)]
    """What is said."""


class Tool(Section):
    """A function that the model may ask for, and what is said while it runs and when it fails."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    """The name by which the model asks for it."""
    description: str = ""
    """What it does, for the model to read."""
    kind: Literal["python", "http", "server", "end_call", "transfer_call", "send_dtmf", "collect_digits"] = (
        "python"
    )
    """`python` runs `callable`, `http` asks `url`, `server` the `server`; the others are built in."""
    callable: str | None = None
    """The function of a `python` tool, as `package.module:function`; it gets the arguments by name."""
    destinations: dict[DestinationName, Destination] = Field(default_factory=dict)
    """Where a `transfer_call` tool may hand the call to, by name; the model chooses among the names."""
    parameters: dict[str, Any] = Field(default_factory=_no_parameters)
    """JSON Schema (draft 2020-12) of the arguments, an object, whose references stay within it; fixed for the
    built-in kinds."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments that are used where the model gives none."""
    resource: str = ""
    """What it works on, like `account-{account_id}`; calls on the same one run one after another."""
    url: str | None = None
    """Where an `http` tool asks; `{parameter}` and `{{variable}}` may stand in its path and query values."""
    method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET"
    """How it asks; arguments that are not in the `url` go into the query of GET and DELETE, else the body."""
    headers: dict[str, SecretStr] = Field(default_factory=dict)
    """Its headers; `${NAME}` stands for a variable of the environment, and no value is ever shown."""
    body: dict[str, Any] | None = None
    """The JSON that it sends, with `{parameter}` and `{{variable}}` in its texts; none: the arguments."""
    result: ResultPaths = Field(default_factory=dict)
    """What the model is told of the answer: a list of paths like `data.items.0.name`, or `name: path`."""
    allow: tuple[str, ...] = ()
    """Hosts that it may ask; one on a private network must be named here, like `127.0.0.1:9000`."""
    server: Server | None = None
    """Where a `server` tool posts to, if not to the assistant's own `server`."""
    posts: Literal["", "tool-calls", "function-call"] = ""
    """What a `server` tool posts; empty: `tool-calls`. `function-call` is its older form."""
    deadline_s: Annotated[float, Field(gt=0, le=600)] = 5.0
    """The tool has failed when it has not answered after so many seconds of running."""
    dedupe_s: Annotated[float, Field(ge=0, le=3600)] = 10.0
    """The same call within so many seconds shares the first one's answer."""
    stale_after_s: Annotated[float, Field(gt=0, le=86_400)] = 120.0
    """An answer that comes so long after it was asked for is not told unasked; the model still knows it."""
    filler: str = ""
    """Said when the answer takes long, or empty; the short form of one message."""
    filler_after_ms: Annotated[int, Field(ge=0, le=60_000)] = 800
    """How long an answer may take before the filler is said."""
    messages: Annotated[tuple[ToolMessage, ...], Field(max_length=10)] = ()
    """What is said while the tool runs, in order."""
    failed: str = ""
    """Said when the tool has failed and nothing better is known."""
    pauses_recording: bool = False
    """While it runs nothing of the call is recorded: for keys or words that must not be kept."""
    cpu_bound: bool = False
    """The function computes for long: run it in a process of its own. It must not be `async`."""

    @property
    def stages(self) -> tuple[ToolMessage, ...]:
        """What is said while the tool runs: `messages`, or `filler` as the only one."""
        if self.messages or not self.filler:
            return self.messages
        return (ToolMessage(after_ms=self.filler_after_ms, text=self.filler),)

    @model_validator(mode="before")
    @classmethod
    def _times_of_its_kind(cls, data: Any) -> Any:
        built_in = BUILT_IN_TOOLS.get(str(data.get("kind"))) if isinstance(data, dict) else None
        if built_in is None:
            return data
        return {"deadline_s": built_in.deadline_s, "dedupe_s": built_in.dedupe_s, **data}

    @field_validator("callable")
    @classmethod
    def _is_given(cls, reference: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "python" and not reference:
            raise ValueError("is needed for a python tool; write package.module:function")
        return reference

    @field_validator(*_BELONGS_TO)
    @classmethod
    def _where_it_belongs(cls, value: Any, info: ValidationInfo) -> Any:
        kind, owner = info.data.get("kind"), _BELONGS_TO[str(info.field_name)]
        if value and kind is not None and kind != owner:
            raise ValueError(
                f"has no use in a tool of the kind {kind}; leave it out or write `kind: {owner}`"
            )
        return value

    @field_validator("destinations")
    @classmethod
    def _leads_somewhere(
        cls, destinations: dict[str, Destination], info: ValidationInfo
    ) -> dict[str, Destination]:
        if info.data.get("kind") == "transfer_call" and not destinations:
            raise ValueError('are needed for a transfer_call tool; write `front desk: {number: "+1..."}`')
        return destinations

    @field_validator("url")
    @classmethod
    def _is_an_address(cls, url: str | None, info: ValidationInfo) -> str | None:
        if info.data.get("kind") == "http" and not url:
            raise ValueError(
                "is needed for an http tool; write https://api.example.com/orders/{order_number}"
            )
        if not url or "parameters" not in info.data:
            return url
        return url_with_holes(url, info.data["parameters"], info.data.get("arguments", ()))

    @field_validator("headers")
    @classmethod
    def _can_be_sent(cls, headers: dict[str, SecretStr]) -> dict[str, SecretStr]:
        checked_headers(headers)
        return headers

    @field_validator("body")
    @classmethod
    def _has_a_request(cls, body: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        if body is not None and info.data.get("method") in _WITHOUT_BODY:
            raise ValueError(f"is not sent with {info.data['method']}; write `method: POST`")
        if body is not None and "parameters" in info.data:
            checked_body(body, info.data["parameters"])
        return body

    @field_validator("allow")
    @classmethod
    def _covers_the_host(cls, allow: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        checked_hosts(allow, info.data.get("url"))
        return allow

    @field_validator("parameters")
    @classmethod
    def _is_an_object_schema(cls, schema: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        fixed = _fixed_parameters(info.data)
        if fixed is not None:
            if schema not in (_no_parameters(), fixed):
                raise ValueError(f"are fixed for a tool of the kind {info.data['kind']}; leave them out")
            return fixed
        return checked_parameters(schema)

    @field_validator("arguments")
    @classmethod
    def _fit_the_schema(cls, arguments: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        known: dict[str, Any] = info.data.get("parameters", {}).get("properties", {})
        if "parameters" not in info.data:
            return arguments
        matching = arguments_validator(info.data["parameters"])
        for name, value in arguments.items():
            if name not in known:
                raise ValueError(f"holds `{name}`, which `parameters` does not describe")
            for fault in matching.evolve(schema=known[name]).iter_errors(value):
                raise ValueError(f"holds a wrong `{name}`: {fault.message}")
        return arguments

    @field_validator("resource")
    @classmethod
    def _made_of_arguments(cls, resource: str, info: ValidationInfo) -> str:
        if stray_braces(resource):
            raise ValueError("has braces around what is no name; write {argument}")
        schema = info.data.get("parameters")
        given = {*(schema or {}).get("required", ()), *info.data.get("arguments", {})}
        lacking = [name for name in placeholders(resource) if schema is not None and name not in given]
        if lacking:
            raise ValueError(f"uses {', '.join(lacking)}, which `parameters` does not require")
        return resource

    @field_validator("messages")
    @classmethod
    def _in_order(cls, messages: tuple[ToolMessage, ...], info: ValidationInfo) -> tuple[ToolMessage, ...]:
        if messages and info.data.get("filler"):
            raise ValueError("and `filler` cannot both be given; make the filler one of the messages")
        if any(later.after_ms <= earlier.after_ms for earlier, later in pairwise(messages)):
            raise ValueError("must have ascending after_ms; each message comes later than the one before it")
        return messages
