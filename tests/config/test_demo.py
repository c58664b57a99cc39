"""The demo assistant and its order book."""

from __future__ import annotations

import asyncio
import inspect
import re

import jsonschema

from offhook.config.assistant_loading import load_assistant
from offhook.config.assistants import DEMO
from offhook.config.assistants.orders import ORDERS, check_order_status
from offhook.config.callables import import_callable
from offhook.config.templates import placeholders

ASSISTANT = load_assistant(DEMO)


def test_the_demo_loads_without_a_notice() -> None:
    assert ASSISTANT.notices == ()


def test_every_intent_has_at_least_8_examples() -> None:
    assert min(len(intent.say) for intent in ASSISTANT.model.intents) >= 8


def test_the_shipping_policy_takes_about_half_a_minute_in_several_clauses() -> None:
    (policy,) = (intent.reply for intent in ASSISTANT.model.intents if intent.name == "shipping_policy")
    assert 95 <= len(policy.split()) <= 115
    assert len(re.findall(r"[.,]", policy)) >= 8


def test_the_order_book_is_fit_to_be_spoken() -> None:
    assert len(ORDERS) >= 8
    for number, order in ORDERS.items():
        assert re.fullmatch(r"\d{5}", number)
        assert not re.search(r"\d", order.status + order.arrival)
        assert order.arrival.endswith(".")


async def test_an_order_is_found_and_an_unknown_one_is_told(monkeypatch: object) -> None:
    found, unknown = await asyncio.gather(check_order_status("12345"), check_order_status("11111"))
    assert found["status"] == "is out for delivery"
    assert "not in our books" in unknown["status"]
    for intent in ASSISTANT.model.intents:
        if intent.tool == "check_order_status":
            assert set(placeholders(intent.tool_reply)) <= {*found, *intent.slots}


def test_the_tool_takes_what_its_schema_says() -> None:
    tool = ASSISTANT.tool("check_order_status")
    assert tool is not None
    assert tool.callable is not None
    function = import_callable(tool.callable)
    assert inspect.iscoroutinefunction(function)
    assert set(inspect.signature(function).parameters) == set(tool.parameters["properties"])
    for number in ORDERS:
        jsonschema.validate({"order_number": number}, tool.parameters)


def test_the_fallback_names_what_it_can_do() -> None:
    for word in ("order", "hours", "returns", "shipping"):
        assert word in ASSISTANT.model.fallback
