"""An assistant: what it is told, how it hears, thinks and speaks, and what it may do.

The names are those of the assistant file. `assistant_loading` reads one, `assistant_files` keeps them fresh.
"""

from __future__ import annotations

__all__ = [
    "Assistant",
    "Intent",
    "Model",
    "ModelChoice",
    "Recording",
    "Server",
    "SilencePrompt",
    "Slot",
    "Tool",
    "ToolMessage",
    "Transcriber",
    "TranscriberChoice",
    "TurnTaking",
    "Voice",
    "VoiceChoice",
    "assistant_schema",
]

from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator

from .intents import Intent, Slot
from .phone_numbers import PhoneNumber
from .prices import Prices
from .recording import Recording
from .section import Section, in_order, known_provider
from .server import Server
from .speech import MOST_FALLBACKS, Transcriber, TranscriberChoice, Voice, VoiceChoice
from .tool import Tool, ToolMessage
from .turn_taking import SilencePrompt, TurnTaking
from .urls import checked_url
from .vendors import FIELDS


class ModelChoice(Section):
    """One language model, or the table of intents that stands in for one."""

    provider: str = "embedded"
    """`embedded`: intents from this file, answered on this machine; `openai`, and any server that speaks its
    Chat Completions protocol, by `base_url`."""
    name: str = ""
    """The vendor's name of the model; empty chooses the provider's default."""
    base_url: str | None = None
    """Where the protocol is spoken, if not at `OPENAI_BASE_URL`: `http://127.0.0.1:11434/v1` is Ollama's."""
    api_key: SecretStr | None = None
    """The key for `base_url`, best as `${NAME}`; `OPENAI_API_KEY` is never sent there."""
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    """How freely the model chooses its words; without effect on the embedded one."""
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """The longest reply, in tokens; without effect on the embedded one."""
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    """How long a reasoning model thinks before it speaks; the caller waits meanwhile."""
    first_token_ms: Annotated[int, Field(ge=200, le=30_000)] = 2500
    """A model that has said nothing by then has failed, and the next one is asked."""
    intents: tuple[Intent, ...] = ()
    """What the embedded model understands."""
    fallback: str = "Sorry, I cannot help with that. What else can I do for you?"
    """What the embedded model says to anything else; best a list of what it can do."""
    floor: Annotated[float, Field(ge=0, le=1)] = 0.22
    """Likeness, 0 to 1, that a sentence needs to count as one of the intents."""

    @field_validator("provider", mode="before")
    @classmethod
    def _carried(cls, name: Any) -> Any:
        return known_provider(name, carried=FIELDS["model"])

    @field_validator("base_url")
    @classmethod
    def _is_an_address(cls, url: str | None) -> str | None:
        return None if url is None else checked_url(url, query=False)


class Model(ModelChoice):
    """The language model, or the table of intents that stands in for one."""

    fallbacks: Annotated[tuple[ModelChoice, ...], Field(max_length=MOST_FALLBACKS)] = ()
    """Who thinks when it fails, in this order."""

    @property
    def choices(self) -> tuple[ModelChoice, ...]:
        """The preferred one, and those behind it."""
        return in_order(self, ModelChoice, self.fallbacks)


class Assistant(Section):
    """Everything that one assistant is."""

    name: Annotated[str, Field(min_length=1)]
    """What the assistant is called in logs and events."""
    language: Annotated[str, Field(pattern=r"^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$")] = "en"
    """BCP 47 tag of the language that is spoken."""
    instructions: str = ""
    """What a language model is told about its task."""
    transcriber: Transcriber = Transcriber()
    """Who listens."""
    model: Model = Model()
    """Who thinks."""
    voice: Voice = Voice()
    """Who speaks."""
    first_message: str = ""
    """The greeting; empty lets the caller begin."""
    first_message_interruptible: bool = True
    """Whether the caller may cut into the greeting."""
    tools: tuple[Tool, ...] = ()
    """What the assistant may do."""
    max_tool_calls_per_turn: Annotated[int, Field(ge=1, le=100)] = 8
    """Tools that one turn of the caller's may lead to; what the model asks for beyond it is refused."""
    turn_taking: TurnTaking = TurnTaking()
    """Whose turn it is, and when."""
    recording: Recording = Recording()
    """Whether calls are recorded."""
    prices: Prices = Prices()
    """What the operator pays."""
    server: Server | None = None
    """Where calls of `server` tools and events of calls are posted to."""
    fallback_number: PhoneNumber | None = None
    """Where the caller is put through when the assistant cannot go on, or not take the call (E.164)."""
    goodbye: str = "Goodbye."
    """The last words before the assistant ends a call."""
    goodbye_interruptible: bool = True
    """Whether a caller who cuts into the last words takes the call up again."""
    apology: str = "Sorry, something went wrong on my side. Please say that again."
    """Said when a reply failed."""
    one_moment: str = "One moment, please."
    """Said once to a caller who waits for a recogniser that was lost; empty: nothing is."""
    resumed_message: str = "Sorry, the line broke for a moment."
    """Said first when a call goes on in another process than before."""
    handover: str = "I am sorry, I cannot go on. I am putting you through."
    """Said before a call that cannot go on is put through to `fallback_number`."""
    notices: tuple[str, ...] = ()
    """What was translated, or has no effect; filled while loading, never written in a file."""

    @property
    def speculates(self) -> bool:
        """Replies are prepared before a turn is over; unless set, only where that costs no money."""
        asked = self.turn_taking.speculate
        return self.model.provider == self.voice.provider == "embedded" if asked is None else asked

    def tool(self, name: str) -> Tool | None:
        """Find a tool by its name."""
        return next((tool for tool in self.tools if tool.name == name), None)


def assistant_schema() -> dict[str, Any]:
    """Make the JSON Schema of an assistant file, for editors; it describes offhook's own names."""
    schema = Assistant.model_json_schema()
    del schema["properties"]["notices"]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
