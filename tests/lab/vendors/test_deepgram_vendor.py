"""The emulated Deepgram, seen by a client that speaks the protocol by itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import pytest
from deepgram_rig import KEY, Rig, Said, strictly, vendor
from fake_engines import QUIET, SOUND
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from offhook.lab.vendors.faults import FaultKind
from offhook.lab.vendors.latency import Delay
from offhook.lab.vendors.mishaps import MALFORMED

V1 = {"model": "nova-3", "encoding": "mulaw", "sample_rate": "8000"}
V2 = {"model": "flux-general-en", "encoding": "mulaw", "sample_rate": "8000"}
HELLO = Said(0.5, 1.5, "Hello there.")
AND_TEA = Said(3.0, 4.0, "And some tea.")


@dataclass
class Client:
    """A connection, and every message that came, each of which the SDK's models take as it is."""

    socket: ClientConnection
    version: str
    said: list[Said]
    messages: list[dict[str, Any]] = field(default_factory=list)
    media_s: float = 0.0
    malformed: int = 0
    closed: ConnectionClosed | None = None

    async def listen(self) -> None:
        try:
            while True:
                text = await self.socket.recv()
                if text == MALFORMED:
                    self.malformed += 1
                    continue
                message = json.loads(text)
                strictly(self.version, message)
                self.messages.append(message)
        except ConnectionClosed as closed:
            self.closed = closed

    async def speak(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.02)):
            loud = any(said.begins_s <= self.media_s + 1e-6 < said.ends_s for said in self.said)
            await self.socket.send(bytes([SOUND if loud else QUIET]) * 160)
            self.media_s += 0.02
            await asyncio.sleep(0.02)

    async def say(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    def of(self, type_: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == type_]

    @property
    def events(self) -> list[str]:
        return [message["event"] for message in self.of("TurnInfo")]

    @property
    def finals(self) -> list[str]:
        return [
            message["channel"]["alternatives"][0]["transcript"]
            for message in self.of("Results")
            if message["is_final"]
        ]


@asynccontextmanager
async def connected(
    rig: Rig, version: str, query: Mapping[str, Any], key: str = KEY
) -> AsyncIterator[Client]:
    url = f"ws://127.0.0.1:{rig.server.port}/{version}/listen?{urlencode(query, doseq=True)}"
    headers = {"Authorization": f"Token {key}"}
    async with connect(url, additional_headers=headers, close_timeout=0.5) as socket:
        client = Client(socket, version, rig.inside.said)
        listening = asyncio.create_task(client.listen())
        yield client
        await socket.close()
        await listening


async def _refused(
    rig: Rig, version: str, query: Mapping[str, Any], key: str = KEY
) -> tuple[int, dict[str, Any]]:
    with pytest.raises(InvalidStatus) as caught:
        async with connected(rig, version, query, key):
            pass
    response = caught.value.response
    return response.status_code, json.loads(response.body or b"{}")


# ------------------------------------------------------------------- /v1


async def test_v1_gives_interim_results_and_a_final_one_at_the_endpoint() -> None:
    async with vendor([HELLO, AND_TEA]) as rig:
        async with connected(rig, "v1", V1 | {"interim_results": "true", "endpointing": "300"}) as client:
            await client.speak(5.0)
            results = client.of("Results")

        assert client.finals == [HELLO.text, AND_TEA.text]
        finals = [message for message in results if message["is_final"]]
        assert all(message["speech_final"] and not message["from_finalize"] for message in finals)
        assert len(results) > len(finals)
        assert finals[0]["start"] == 0.0
        assert finals[0]["duration"] == pytest.approx(1.8, abs=0.05)
        assert finals[1]["start"] == pytest.approx(finals[0]["duration"])
        words = finals[0]["channel"]["alternatives"][0]["words"]
        assert [word["word"] for word in words] == ["hello", "there"]
        assert [word["punctuated_word"] for word in words] == ["Hello", "there."]
        assert words[0]["start"] == pytest.approx(0.5, abs=0.05)
        assert words[-1]["end"] == pytest.approx(1.5, abs=0.05)


async def test_v1_is_quiet_between_finals_if_nobody_asks_for_interim_results() -> None:
    async with vendor([HELLO]) as rig:
        async with connected(rig, "v1", V1) as client:
            await client.speak(3.0)
        assert [message["is_final"] for message in client.of("Results")] == [True]


async def test_v1_finalizes_when_it_is_told_to() -> None:
    async with vendor([HELLO]) as rig, connected(rig, "v1", V1 | {"endpointing": "false"}) as client:
        await client.speak(3.0)
        assert not client.finals
        await client.say(type="Finalize")
        await client.speak(0.1)
        assert client.finals == [HELLO.text]
        assert client.of("Results")[-1]["from_finalize"]
        await client.say(type="Finalize")
        await client.speak(0.1)
        assert client.finals == [HELLO.text, ""]


async def test_v1_tells_of_speech_and_of_the_end_of_an_utterance_if_asked() -> None:
    query = V1 | {"interim_results": "true", "vad_events": "true", "utterance_end_ms": "1000"}
    async with vendor([HELLO, AND_TEA]) as rig:
        async with connected(rig, "v1", query) as client:
            await client.speak(6.0)
        assert [message["timestamp"] for message in client.of("SpeechStarted")] == pytest.approx(
            [0.5, 3.0], abs=0.05
        )
        ends = [message["last_word_end"] for message in client.of("UtteranceEnd")]
        assert ends == pytest.approx([1.5, 4.0], abs=0.05)


async def test_v1_ends_with_what_was_left_and_metadata() -> None:
    async with vendor([HELLO]) as rig, connected(rig, "v1", V1 | {"endpointing": "false"}) as client:
        await client.speak(2.0)
        await client.say(type="CloseStream")
        await asyncio.sleep(1.0)
        assert client.finals == [HELLO.text]
        assert client.messages[-1]["type"] == "Metadata"
        assert client.messages[-1]["duration"] == pytest.approx(2.0, abs=0.05)
        assert client.closed is not None
        assert client.closed.rcvd is not None
        assert client.closed.rcvd.code == 1000


async def test_v1_closes_after_ten_seconds_without_audio_or_keep_alive() -> None:
    async with vendor() as rig:
        async with connected(rig, "v1", V1) as client:
            for _ in range(5):
                await client.say(type="KeepAlive")
                await asyncio.sleep(9.0)
            alive = client.closed
            await asyncio.sleep(1.5)
            assert alive is None
            assert client.closed is not None
            assert client.closed.rcvd is not None
            assert (client.closed.rcvd.code, client.closed.rcvd.reason) == (1011, "NET-0001")
        assert len(rig.seen("keepalive")) == 5


@pytest.mark.parametrize(("version", "query"), [("v1", V1), ("v2", V2)])
@pytest.mark.parametrize("text", ["nonsense", "[]", '{"type":"Invented"}'])
async def test_a_message_that_is_not_known_ends_the_connection(
    version: str, query: dict[str, str], text: str
) -> None:
    async with vendor() as rig, connected(rig, version, query) as client:
        await client.socket.send(text)
        await asyncio.sleep(0.5)
        assert client.messages[-1]["type"] == "Error"
        assert client.closed is not None


# ------------------------------------------------------------------- /v2


async def test_v2_goes_through_the_states_of_a_turn() -> None:
    said = [Said(0.5, 1.5, "Two of them."), Said(1.95, 2.6, "Please hurry."), Said(5.0, 6.0, "Next turn.")]
    async with vendor(said) as rig:
        async with connected(rig, "v2", V2 | {"eager_eot_threshold": "0.5"}) as client:
            await client.speak(7.5)

        assert client.messages[0]["type"] == "Connected"
        assert [message["sequence_id"] for message in client.messages] == list(range(len(client.messages)))
        turns = [message for message in client.of("TurnInfo") if message["event"] != "Update"]
        assert [(turn["turn_index"], turn["event"]) for turn in turns] == [
            (0, "StartOfTurn"),
            (0, "EagerEndOfTurn"),
            (0, "TurnResumed"),
            (0, "EagerEndOfTurn"),
            (0, "EndOfTurn"),
            (1, "StartOfTurn"),
            (1, "EagerEndOfTurn"),
            (1, "EndOfTurn"),
        ]
        for eager, end in ((turns[3], turns[4]), (turns[6], turns[7])):
            assert eager["transcript"] == end["transcript"] != ""
        assert [turn.get("trigger") for turn in turns if "trigger" in turn] == ["model", "model"]
        assert turns[4]["audio_window_end"] == pytest.approx(2.6 + 0.7, abs=0.1)
        assert turns[1]["audio_window_end"] == pytest.approx(1.5 + 0.32, abs=0.1)


async def test_v2_has_no_eager_events_unless_they_are_asked_for() -> None:
    async with vendor([HELLO]) as rig:
        async with connected(rig, "v2", V2) as client:
            await client.speak(3.0)
        assert {"EagerEndOfTurn", "TurnResumed"}.isdisjoint(client.events)
        assert client.events[-1] == "EndOfTurn"


@pytest.mark.parametrize(
    ("query", "ends_after_s", "trigger"),
    [
        ({"eot_threshold": "0.5"}, 0.5, "model"),
        ({"eot_threshold": "0.9"}, 0.9, "model"),
        ({"eot_threshold": "1.0", "eot_timeout_ms": "1500"}, 1.5, "timeout"),
    ],
)
async def test_v2_ends_a_turn_after_the_silence_its_thresholds_ask_for(
    query: dict[str, str], ends_after_s: float, trigger: str
) -> None:
    async with vendor([HELLO]) as rig:
        async with connected(rig, "v2", V2 | query) as client:
            await client.speak(4.0)
        end = client.of("TurnInfo")[-1]
        assert (end["event"], end["trigger"], end["transcript"]) == ("EndOfTurn", trigger, HELLO.text)
        assert end["audio_window_end"] - 1.5 == pytest.approx(ends_after_s, abs=0.1)


async def test_v2_ends_a_turn_that_it_is_told_to_end() -> None:
    async with vendor([HELLO]) as rig, connected(rig, "v2", V2 | {"eot_threshold": "1.0"}) as client:
        await client.say(type="ForceEndTurn")
        await client.speak(1.9)
        assert "EndOfTurn" not in client.events
        await client.say(type="ForceEndTurn")
        await client.speak(0.2)
        assert client.of("TurnInfo")[-1]["trigger"] == "manual"


async def test_v2_dies_of_a_keep_alive_and_of_twenty_seconds_without_audio() -> None:
    async with vendor() as rig:
        async with connected(rig, "v2", V2) as client:
            await client.say(type="KeepAlive")
            await asyncio.sleep(0.5)
            assert client.of("Error")
            assert client.closed is not None
        async with connected(rig, "v2", V2) as client:
            await asyncio.sleep(19.0)
            quiet = client.closed
            await asyncio.sleep(2.0)
            assert quiet is None
            assert client.closed is not None


# ------------------------------------------------------------ what it refuses


@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_a_wrong_key_is_refused(version: str) -> None:
    async with vendor() as rig:
        status, body = await _refused(rig, version, V1 if version == "v1" else V2, key="other")
        assert (status, body["err_code"]) == (401, "INVALID_AUTH")
        assert rig.seen("refused") == [{"status": 401, "why": "key"}]


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "flux-general-en"},
        {"model": "nova-2", "keyterm": "Zaphod"},
        {"keywords": "Zaphod"},
        {"encoding": "mp3"},
        {"sample_rate": "44100"},
        {"channels": "2"},
        {"smart_format": "True"},
        {"endpointing": "soon"},
        {"utterance_end_ms": "1000"},
        {"utterance_end_ms": "500", "interim_results": "true"},
        {"eot_threshold": "0.7"},
        {"invented": "1"},
        {"language": ["en", "de"]},
    ],
)
async def test_v1_refuses_a_query_that_the_vendor_would_refuse(wrong: dict[str, Any]) -> None:
    async with vendor() as rig:
        status, body = await _refused(rig, "v1", V1 | wrong)
        assert (status, body["err_code"]) == (400, "INVALID_QUERY_PARAMETER")


