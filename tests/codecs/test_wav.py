"""WAV files of every kind the world writes, and files that survive a crash."""

from __future__ import annotations

import contextlib
import io
import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from offhook.codecs import g711, wav
from offhook.codecs.wav import WavError, Writer

Pcm = NDArray[np.int16]

SAMPLES = np.array([0, 1, -1, 1000, -1000, 32_767, -32_768, 12_345], np.int16)
PCM, FLOAT, MULAW, EXTENSIBLE = 1, 3, 7, 0xFFFE
GUID_TAIL = bytes.fromhex("0000 0000 1000 8000 00AA 0038 9B71")


def chunk(name: bytes, body: bytes, size: int | None = None) -> bytes:
    declared = len(body) if size is None else size
    return name + struct.pack("<I", declared) + body + bytes(len(body) % 2)


def fmt(tag: int, bits: int, channels: int = 1, rate_hz: int = 8000, extra: bytes = b"") -> bytes:
    frame_bytes = channels * bits // 8
    fields = struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * frame_bytes, frame_bytes, bits)
    return chunk(b"fmt ", fields + extra)


def riff(*chunks: bytes, size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body) if size is None else size) + body


def read(content: bytes) -> wav.Wav:
    return wav.read(io.BytesIO(content))


def mono(content: bytes) -> list[int]:
    return [int(sample) for sample in read(content).pcm[:, 0]]


def test_pcm_of_16_bits_is_read_as_it_is() -> None:
    recording = read(riff(fmt(PCM, 16, rate_hz=16_000), chunk(b"data", SAMPLES.astype("<i2").tobytes())))
    assert (recording.rate_hz, recording.channels) == (16_000, 1)
    assert recording.pcm.dtype == np.int16
    assert recording.pcm.shape == (8, 1)
    assert recording.pcm[:, 0].tolist() == SAMPLES.tolist()


def test_channels_become_columns() -> None:
    recording = read(riff(fmt(PCM, 16, channels=2), chunk(b"data", SAMPLES.astype("<i2").tobytes())))
    assert recording.pcm.tolist() == SAMPLES.reshape(4, 2).tolist()


def test_pcm_of_8_bits_is_unsigned() -> None:
    assert mono(riff(fmt(PCM, 8), chunk(b"data", bytes([0, 127, 128, 255])))) == [-32_768, -256, 0, 32_512]


def test_pcm_of_24_bits_is_rounded_and_saturates() -> None:
    wide = [0, 256, 0x7F, 0x80, -0x80, -0x81, 0x7FFFFF, -0x800000]
    data = b"".join(value.to_bytes(3, "little", signed=True) for value in wide)
    assert mono(riff(fmt(PCM, 24), chunk(b"data", data))) == [0, 1, 0, 1, 0, -1, 32_767, -32_768]


def test_pcm_of_32_bits_is_rounded_and_saturates() -> None:
    data = np.array([0, 1 << 16, 0x7FFF, 0x8000, 0x7FFFFFFF, -0x80000000], "<i4").tobytes()
    assert mono(riff(fmt(PCM, 32), chunk(b"data", data))) == [0, 1, 0, 1, 32_767, -32_768]


def test_floats_are_scaled_and_saturate_and_no_number_is_silence() -> None:
    data = np.array([0, 0.5, -0.5, 1, -1, 7, np.nan, np.inf, -np.inf], "<f4").tobytes()
    expected = [0, 16_384, -16_384, 32_767, -32_768, 32_767, 0, 32_767, -32_768]
    assert mono(riff(fmt(FLOAT, 32), chunk(b"data", data))) == expected


def test_mulaw_is_decoded() -> None:
    codes = bytes(range(256))
    assert mono(riff(fmt(MULAW, 8, extra=b"\0\0"), chunk(b"data", codes))) == g711.decode(codes).tolist()


@pytest.mark.parametrize(("tag", "bits"), [(PCM, 16), (PCM, 24), (FLOAT, 32), (MULAW, 8)])
def test_an_extensible_header_means_the_encoding_it_names(tag: int, bits: int) -> None:
    extra = struct.pack("<HHIH", 22, bits, 4, tag) + GUID_TAIL
    data = chunk(b"data", bytes(48))
    assert mono(riff(fmt(EXTENSIBLE, bits, extra=extra), data)) == mono(riff(fmt(tag, bits), data))


