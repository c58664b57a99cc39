"""What a call used of model and voice: what its vendors bill, heard or not."""

from __future__ import annotations

from collections.abc import Sequence

from call_rig import assistant_from, running_call
from fake_engines import says
from written_rig import Post

from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    Instructions,
    ModelDelta,
    ModelRequest,
    StartOver,
    TextDelta,
    ToolRequest,
    ToolSpec,
)
from offhook.pipeline.usage import Usage


def test_a_request_counts_all_that_the_model_reads() -> None:
    usage = Usage()
    said = AgentSaid("x" * 5, tool_requests=(ToolRequest("id", "look", "{}"),))
    spec = ToolSpec("look", "d" * 10, {"type": "object"})
    usage.asked(ModelRequest((Instructions("i" * 20), CallerSaid("c" * 9), said), (spec,)))
    schema = len('{"type": "object"}')
    assert usage.characters_in == 20 + 9 + 5 + len("look{}") + len("look") + 10 + schema
    assert usage.as_data()["tokens_in"] == round(usage.characters_in / 4)


def test_an_answer_counts_its_words_and_what_it_asks_of_tools() -> None:
    usage = Usage()
    for delta in (TextDelta("Hello "), StartOver(), TextDelta("Hi."), ToolRequest("id", "look", "{}")):
        usage.answered(delta)
    assert usage.characters_out == len("Hello Hi.look{}")


async def test_a_call_tells_at_its_end_what_it_used() -> None:
    assistant = assistant_from(first_message="Hello there.", instructions="Be kind.")
    async with running_call(assistant, says("Fine, thanks.")) as rig:
        await rig.agent_starts()
        await rig.agent_is_silent()
        await rig.caller_says("How are you today")
        await rig.agent_starts()
        await rig.agent_is_silent()
        post = Post()
        rig.call.write(post.turn("And now?"))
        await post.came()
        rig.call.line_closed("stopped")
        await rig.sleep(0.1)
        (ended,) = rig.log.of("call.ended")
    assert ended["usage"]["voice_characters"] == len("Hello there.Fine, thanks.")
    assert ended["usage"]["model_requests"] == 2
    assert ended["usage"]["tokens_out"] == round(2 * len("Fine, thanks.") / 4)


async def test_a_model_that_fails_is_billed_for_each_try() -> None:
    def fine(request: ModelRequest) -> Sequence[ModelDelta | float]:
        return [TextDelta("Fine.")]

    async with running_call(None, fine) as rig:
        rig.model.fails = 1
        await rig.caller_says("How are you today")
        await rig.agent_starts()
        rig.call.line_closed("stopped")
        await rig.sleep(0.1)
        (ended,) = rig.log.of("call.ended")
    assert ended["usage"]["model_requests"] == 2