@pytest.mark.parametrize(
    "wrong",
    [
        {"model": "nova-3"},
        {"eot_threshold": "0.2"},
        {"eager_eot_threshold": "0.95"},
        {"eot_timeout_ms": "100"},
        {"eot_threshold": "high"},
        {"interim_results": "true"},
        {"language_hint": "en"},
    ],
)
async def test_v2_refuses_a_query_that_the_vendor_would_refuse(wrong: dict[str, str]) -> None:
    async with vendor() as rig:
        assert (await _refused(rig, "v2", V2 | wrong))[0] == 400


@pytest.mark.parametrize("missing", ["model", "encoding", "sample_rate"])
async def test_what_must_be_said_must_be_said(missing: str) -> None:
    async with vendor() as rig:
        query = {name: value for name, value in V1.items() if name != missing}
        assert (await _refused(rig, "v1", query))[0] == 400


async def test_plain_pcm_is_heard_too() -> None:
    async with vendor([HELLO]) as rig:
        query = V1 | {"encoding": "linear16", "sample_rate": "16000", "interim_results": "true"}
        async with connected(rig, "v1", query) as client:
            for index in range(150):
                loud = HELLO.begins_s <= index * 0.02 < HELLO.ends_s
                await client.socket.send((b"\x00\x40" if loud else b"\x00\x00") * 320)
                await asyncio.sleep(0.02)
        assert client.of("Results")


