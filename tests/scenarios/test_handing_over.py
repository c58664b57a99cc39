"""A call that is handed to somebody else, and what a caller writes beside it."""

from __future__ import annotations

from collections.abc import Sequence

from call_rig import asks_once, assistant_from, running_call

from offhook.pipeline.messages import CallerSaid, ModelDelta, ModelRequest, TextDelta, ToolRequest

SALES = {"sales": {"number": "+14155550101", "message": "I am putting you through to sales."}}
BOTH = {**SALES, "repairs": {"number": "+14155550102", "message": "One moment for the repair shop."}}


def transfer_tool(destinations: object) -> dict[str, object]:
    return {"name": "transfer", "kind": "transfer_call", "destinations": destinations}


async def test_a_call_is_handed_over_after_its_last_words_were_heard() -> None:
    assistant = assistant_from(tools=[transfer_tool(SALES)])
    async with running_call(assistant, lambda request: [ToolRequest("x", "transfer", "{}")]) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Please connect me with sales.")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies()[-1] == "I am putting you through to sales."
        assert rig.control.outcome == {
            "status": "transfer",
            "number": "+14155550101",
            "reason": "the assistant transferred the call",
        }
        assert rig.line.closed


async def test_the_model_chooses_among_names_and_never_learns_a_number() -> None:
    assistant = assistant_from(tools=[transfer_tool(BOTH)])
    asked: list[ModelRequest] = []

    def model(request: ModelRequest) -> Sequence[ModelDelta]:
        asked.append(request)
        return [ToolRequest("x", "transfer", '{"destination": "repairs"}')]

    async with running_call(assistant, model) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("My bike is broken.")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.control.outcome is not None
        assert rig.control.outcome["number"] == "+14155550102"
    assert [spec.parameters["properties"]["destination"]["enum"] for spec in asked[0].tools] == [
        ["sales", "repairs"]
    ]
    assert "+1415" not in repr(asked)


async def test_a_destination_that_is_none_goes_back_to_the_model_and_hands_nothing_over() -> None:
    assistant = assistant_from(tools=[transfer_tool(BOTH)])

    def model(request: ModelRequest) -> Sequence[ModelDelta]:
        told = any("must be one of" in repr(message) for message in request.messages)
        return [TextDelta("Sales or repairs?")] if told else [ToolRequest("x", "transfer", '{"to": "x"}')]

    async with running_call(assistant, model) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Connect me.")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies()[-1] == "Sales or repairs?"
        assert not rig.line.closed


async def test_a_caller_who_speaks_into_the_last_words_is_not_handed_over() -> None:
    assistant = assistant_from(tools=[transfer_tool(SALES)])

    async with running_call(assistant, asks_once("transfer", then="Of course.")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Please connect me with sales.")
        await rig.agent_starts()
        await rig.sleep(0.3)
        await rig.caller_says("oh wait one more question", 1.0)
        await rig.agent_is_silent(for_s=1.5)
        assert rig.heard_replies()[-1] == "Of course."
        assert not rig.line.closed


async def test_an_operator_hands_a_call_over_with_or_without_last_words() -> None:
    for last_words in ("Your doctor takes over now.", ""):
        async with running_call(assistant_from(first_message="Hello there."), lambda _: []) as rig:
            await rig.sleep(3)
            rig.call.transfer("+14155550199", last_words=last_words)
            await rig.agent_is_silent()
            assert rig.heard_replies()[-1] == (last_words or "Hello there.")
            assert rig.control.outcome == {
                "status": "transfer",
                "number": "+14155550199",
                "reason": "transferred by the operator",
            }


async def test_a_caller_who_is_gone_is_handed_to_nobody() -> None:
    assistant = assistant_from(tools=[transfer_tool(SALES)])
    async with running_call(assistant, lambda request: [ToolRequest("x", "transfer", "{}")]) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Please connect me with sales.")
        await rig.agent_starts()
        rig.call.line_closed("stopped")
        await rig.sleep(0.5)
        assert rig.control.outcome is not None
        assert rig.control.outcome["status"] == "ended"


async def test_what_a_caller_writes_is_a_turn_that_is_answered_by_voice() -> None:
    def model(request: ModelRequest) -> Sequence[ModelDelta]:
        last = [message for message in request.messages if isinstance(message, CallerSaid)][-1]
        return [TextDelta(f"You wrote {last.text}.")]

    async with running_call(assistant_from(), model) as rig:
        await rig.sleep(0.5)
        rig.call.take_text("order 4711")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies()[-1] == "You wrote order 4711."
        assert rig.log.of("turn.ended")[-1]["reason"] == "the caller wrote it"


async def test_texts_wait_until_the_agent_has_spoken_and_are_one_turn() -> None:
    greeting = "Hello and welcome to the bicycle shop on Main Street."
    asked: list[str] = []

    def model(request: ModelRequest) -> Sequence[ModelDelta]:
        asked.append([message for message in request.messages if isinstance(message, CallerSaid)][-1].text)
        return [TextDelta("Thank you.")]

    async with running_call(assistant_from(first_message=greeting), model) as rig:
        await rig.agent_starts()
        rig.call.take_text("first")
        rig.call.take_text("second")
        await rig.agent_is_silent(for_s=1)
        assert rig.heard_replies() == [greeting, "Thank you."]
        assert asked == ["first\nsecond"]


async def test_a_text_takes_a_goodbye_back_that_waits_for_its_end() -> None:
    assistant = assistant_from(tools=[{"name": "bye", "kind": "end_call"}], goodbye="Goodbye and thank you.")

    async with running_call(assistant, asks_once("bye", then="Still here.")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("That is all.")
        await rig.agent_starts()
        rig.call.take_text("one more thing")
        await rig.agent_is_silent(for_s=1.5)
        assert rig.heard_replies()[-1] == "Still here."
        assert not rig.line.closed