def test_unknown_chunks_are_skipped_with_their_padding() -> None:
    audio = chunk(b"data", SAMPLES.astype("<i2").tobytes())
    content = riff(chunk(b"LIST", b"odd"), fmt(PCM, 16), chunk(b"fact", b"1234"), audio, chunk(b"id3 ", b"x"))
    assert mono(content) == SAMPLES.tolist()


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF])
@pytest.mark.parametrize("riff_size", [0, 36, 0xFFFFFFFF])
def test_a_streamed_header_is_read_to_the_end_of_the_file(size: int, riff_size: int) -> None:
    data = chunk(b"data", SAMPLES.astype("<i2").tobytes() + b"\x01", size)[:-1]
    assert mono(riff(fmt(PCM, 16), data, size=riff_size)) == SAMPLES.tolist()


def test_an_empty_data_chunk_before_another_chunk_stays_empty() -> None:
    content = riff(fmt(PCM, 16), chunk(b"data", b""), chunk(b"LIST", b"text"))
    assert read(content).pcm.shape == (0, 1)


def test_a_source_that_cannot_seek_is_read() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, place: int, whence: int = 0, /) -> int:
            raise io.UnsupportedOperation

    source = Pipe(riff(fmt(PCM, 16), chunk(b"data", b"\1\0")))
    assert wav.read(source).pcm.tolist() == [[1]]


DATA = chunk(b"data", bytes(8))


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "not a WAV file"),
        (b"ID3\x04 and so on", "not a WAV file: it begins with b'ID3"),
        (b"RIFX" + riff()[4:], "not a WAV file"),
        (riff(), "no fmt chunk"),
        (riff(fmt(PCM, 16)), "no data chunk"),
        (riff(DATA, fmt(PCM, 16)), "before the fmt chunk"),
        (riff(chunk(b"fmt ", bytes(10)), DATA), "10 bytes, not at least 16"),
        (riff(fmt(6, 8), DATA), "A-law of 8 bits cannot be read"),
        (riff(fmt(4711, 8), DATA), "encoding 4711 of 8 bits"),
        (riff(fmt(PCM, 12), DATA), "PCM of 12 bits"),
        (riff(fmt(FLOAT, 64), DATA), "float of 64 bits"),
        (riff(fmt(PCM, 16, channels=0), DATA), "0 channels"),
        (riff(fmt(PCM, 16, rate_hz=0), DATA), "at 0 Hz"),
        (riff(fmt(EXTENSIBLE, 16), DATA), "names no known encoding"),
        (riff(fmt(EXTENSIBLE, 16, extra=bytes(24)), DATA), "names no known encoding"),
        (riff(chunk(b"fmt ", struct.pack("<HHIIHH", 1, 2, 8000, 0, 2, 16)), DATA), "make 4 bytes, not 2"),
        (riff(fmt(PCM, 16), chunk(b"data", bytes(8), size=100)), "should have 100 bytes and has 8"),
        (riff(fmt(PCM, 16), chunk(b"data", bytes(7))), "7 bytes are not whole frames of 2"),
    ],
)
def test_what_cannot_be_read_is_named(content: bytes, complaint: str) -> None:
    with pytest.raises(WavError, match=complaint):
        read(content)


@given(st.binary(max_size=80))
def test_no_bytes_break_the_reader(tail: bytes) -> None:
    for content in (tail, riff(tail), riff(fmt(PCM, 24, channels=2), tail)):
        with contextlib.suppress(WavError):
            read(content)


def written(pcm: Pcm, rate_hz: int, channels: int, *, mulaw: bool = False) -> bytes:
    sink = io.BytesIO()
    with Writer(sink, rate_hz, channels, mulaw=mulaw) as writer:
        for start in range(0, len(pcm), 160):
            writer.write(pcm[start : start + 160])
    return sink.getvalue()


@pytest.mark.parametrize("channels", [1, 2])
def test_what_was_written_is_read_back(channels: int) -> None:
    pcm = np.random.default_rng(1).integers(-32_768, 32_768, (1001, channels)).astype(np.int16)
    recording = read(written(pcm, 8000, channels))
    assert (recording.rate_hz, recording.channels) == (8000, channels)
    assert np.array_equal(recording.pcm, pcm)


def test_the_standard_library_agrees_with_the_writer() -> None:
    pcm = np.arange(3000).astype(np.int16).reshape(-1, 2)
    with wave.open(io.BytesIO(written(pcm, 24_000, 2))) as other:
        assert other.getparams()[:4] == (2, 2, 24_000, 1500)
        assert other.readframes(1500) == pcm.astype("<i2").tobytes()


