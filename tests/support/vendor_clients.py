"""Emulated vendors on virtual time, and offhook's own clients of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from bridge_rig import loop_clock
from pydantic import SecretStr

from offhook.config.assistant import ModelChoice
from offhook.config.vendors import Account
from offhook.lab.trials.vendors import trial_vendors
from offhook.lab.vendors.server import VendorServer
from offhook.pipeline.ports import LanguageModel
from offhook.pipeline.providers.openai import OpenAIModel


@asynccontextmanager
async def vendors(
    model: LanguageModel | None = None, profile: str = "instant"
) -> AsyncIterator[VendorServer]:
    async with trial_vendors(loop_clock(), profile=profile, model=model) as emulated:
        yield emulated


@asynccontextmanager
async def openai_model(
    emulated: VendorServer | None = None, *, account: Account | None = None, **fields: Any
) -> AsyncIterator[OpenAIModel]:
    choice = ModelChoice.model_validate({"provider": "openai", "name": "gpt-test", **fields})
    model = OpenAIModel(choice, account or (emulated.account("openai") if emulated else Account()))
    await model.start()
    try:
        yield model
    finally:
        await model.close()


def wrong_key(emulated: VendorServer, vendor: str) -> Account:
    return Account(SecretStr("sk-wrong-key"), emulated.account(vendor).base_url)
