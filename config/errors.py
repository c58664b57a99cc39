"""Every error that offhook raises on purpose.

    OffhookError
    ├── ConfigError            an assistant file or a setting cannot be used (config/)
    ├── ProtocolError          the carrier broke its own dialect beyond repair (bridge/)
    ├── Refused                a request from outside may not be served (bridge/)
    ├── CarrierError           the carrier's REST interface was not reached, or refused (bridge/)
    ├── ProviderError          a recogniser, model or voice failed (pipeline/)
    │   ├── ProviderTimeout    it did not answer in its time
    │   ├── ProviderBusy       it has too much to do, and may serve the same again later
    │   ├── ProviderRefused    it will refuse the same again: a wrong key, an unknown model
    │   ├── AllProvidersFailed it was the last of its stage
    │   └── WorkerDied         the process that held the model is gone
    ├── ToolError              a tool failed; its text is fit for the model to read (pipeline/)
    │   ├── ToolTimeout        it did not answer before its deadline
    │   └── ToolUnreachable    nothing was sent to it, so it may be asked again
    └── ChannelClosed          the other end of a channel is gone (pipeline/)

An error carries its facts as fields and says one sentence that names the place and the fix.
"""

from __future__ import annotations

__all__ = [
    "AllProvidersFailed",
    "CarrierError",
    "ChannelClosed",
    "ConfigError",
    "ConfigProblem",
    "OffhookError",
    "ProtocolError",
    "ProviderBusy",
    "ProviderError",
    "ProviderRefused",
    "ProviderTimeout",
    "Refused",
    "ToolError",
    "ToolTimeout",
    "ToolUnreachable",
    "WorkerDied",
]

from collections.abc import Sequence
from dataclasses import dataclass


class OffhookError(Exception):
    """Something went wrong that offhook knows about."""


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One thing that is wrong with a setting or an assistant file."""

    source: str
    """The file, or "environment"."""
    key: str
    """Where in it, dotted: "tools.0.deadline_s"."""
    message: str
    """What is wrong, in one sentence."""
    fix: str = ""
    """What to write instead, or empty."""

    def __str__(self) -> str:
        place = f"{self.source}: {self.key}" if self.key else self.source
        return f"{place}: {self.message}" + (f" {self.fix}" if self.fix else "")


class ConfigError(OffhookError):
    """All problems that were found in the configuration, at once."""

    def __init__(self, problems: Sequence[ConfigProblem]) -> None:
        self.problems = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        return "\n".join(str(problem) for problem in self.problems)


class ProtocolError(OffhookError):
    """The carrier broke its dialect in a way that ends the stream."""

    def __init__(self, reason: str, close_code: int = 1002) -> None:
        self.reason, self.close_code = reason, close_code
        super().__init__(reason)


class Refused(OffhookError):
    """A request from outside is not served; `status` is the HTTP answer."""

    def __init__(self, reason: str, status: int = 403) -> None:
        self.reason, self.status = reason, status
        super().__init__(reason)


class CarrierError(OffhookError):
    """The carrier's REST interface was not reached, or refused; `fix` is what to do, or empty."""

    def __init__(self, reason: str, fix: str = "") -> None:
        self.reason, self.fix = reason, fix
        super().__init__(reason, fix)

    def __str__(self) -> str:
        return f"{self.reason} {self.fix}".strip()


class ProviderError(OffhookError):
    """A recogniser, language model or voice failed."""

    def __init__(self, stage: str, reason: str) -> None:
        self.stage, self.reason = stage, reason
        super().__init__(stage, reason)

    def __str__(self) -> str:
        return f"{self.stage}: {self.reason}"


class ProviderTimeout(ProviderError):
    """A provider did not answer in its time."""


class ProviderBusy(ProviderError):
    """A provider has too much to do (HTTP 429, 5xx); it may serve the same again after `retry_after_s`."""

    def __init__(self, stage: str, reason: str, retry_after_s: float | None = None) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(stage, reason)


class ProviderRefused(ProviderError):
    """A provider will refuse the same again: a wrong key (HTTP 401, 403), an unknown model, a bad request.

    `only_this`: what it refuses is this one request, and others may fare better.
    """

    def __init__(self, stage: str, reason: str, *, only_this: bool = False) -> None:
        self.only_this = only_this
        super().__init__(stage, reason)


class AllProvidersFailed(ProviderError):
    """No provider of a stage is left to be tried; `reason` is what the last one said."""


class WorkerDied(ProviderError):
    """The process that held a model is gone; it is being restarted."""


class ToolError(OffhookError):
    """A tool failed: the model may read `reason`, and the caller is told `fallback` as it stands, if any."""

    def __init__(self, reason: str, *, fallback: str = "") -> None:
        self.reason, self.fallback = reason, fallback
        super().__init__(reason)


class ToolTimeout(ToolError):
    """A tool did not answer before its deadline."""


class ToolUnreachable(ToolError):
    """A tool's server could not be reached: nothing was sent to it."""


class ChannelClosed(OffhookError):
    """Nothing more can be sent to, or will come from, this channel."""