def test_mulaw_is_written_as_format_7_with_its_fact_and_padding() -> None:
    pcm = g711.decode(bytes(range(255)))
    content = written(pcm, 8000, 1, mulaw=True)
    assert struct.unpack_from("<H", content, 20) == (MULAW,)
    assert content[38:50] == b"fact" + struct.pack("<II", 4, 255)
    assert len(content) % 2 == 0
    assert struct.unpack_from("<I", content, 4) == (len(content) - 8,)
    assert mono(content) == pcm.tolist()


def test_nothing_written_is_an_empty_recording() -> None:
    assert read(written(np.empty((0, 1), np.int16), 8000, 1)).pcm.shape == (0, 1)


def test_a_crash_loses_at_most_the_last_five_seconds() -> None:
    sink = io.BytesIO()
    writer = Writer(sink, 8000, 1)
    frame = np.ones(160, np.int16)
    for frames in range(1, 1201):
        writer.write(frame)
        there = read(sink.getvalue()).pcm.shape[0]
        assert frames * 160 - 5 * 8000 < there <= frames * 160


def test_the_header_is_not_rewritten_for_every_frame() -> None:
    class CountingSink(io.BytesIO):
        seeks = 0

        def seek(self, place: int, whence: int = 0, /) -> int:
            self.seeks += 1
            return super().seek(place, whence)

    sink = CountingSink()
    with Writer(sink, 8000, 1) as writer:
        for _ in range(1000):
            writer.write(np.zeros(160, np.int16))
    assert sink.seeks <= 2 * 6


def test_a_writer_leaves_what_was_before_it_in_the_sink() -> None:
    sink = io.BytesIO()
    sink.write(b"before")
    with Writer(sink, 8000, 1) as writer:
        writer.write(SAMPLES)
    assert sink.getvalue()[:6] == b"before"
    assert mono(sink.getvalue()[6:]) == SAMPLES.tolist()


@pytest.mark.parametrize("mulaw", [False, True])
def test_a_sink_that_cannot_seek_gets_a_streamed_header(mulaw: bool) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, place: int, whence: int = 0, /) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    sink = Pipe()
    with Writer(sink, 8000, 1, mulaw=mulaw) as writer:
        writer.write(SAMPLES)
    expected = g711.decode(g711.encode(SAMPLES)) if mulaw else SAMPLES
    assert mono(sink.getvalue()) == expected.tolist()


def test_a_file_is_complete_after_an_exception(tmp_path: Path) -> None:
    path = tmp_path / "call.wav"

    def record() -> None:
        with path.open("wb") as sink, Writer(sink, 8000, 1) as writer:
            for _ in range(3):
                writer.write(SAMPLES)
            raise RuntimeError("the call failed")

    with pytest.raises(RuntimeError, match="the call failed"):
        record()
    with path.open("rb") as source:
        assert wav.read(source).pcm.shape == (24, 1)


def test_closing_twice_is_fine_and_leaves_the_sink_open() -> None:
    sink = io.BytesIO()
    writer = Writer(sink, 8000, 1)
    writer.write(SAMPLES)
    writer.close()
    content = sink.getvalue()
    writer.close()
    assert sink.getvalue() == content


def test_writing_after_close_is_refused() -> None:
    writer = Writer(io.BytesIO(), 8000, 1)
    writer.close()
    with pytest.raises(ValueError, match="closed"):
        writer.write(SAMPLES)


@pytest.mark.parametrize("shape", [(8,), (4, 1), (2, 3), (2, 2, 2)])
def test_samples_that_do_not_fit_the_channels_are_refused(shape: tuple[int, ...]) -> None:
    writer = Writer(io.BytesIO(), 8000, 2)
    with pytest.raises(ValueError, match="do not fit 2 channels"):
        writer.write(np.zeros(shape, np.int16))


@pytest.mark.parametrize(("rate_hz", "channels"), [(0, 1), (8000, 0), (8000, 70_000)])
def test_a_recording_without_rate_or_channels_is_refused(rate_hz: int, channels: int) -> None:
    with pytest.raises(ValueError, match="make no sound"):
        Writer(io.BytesIO(), rate_hz, channels)


def test_a_full_file_says_so_and_keeps_what_it_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wav, "_LARGEST_DATA_BYTES", 20)
    sink = io.BytesIO()
    with Writer(sink, 8000, 1) as writer:
        writer.write(SAMPLES)
        with pytest.raises(WavError, match="2 GiB"):
            writer.write(SAMPLES)
    assert mono(sink.getvalue()) == SAMPLES.tolist()
