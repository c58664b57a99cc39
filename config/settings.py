"""What the server is told by its environment, by a `.env` file, and by Docker secrets."""

from __future__ import annotations

__all__ = ["Settings", "load_settings", "with_options"]

import os
from collections.abc import Mapping
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from .dotenv_file import read_dotenv
from .environment import Layer, Variable, read_variables
from .errors import ConfigError, ConfigProblem
from .phone_numbers import AssistantsByNumber, NumberPatterns, PhoneNumber
from .server import SigningSecret
from .urls import checked_url
from .vendors import Account


def _networks(value: Any) -> Any:
    """Read networks that are separated by commas. Raises ValueError naming the one that is none."""
    if not isinstance(value, str):
        return value
    return tuple(ip_network(part.strip()) for part in value.split(",") if part.strip())


def _without_query(url: str) -> str:
    return checked_url(url, query=False)


PublicUrl = Annotated[str, AfterValidator(_without_query)]
Url = Annotated[str, AfterValidator(checked_url)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], BeforeValidator(_networks)]


class Settings(BaseSettings):
    """The server's settings; secrets never show in its `repr`. Make it with `load_settings`."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    public_url: PublicUrl | None = None
    """The address by which the carrier reaches this server, without a trailing slash."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 8080
    """The TCP port; 0 lets the system choose."""
    host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    """The address to listen on."""
    twilio_account_sid: Annotated[str, Field(pattern=r"^AC\w+$")] | None = None
    """Begins with AC."""
    twilio_auth_token: SecretStr | None = None
    """Signs the carrier's requests."""
    twilio_phone_number: PhoneNumber | None = None
    """The number of this server, in E.164: `offhook twilio link` lets this server answer it."""
    twilio_api_base_url: Url | None = None
    """Where the carrier's REST interface is reached, if not at its own address: a region, or a simulation."""
    deepgram_api_key: SecretStr | None = None
    """For the recogniser of that vendor."""
    deepgram_base_url: Url | None = None
    """Where that vendor is reached, if not at its own address."""
    openai_api_key: SecretStr | None = None
    """For a language model of that vendor, or one that speaks its protocol."""
    openai_base_url: Url | None = None
    """Where that protocol is spoken, if not at the vendor's."""
    elevenlabs_api_key: SecretStr | None = None
    """For the voice of that vendor."""
    elevenlabs_base_url: Url | None = None
    """Where that vendor is reached, if not at its own address: one of its regions, for instance."""
    webhook_url: Url | None = None
    """Where events of all calls are posted to."""
    webhook_secret: SigningSecret | None = None
    """Signs what is posted."""
    ask_for_assistant: bool = False
    """Ask `WEBHOOK_URL` which assistant is to take each call."""
    data_folder: Path | None = None
    """Where recordings are kept, and messages that no receiver took, of all workers together."""
    redis_url: SecretStr | None = None
    """The store that several hosts share; secret, for it may hold a password."""
    require_stream_token: bool = False
    """Serve only media streams that carry a token from our own webhook."""
    workers: Annotated[int, Field(ge=1, le=64)] = 1
    """Processes that share the port; each loads its own models."""
    max_calls: Annotated[int, Field(ge=1, le=100_000)] = 20
    """Calls at a time, of all workers together; more are refused."""
    max_call_s: Annotated[float, Field(ge=10, le=86_400)] = 14_400
    """The longest call, in seconds, whatever the assistant allows."""
    assistant_numbers: AssistantsByNumber = {}
    """Which assistant of `--assistants` answers which number that is called; any other: the default."""
    blocked_callers: NumberPatterns = ()
    """Numbers that are not answered, separated by commas; `+4490*` stands for all that begin so."""
    allowed_callers: NumberPatterns = ()
    """The only numbers that are answered; empty: all that are not blocked."""
    calls_per_caller: Annotated[int, Field(ge=1)] | None = None
    """Calls of one number that are taken in 24 hours; each worker counts its own."""
    calls_per_day: Annotated[int, Field(ge=1)] | None = None
    """Calls of all numbers that are taken in 24 hours; each worker counts its own."""
    insecure: bool = False
    """Serve requests that nobody signed."""
    local_peers: Networks = ()
    """Networks that count as this machine where only it is trusted; a container sees its host so."""
    log_words: bool = False
    """Let the callers' words into the logs."""

    def account(self, vendor: str) -> Account:
        """How a vendor is reached: "deepgram", "openai" or "elevenlabs"."""
        return Account(getattr(self, f"{vendor}_api_key"), getattr(self, f"{vendor}_base_url"))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take nothing but what `load_settings` has read, so that every error names its variable."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


