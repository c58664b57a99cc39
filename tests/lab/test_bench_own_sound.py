"""Every call has audio of its own: what is wrong, missing or doubled is seen at both ends."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.codecs.audio_format import MULAW_8K, PCM_16K, PCM_24K, converter
from offhook.lab.bench.null_engines import (
    CheckingTranscriber,
    OwnVoice,
    SteadyModel,
    reply_text,
)
from offhook.lab.bench.own_sound import (
    BLOCKS,
    Inside,
    SoundCheck,
    Walk,
    caller_carpet,
    recognised_blocks,
    spoken_blocks,
)
from offhook.lab.bench.own_voice_check import HeardBlocks, OwnVoiceCheck
from offhook.lab.bench.stamp import STAMP_BYTES, stamp
from offhook.pipeline.messages import ModelRequest, TextDelta
from offhook.pipeline.segmenter import clauses_of

SPOKEN, _INSIDES = spoken_blocks()
HEARD = HeardBlocks(_INSIDES)
CARPET, RECOGNISED = caller_carpet(), recognised_blocks()
MESSAGE = 800


@given(st.integers(0, 100_000), st.integers(0, 100_000), st.integers(0, BLOCKS))
def test_two_calls_share_no_two_blocks_in_a_row(one: int, other: int, number: int) -> None:
    ways = [(Walk.of(call).block(number), Walk.of(call).block(number + 1)) for call in (one, other)]

    assert one == other or ways[0] != ways[1]


@given(st.integers(0, 20_000), st.integers(0, 2_000))
def test_the_first_inside_of_a_piece_lies_in_it(at: int, size: int) -> None:
    inside = Inside(48, 160)
    number = inside.number(at, size)
    numbers = [each for each in range(200) if each * 160 + 48 >= at and (each + 1) * 160 <= at + size]

    assert number == (numbers[0] if numbers else None)


async def said_by(call: int) -> bytes:
    """Two replies of a call, as carrier bytes."""
    voice, carrier = OwnVoice(call, SPOKEN), bytearray()
    for _ in range(2):
        for clause in clauses_of(reply_text()):
            convert = converter(PCM_24K, MULAW_8K)
            async for piece in voice.speak(clause):
                carrier += convert.feed(piece.audio)
            carrier += convert.flush()
    return bytes(carrier)


def heard_of(call: int, messages: Sequence[bytes]) -> SoundCheck:
    """What the far end of a call makes of them."""
    check = SoundCheck()
    voice = OwnVoiceCheck(call, HEARD, check)
    for message in messages:
        audio = stamp(123_456_789) + message[STAMP_BYTES:] if len(message) > STAMP_BYTES else message
        voice.took(b64encode(audio), len(audio))
    return check


def messages_of(audio: bytes) -> list[bytes]:
    """The first 20 ms at once, then 100 ms at a time."""
    return [audio[:160], *(audio[at : at + MESSAGE] for at in range(160, len(audio), MESSAGE))]


async def test_an_agents_own_audio_is_known_to_the_last_message() -> None:
    messages = messages_of(await said_by(7))
    check = heard_of(7, messages)

    assert check.wrong == 0
    assert check.checked > 0.95 * len(messages)


async def test_another_calls_audio_is_wrong() -> None:
    check = heard_of(7, messages_of(await said_by(8)))

    # Their silence at the end of a reply is the same.
    assert check.wrong > 0.9 * check.checked


@pytest.mark.parametrize(("change", "jumps"), [("lost", 1), ("doubled", 1), ("swapped", 3)])
async def test_a_message_that_is_not_where_it_belongs_is_out_of_place(change: str, jumps: int) -> None:
    messages = messages_of(await said_by(7))
    changed = {
        "lost": [*messages[:20], *messages[21:]],
        "doubled": [*messages[:20], messages[20], *messages[20:]],
        "swapped": [*messages[:20], messages[21], messages[20], *messages[22:]],
    }[change]
    check = heard_of(7, changed)

    assert (check.out_of_place, check.wrong) == (jumps, 0)


async def test_other_words_in_between_are_wrong_and_what_follows_is_out_of_place_once() -> None:
    messages = messages_of(await said_by(7))
    check = heard_of(7, [*messages[:20], b"\x30" * MESSAGE, *messages[20:]])

    assert (check.out_of_place, check.wrong) == (1, 1)


@given(st.integers(0, 5000), st.integers(0, 5000), st.integers(-400, 400))
def test_a_block_is_known_by_its_number(call: int, number: int, off: int) -> None:
    walk = Walk.of(call)

    assert walk.number(walk.block(number), near=max(0, number + off)) % BLOCKS == number % BLOCKS
    assert walk.number(walk.block(number), near=number) == number


def recognised_of(call: int, frames: Sequence[bytes]) -> SoundCheck:
    """What the recogniser of a call makes of these carrier bytes."""
    check = SoundCheck()
    stream = CheckingTranscriber(call, RECOGNISED, check).open(lambda _: None, connection=0, begins_at_s=0.0)
    convert = converter(MULAW_8K, PCM_16K)
    for frame in frames:
        stream.push(convert.feed(frame))
    return check


def frames_of(call: int, count: int) -> list[bytes]:
    return [CARPET[Walk.of(call).block(number)] for number in range(count)]


def test_a_callers_own_audio_is_known_one_frame_a_second() -> None:
    frames = frames_of(5, 1000)
    frames[::5] = [stamp(99) + frame[STAMP_BYTES:] for frame in frames[::5]]
    check = recognised_of(5, frames)

    assert (check.checked, check.wrong) == (20, 0)


def test_frames_may_come_several_at_a_time() -> None:
    frames = frames_of(5, 1000)
    check = recognised_of(5, [b"".join(frames[at : at + 3]) for at in range(0, 1000, 3)])

    assert check.checked >= 19
    assert check.wrong == 0


@pytest.mark.parametrize(
    "frames",
    [frames_of(5, 100)[:30] + frames_of(5, 100)[31:], frames_of(5, 31) + frames_of(5, 100)[30:]],
)
def test_a_callers_audio_that_misses_a_frame_or_has_one_twice_is_wrong(frames: list[bytes]) -> None:
    assert recognised_of(5, frames).wrong >= 1


def test_another_callers_audio_is_wrong() -> None:
    check = recognised_of(5, frames_of(6, 100))

    assert check.checked == check.wrong == 2


def test_sound_that_differs_in_the_last_bit_is_the_same() -> None:
    check = SoundCheck()
    assert check.pcm((1000).to_bytes(2, "little"), (1001).to_bytes(2, "little"))
    assert check.mulaw(b"\x21\x90", b"\x20\x91")

    assert not check.pcm((1000).to_bytes(2, "little"), (1100).to_bytes(2, "little"))
    assert not check.mulaw(b"\x25", b"\x20")
    assert not check.mulaw(b"", b"\x20")
    assert check.checked == 5


async def test_every_reply_is_the_same_text_in_clauses_of_equal_length() -> None:
    deltas = [delta async for delta in SteadyModel().respond(ModelRequest(()))]

    assert deltas == [TextDelta(reply_text())]
    assert {len(clause.split()) for clause in clauses_of(reply_text())} == {8}
