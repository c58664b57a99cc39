"""Do the assistant's vendors take the key? Each is asked for what a call asks it for, and nothing is used.

Deepgram and ElevenLabs are asked for the very socket that a call opens, with its model, language and voice;
it is closed before any audio or text. OpenAI, and whoever speaks its protocol, is asked for its models.
"""

from __future__ import annotations

__all__ = ["Question", "ask_vendor", "judge_vendor", "vendor_questions"]

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode

from offhook.config.assistant import Assistant, ModelChoice, TranscriberChoice, VoiceChoice
from offhook.config.errors import ProviderBusy
from offhook.config.vendors import KEY_VARIABLES, Account, is_flux
from offhook.pipeline.providers.deepgram_flux import Flux
from offhook.pipeline.providers.deepgram_nova import Nova
from offhook.pipeline.providers.elevenlabs_options import error_of_code, speech_options
from offhook.pipeline.providers.openai import DEFAULT_MODEL

from .asking import Answer, Asking, NoAnswer, SocketTold
from .finding import Finding, failed, ok, warning

DEEPGRAM_URL = "https://api.deepgram.com"
OPENAI_URL = "https://api.openai.com/v1"
_GOODBYES = {"deepgram": '{"type":"CloseStream"}', "elevenlabs": '{"close_socket":true}'}
"""Deepgram documentation: Close Stream; ElevenLabs documentation: multi-context WebSocket."""
_CODE = re.compile(r"[A-Za-z0-9_-]{1,48}")


@dataclass(frozen=True, slots=True)
class Question:
    """What a vendor is asked on behalf of one line of the assistant file."""

    place: str
    """"transcriber", "voice.fallbacks.0"."""
    vendor: str
    model: str
    """What is asked for, by the vendor's name."""
    url: str
    headers: Mapping[str, str] = field(repr=False)
    """They hold the key."""
    own_key: bool = False
    """The key, if any, is the assistant file's own."""

    @property
    def fix_of_key(self) -> str:
        """Where the key stands."""
        if self.own_key:
            return f"Check {self.place}.api_key in the assistant file."
        return f"Copy the key from the vendor's console into {KEY_VARIABLES[self.vendor]} again."


def vendor_questions(assistant: Assistant, account: Callable[[str], Account]) -> Iterator[Question]:
    """Yield a question for each line of the assistant file that names a vendor."""
    for stage in ("transcriber", "model", "voice"):
        for index, choice in enumerate(getattr(assistant, stage).choices):
            place = stage if index == 0 else f"{stage}.fallbacks.{index - 1}"
            if choice.provider in KEY_VARIABLES:
                yield _question(place, choice, assistant.language, account(choice.provider))


def _question(
    place: str, choice: TranscriberChoice | ModelChoice | VoiceChoice, language: str, account: Account
) -> Question:
    key = account.key.get_secret_value() if account.key is not None else ""
    if isinstance(choice, TranscriberChoice):
        dialect = (Flux if is_flux(choice.model) else Nova)(
            choice, language, connection=0, begins_at_s=0.0, now=0.0
        )
        base = "ws" + (account.base_url or DEEPGRAM_URL).removeprefix("http")
        asked = {name: _spelled(value) for name, value in dialect.query.items()}
        url = f"{base}/{dialect.version}/listen?{urlencode(asked, doseq=True)}"
        return Question(place, "deepgram", str(asked["model"]), url, {"Authorization": f"Token {key}"})
    if isinstance(choice, VoiceChoice):
        options = speech_options(choice, language, account)
        named = f"{options.model_id}, voice {options.voice_id}"
        return Question(place, "elevenlabs", named, options.socket_url, {"xi-api-key": key})
    url = f"{choice.base_url or account.base_url or OPENAI_URL}/models"
    if choice.base_url is not None:
        key = choice.api_key.get_secret_value() if choice.api_key is not None else ""
    headers = {"Authorization": f"Bearer {key or 'none'}"}
    return Question(place, "openai", choice.name or DEFAULT_MODEL, url, headers, choice.base_url is not None)


