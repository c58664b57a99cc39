"""A caller who cuts in again and again: what the vendors see of it, and what is left open at them."""

from __future__ import annotations

from vendor_rig import vendor_call

CUT_INS = 200
AUDIO = " ".join(["lantern meadow nutmeg ocean pepper quartz river silver."] * 6)
SEEN_WITHIN_S = 0.05


async def test_two_hundred_rapid_cut_ins_leave_nothing_open_and_never_meet_the_limit() -> None:
    words = ["anchor basket", "candle dragon", "engine forest", "garden hammer"]
    turn_taking = {"silence_prompts": [], "speculate": False, "endpointing_ms": 200}
    async with vendor_call(answers=[AUDIO], profile="tutorial", turn_taking=turn_taking) as rig:
        for number in range(CUT_INS + 1):
            await rig.caller_says(words[number % len(words)])
            await rig.call.agent_starts(10.0)
        await rig.call.sleep(0.5)
        assert len(rig.events("audio.cancelled")) >= CUT_INS
        assert rig.call.log.of("provider.failed") == []
        assert rig.vendors.world.sightings.most_open["elevenlabs context"] <= 5
        assert rig.vendors.world.connections.made["elevenlabs"] == 1
        assert rig.vendors.world.sightings.of("elevenlabs", "refused") == []


async def test_a_reply_that_is_cut_off_is_seen_cancelled_by_both_vendors_at_once() -> None:
    async with vendor_call(
        # The model still writes while it is cut off, and the voice still speaks its first, long sentence.
        answers=[" ".join([AUDIO] * 8).replace(".", "")],
        profile="tutorial",
        turn_taking={"silence_prompts": [], "speculate": False},
    ) as rig:
        await rig.caller_says("anchor basket")
        await rig.call.agent_starts(10.0)
        await rig.caller_says("candle dragon")
        await rig.call.sleep(0.2)
        (cut,) = rig.events("audio.cancelled")
        cut_s = rig.call.began_s + cut.at_ms / 1000
        for vendor in ("openai", "elevenlabs"):
            seen = rig.vendors.world.sightings.of(vendor, "cancelled")
            assert seen, f"{vendor} was told nothing"
            assert -0.001 <= seen[0].at_s - cut_s <= SEEN_WITHIN_S