async def test_each_step_takes_its_time() -> None:
    async with vendor([HELLO], final=Delay(500, 500), connect=Delay(700, 700)) as rig:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with connected(rig, "v1", V1 | {"endpointing": "300"}) as client:
            assert loop.time() - begun == pytest.approx(0.7, abs=0.01)
            await client.speak(2.2)
            assert not client.finals
            await client.speak(0.3)
            assert client.finals == [HELLO.text]


async def test_what_was_seen_of_a_connection_is_written_down() -> None:
    async with vendor() as rig:
        async with connected(rig, "v1", V1 | {"keyterm": ["a", "b"]}) as client:
            await client.speak(1.0)
            assert rig.world.sightings.open["deepgram connection"] == 1
        await asyncio.sleep(0.2)
        assert rig.seen("connected")[0]["query"]["keyterm"] == ("a", "b")
        assert rig.seen("closed") == [{"code": 1000, "audio_bytes": 8000, "audio_messages": 50}]


async def test_a_recogniser_that_is_lost_inside_is_the_vendors_error() -> None:
    async with vendor() as rig:
        rig.inside.fails = 1
        async with connected(rig, "v1", V1) as client:
            await asyncio.sleep(0.5)
            assert client.messages[-1]["type"] == "Error"
            assert client.closed is not None


@pytest.mark.parametrize("kind", list(FaultKind))
@pytest.mark.parametrize("moment", ["connect", "audio", "partial", "final"])
@pytest.mark.parametrize("version", ["v1", "v2"])
async def test_no_fault_leaves_anything_open(version: str, moment: str, kind: FaultKind) -> None:
    query = V1 | {"interim_results": "true"} if version == "v1" else V2
    async with vendor([HELLO]) as rig:
        rig.plan(moment, kind, wait_ms=100)
        with suppress(TimeoutError, OSError, ConnectionClosed, InvalidHandshake):
            async with asyncio.timeout(5), connected(rig, version, query) as client:
                await client.speak(3.0)
                assert client.malformed == (kind is FaultKind.MALFORMED)
        assert len(rig.world.faults.happened) == 1