def _spelled(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


async def ask_vendor(question: Question, asking: Asking) -> SocketTold | Answer | NoAnswer:
    """Ask."""
    goodbye = _GOODBYES.get(question.vendor)
    if goodbye is None:
        return await asking.ask("GET", question.url, headers=question.headers)
    return await asking.open_socket(question.url, headers=question.headers, goodbye=goodbye)


def judge_vendor(question: Question, told: SocketTold | Answer | NoAnswer) -> Finding:
    """Say whether calls can have what they will ask for."""
    place, vendor = question.place, question.vendor
    match told:
        case NoAnswer():
            fix = f"Check this machine's network, and {vendor.upper()}_BASE_URL if it is set."
            if question.own_key:
                fix = f"Check that the server runs, and {place}.base_url in the assistant file."
            return failed(place, f"`{vendor}` {told.reason}.", fix)
        case SocketTold():
            return _of_socket(question, told)
    if 200 <= told.status < 300:
        return _of_models(question, told.body)
    return _of_refusal(question, told.status)


def _of_refusal(question: Question, status: int) -> Finding:
    place, told = question.place, f"`{question.vendor}` answers with HTTP {status}"
    if status in (401, 403):
        return failed(place, f"{told}: it does not take the key, or not for this.", question.fix_of_key)
    if status == 402:
        return failed(place, f"{told}: nothing is left to pay for calls with.", "Fill the account up there.")
    if status in (400, 422):
        fix = f"Check model, language and options under {place} in the assistant file."
        return failed(place, f"{told}: it cannot do what the assistant asks for ({question.model}).", fix)
    if status == 404:
        fix = f"Check {question.vendor.upper()}_BASE_URL, and what {place} names in the assistant file."
        return failed(place, f"{told}: there is no such address, or no {question.model}.", fix)
    if status in (408, 425, 429) or status >= 500:
        return warning(place, f"{told}: it is busy or has a fault of its own.", "Try again in a minute.")
    fix = f"Check {question.vendor.upper()}_BASE_URL: another server may answer there."
    return failed(place, f"{told}, which means nothing here.", fix)


def _of_socket(question: Question, told: SocketTold) -> Finding:
    place, vendor = question.place, question.vendor
    code = _error_code(told.texts)
    if code is None and told.close_code not in (None, 1000, 1005):
        code = f"close code {told.close_code}"
    if code is None:
        return ok(place, f"`{vendor}` takes the key and serves {question.model}.")
    sentence = f"`{vendor}` reports an error ({code})."
    if vendor == "elevenlabs" and isinstance(error_of_code(code), ProviderBusy):
        return warning(place, sentence, "It passes by itself; try again in a minute.")
    fix = question.fix_of_key
    if "key" not in code and "auth" not in code:
        fix = f"Check what {place} names in the assistant file, and the account at the vendor's."
    return failed(place, sentence, fix)


def _error_code(texts: tuple[str, ...]) -> str | None:
    """The name of the first error among messages: Deepgram's `code`, ElevenLabs' `error`; not their words."""
    for text in texts:
        try:
            message = json.loads(text)
        except ValueError:
            continue
        if not isinstance(message, dict):
            continue
        if "error" in message or message.get("type") == "Error":
            code = message.get("error") or message.get("code") or message.get("variant")
            return code if isinstance(code, str) and _CODE.fullmatch(code) else "without a name"
    return None


def _of_models(question: Question, body: bytes) -> Finding:
    place, vendor = question.place, question.vendor
    try:
        listed = [str(item["id"]) for item in json.loads(body)["data"]]
    except (ValueError, KeyError, TypeError):
        fix = (
            f"Check {'base_url' if question.own_key else 'OPENAI_BASE_URL'}: another server may answer there."
        )
        return warning(place, f"`{vendor}` answers, but not with a list of models.", fix)
    if not listed:
        return ok(place, f"`{vendor}` takes the key; it lists no models.")
    # Ollama lists "llama3.2:latest" for what is asked for as "llama3.2".
    if question.model in listed or f"{question.model}:latest" in listed:
        return ok(place, f"`{vendor}` takes the key and serves {question.model}.")
    fix = f"Check {place}.name in the assistant file; a server that serves one model may not mind the name."
    return warning(
        place, f"`{vendor}` takes the key, and {question.model} is not in its list of models.", fix
    )