_VARIABLES = (
    Variable("public_url", ("PUBLIC_URL", "SERVER_URL")),
    Variable("port", ("PORT",)),
    Variable("host", ("HOST",)),
    Variable("twilio_account_sid", ("TWILIO_ACCOUNT_SID",)),
    Variable("twilio_auth_token", ("TWILIO_AUTH_TOKEN",)),
    Variable("twilio_phone_number", ("TWILIO_PHONE_NUMBER",)),
    Variable("twilio_api_base_url", ("TWILIO_API_BASE_URL",)),
    Variable("deepgram_api_key", ("DEEPGRAM_API_KEY",)),
    Variable("deepgram_base_url", ("DEEPGRAM_BASE_URL",)),
    Variable("openai_api_key", ("OPENAI_API_KEY",)),
    Variable("openai_base_url", ("OPENAI_BASE_URL",)),
    Variable("elevenlabs_api_key", ("ELEVENLABS_API_KEY",)),
    Variable("elevenlabs_base_url", ("ELEVENLABS_BASE_URL",)),
    Variable("webhook_url", ("WEBHOOK_URL",)),
    Variable("webhook_secret", ("WEBHOOK_SECRET", "VAPI_SERVER_SECRET")),
    Variable("ask_for_assistant", ("OFFHOOK_ASK_FOR_ASSISTANT",)),
    Variable("data_folder", ("OFFHOOK_DATA_FOLDER",)),
    Variable("redis_url", ("REDIS_URL",)),
    Variable("require_stream_token", ("OFFHOOK_REQUIRE_STREAM_TOKEN",)),
    Variable("workers", ("OFFHOOK_WORKERS",)),
    Variable("max_calls", ("OFFHOOK_MAX_CALLS",)),
    Variable("max_call_s", ("OFFHOOK_MAX_CALL_S",)),
    Variable("assistant_numbers", ("OFFHOOK_ASSISTANT_NUMBERS",)),
    Variable("blocked_callers", ("OFFHOOK_BLOCKED_CALLERS",)),
    Variable("allowed_callers", ("OFFHOOK_ALLOWED_CALLERS",)),
    Variable("calls_per_caller", ("OFFHOOK_CALLS_PER_CALLER",)),
    Variable("calls_per_day", ("OFFHOOK_CALLS_PER_DAY",)),
    Variable("insecure", ("OFFHOOK_INSECURE",)),
    Variable("local_peers", ("OFFHOOK_LOCAL_PEERS",)),
    Variable("log_words", ("OFFHOOK_LOG_WORDS",)),
)

_FIXES = {
    "public_url": "Write it as https://bridge.example.com.",
    "port": "Write a number from 0 to 65535.",
    "twilio_account_sid": "It begins with AC; copy it from the account's page.",
    "twilio_phone_number": "Write it as +15551234567 (E.164).",
    "twilio_api_base_url": "Write it as https://api.dublin.ie1.twilio.com.",
    "openai_base_url": "Write it as https://models.example.com/v1.",
    "deepgram_base_url": "Write it as https://api.eu.deepgram.com.",
    "elevenlabs_base_url": "Write it as https://api.eu.residency.elevenlabs.io.",
    "webhook_url": "Write it as https://example.com/events.",
    "webhook_secret": "Write plain letters and digits, or base64 behind whsec_.",
    "workers": "Write a whole number from 1 to 64.",
    "max_calls": "Write a whole number from 1.",
    "max_call_s": "Write seconds, from 10 to 86400.",
    "assistant_numbers": "Write pairs like +15551234567=sales, separated by commas.",
    "blocked_callers": "Write numbers like +15551234567 or +4490*, separated by commas.",
    "allowed_callers": "Write numbers like +15551234567 or +4490*, separated by commas.",
    "calls_per_caller": "Write a whole number from 1.",
    "calls_per_day": "Write a whole number from 1.",
    "ask_for_assistant": "Write true or false.",
    "require_stream_token": "Write true or false.",
    "insecure": "Write true or false.",
    "local_peers": "Write networks like 172.16.0.0/12, separated by commas.",
    "log_words": "Write true or false.",
}

_SENTENCES = {
    "int_parsing": "is not a whole number.",
    "float_parsing": "is not a number.",
    "bool_parsing": "is neither true nor false.",
    "string_pattern_mismatch": "has the wrong form.",
}


def load_settings(environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")) -> Settings:
    """Read the settings: the environment (the process's own for None) before the `.env` file, if it is there.

    Each variable may be given as `NAME_FILE` with the path of a file that holds the value; empty variables
    count as unset. Raises ConfigError with every problem at once; no message holds a value of a secret.
    """
    layers = [Layer("environment", os.environ if environ is None else environ)]
    problems: list[ConfigProblem] = []
    if env_file is not None and env_file.is_file():
        try:
            values, unread = read_dotenv(env_file)
            layers.append(Layer(str(env_file), values, ours_alone=True))
            problems += unread
        except (OSError, UnicodeDecodeError) as error:
            problems.append(ConfigProblem(str(env_file), "", f"cannot be read: {error}."))
    found, more = read_variables(_VARIABLES, layers)
    problems += more
    settings: Settings | None = None
    try:
        settings = Settings.model_validate({field: value.text for field, value in found.items()})
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            field = str(detail["loc"][0])
            value = found[field]
            problems.append(ConfigProblem(value.source, value.name, _sentence(detail), _FIXES.get(field, "")))
    if problems or settings is None:
        raise ConfigError(problems)
    return settings


def with_options(settings: Settings, options: Mapping[str, Any]) -> Settings:
    """Put a command's options, by field, before the settings; None stands for one that was not given.

    Raises ConfigError with every option that cannot be used.
    """
    given = {field: value for field, value in options.items() if value is not None}
    try:
        return Settings.model_validate({**settings.model_dump(), **given})
    except ValidationError as error:
        problems = []
        for detail in error.errors(include_url=False, include_input=False):
            field = str(detail["loc"][0])
            option = f"--{field.replace('_', '-')}"
            problems.append(ConfigProblem("options", option, _sentence(detail), _FIXES.get(field, "")))
        raise ConfigError(problems) from None


def _sentence(detail: Mapping[str, Any]) -> str:
    if detail["type"] == "value_error":
        return f"{detail['ctx']['error']}."
    if detail["type"] in _SENTENCES:
        return _SENTENCES[detail["type"]]
    return f"{str(detail['msg']).replace('Input should be', 'must be')}."
