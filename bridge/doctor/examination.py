"""All checks, asked at once and told in one order."""

from __future__ import annotations

__all__ = ["Surroundings", "examine", "read_configuration"]

import asyncio
import ssl
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import load_assistant
from offhook.config.assistants import DEMO
from offhook.config.errors import CarrierError, ConfigError, ConfigProblem
from offhook.config.settings import Settings
from offhook.config.settings_checks import contradictions, notices
from offhook.pipeline.providers.catalogue import unmet_needs

from ..twilio.account import TwilioAccount, account_of
from .asking import Answer, Asking
from .carrier import ACCOUNT, NUMBER, judge_number, judge_standing
from .embedded_models import judge_models, missing_models
from .finding import Finding, Outcome, failed, not_checked, ok, warning
from .machine import judge_machine, look_at_machine
from .place import (
    judge_folder,
    judge_port,
    judge_readiness,
    look_at_folder,
    look_at_port,
    look_at_readiness,
)
from .public_way import ONLY_LOCAL, public_findings
from .vendor_accounts import Question, ask_vendor, judge_vendor, vendor_questions
from .wall_clock import judge_clock

SETTINGS, ASSISTANT, VENDORS = "settings", "assistant", "vendors"
TWILIO_API = "https://api.twilio.com"


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the checks find around them; tests give their own."""

    wall_time: Callable[[], float] = time.time
    """Unix seconds."""
    certificates: ssl.SSLContext | None = None
    """Whose certificates are trusted; None: the system's."""


def read_configuration(
    load: Callable[[], Settings], file: Path | None
) -> tuple[Settings | None, Assistant | None, list[Finding]]:
    """Read settings and assistant; what cannot be read is None, and among the findings."""
    settings: Settings | None = None
    assistant: Assistant | None = None
    findings: list[Finding] = []
    try:
        settings = load()
        findings += _failures(SETTINGS, contradictions(settings))
        findings += [warning(SETTINGS, notice, "See docs/settings.md.") for notice in notices(settings)]
        if not findings:
            findings.append(ok(SETTINGS, "The settings can be read and go together."))
    except ConfigError as error:
        findings += _failures(SETTINGS, error.problems)
    try:
        assistant = load_assistant(file or DEMO)
        findings.append(ok(ASSISTANT, f"{assistant.name} ({file or 'the demo'}) can be used."))
    except ConfigError as error:
        findings += _failures(ASSISTANT, error.problems)
    return settings, assistant, findings


def _failures(check: str, problems: Sequence[ConfigProblem]) -> Iterator[Finding]:
    for problem in problems:
        yield failed(check, str(replace(problem, fix="")), problem.fix)


async def examine(
    settings: Settings, assistant: Assistant | None, surroundings: Surroundings | None = None
) -> list[Finding]:
    """Ask everything at once, and tell it in one order; takes 21 s at most."""
    around = surroundings or Surroundings()
    async with Asking(around.wall_time, certificates=around.certificates) as asking:
        async with asyncio.TaskGroup() as group:
            vendors = group.create_task(_vendors(settings, assistant, asking))
            carrier = group.create_task(_carrier(settings, asking))
            way = public_findings(settings, asking, around.wall_time, around.certificates)
            public = group.create_task(way)
            local = group.create_task(_local(settings, assistant, asking))
        asked = (*vendors.result(), *carrier.result(), *public.result())
    return [*asked, judge_clock(asking.dates), *local.result()]


async def _vendors(settings: Settings, assistant: Assistant | None, asking: Asking) -> list[Finding]:
    if assistant is None:
        return [not_checked(VENDORS, "The assistant cannot be read.")]
    unmet: dict[str, list[Finding]] = {}
    for each in unmet_needs(assistant, settings.account):
        place = each.key.removesuffix(".provider")
        unmet.setdefault(place, []).append(failed(place, each.message, each.fix))
    models = judge_models(list(missing_models(assistant)))
    questions = list(vendor_questions(assistant, settings.account))
    if not questions:
        return [models, not_checked(VENDORS, "The assistant uses none: everything runs on this machine.")]

    async def ask(question: Question) -> list[Finding]:
        lacking = unmet.get(question.place)
        return lacking or [judge_vendor(question, await ask_vendor(question, asking))]

    async with asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(question)) for question in questions]
    return [models, *(finding for task in asked for finding in task.result())]


async def _carrier(settings: Settings, asking: Asking) -> list[Finding]:
    try:
        account = account_of(settings)
    except ConfigError as error:
        names = " and no ".join(each.key for each in error.problems)
        why = f"No {names}: calls are ended without the REST interface."
        return [not_checked(ACCOUNT, why), not_checked(NUMBER, f"No {names}.")]
    if find_spec("twilio") is None:
        told = "The package `twilio` is not installed: calls are ended without the REST interface."
        fix = "Install it: pip install 'offhook[twilio]'."
        return [warning(ACCOUNT, told, fix), not_checked(NUMBER, "The package `twilio` is not installed.")]
    async with asyncio.TaskGroup() as group:
        # For the `Date` of the answer, whatever it is.
        group.create_task(asking.ask("GET", f"{settings.twilio_api_base_url or TWILIO_API}/2010-04-01"))
        asked = group.create_task(_standing_and_number(account, settings))
    return asked.result()


async def _standing_and_number(account: TwilioAccount, settings: Settings) -> list[Finding]:
    try:
        standing = judge_standing(await account.standing())
    except CarrierError as error:
        return [judge_standing(error), not_checked(NUMBER, "The account cannot be asked.")]
    if settings.public_url is None:
        return [standing, not_checked(NUMBER, ONLY_LOCAL)]
    if settings.twilio_phone_number is None:
        return [standing, not_checked(NUMBER, "No TWILIO_PHONE_NUMBER: set it to have its webhook checked.")]
    try:
        number = judge_number(await account.number(settings.twilio_phone_number), settings.public_url)
    except CarrierError as error:
        number = judge_number(error, settings.public_url)
    return [standing, number]


async def _local(settings: Settings, assistant: Assistant | None, asking: Asking) -> list[Finding]:
    machine = await asyncio.to_thread(look_at_machine)
    folder = settings.data_folder
    kept = None if folder is None else await asyncio.to_thread(look_at_folder, folder)
    listening = None if settings.port == 0 else await look_at_port(settings, asking)
    port = judge_port(settings, listening)
    is_up = isinstance(listening, Answer) and port.outcome is Outcome.OK
    ready = judge_readiness(await look_at_readiness(settings, asking) if is_up else None)
    limits = judge_machine(machine, settings, assistant, is_up=is_up)
    return [port, ready, judge_folder(folder, kept), *limits]
