"""The hibari voice, as it runs in the voice's process: text in, carrier bytes and word times out."""

from __future__ import annotations

__all__ = ["HibariSpeech"]

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from hibari import dsp
from hibari.voices import VOICES, voice_path
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.codecs.framing import SAMPLE_RATE_HZ as _LINE_HZ
from offhook.codecs.resample import resample

from .hibari_text import Phrase, TextReader
from .jobs import Answer, Request, Speak, Spoken, SpokenWord

_DURATIONS = "/Cast_32_output_0"
"""The tensor in the network's graph that holds how long each phoneme is, in units of the network's own."""
_GAIN = 1.6
"""Brings the voice's active level from -24 dBFS to -20 dBFS, where telephone speech lies."""
_PEAK = 0.89
"""Of full scale (-1 dBFS): louder phrases are turned down to it."""
_BLOCK = 80
_SILENCE_BELOW = 0.004
_LEAD_S = 0.03
_SENTENCE_PAUSE_S = 0.12
_CLAUSE_PAUSE_S = 0.06
_WARM_UP = "Warming up: the quabblefritz, at 9:30 a.m., costs $4.99."


class HibariSpeech:
    """A loaded voice; one thread, one job at a time."""

    def __init__(self, voice: str = "heart", seed: int = 0) -> None:
        """Load a voice that is on this machine ("heart" is in the package) and warm it.

        The same text gives the same audio, bit for bit: `seed` fixes the noise in it.
        """
        self._seed = seed
        self._session, self._timed = _session(Path(voice_path(voice, download_missing=False)))
        self._reader = TextReader(british=VOICES[voice]["british"])
        for _ in self.speak(_WARM_UP):
            pass

    def answer(self, request: Request) -> Iterator[Answer]:
        """Answer one Speak, piece by piece."""
        if not isinstance(request, Speak):
            raise TypeError("a voice does not listen")
        yield from self.speak(request.text, request.speed)

    def speak(self, text: str, speed: float = 1.0) -> Iterator[Spoken]:
        """Yield the speech of each sentence as soon as it is made; a text without sounds gives nothing.

        `speed` is 0.5 to 2, 1 being the voice's own pace.
        """
        for phrase in self._reader.phrases(text):
            samples, ends_s = self._synthesise(phrase, speed)
            pause_s = _pause_s(text[: phrase.spans[-1][1]])
            mulaw, cut_s = _trimmed(_levelled(samples), pause_s)
            sound_s = max(0.0, len(mulaw) / _LINE_HZ - pause_s)
            if phrase.mapped and ends_s is not None:
                yield Spoken(mulaw, tuple(_timed_words(phrase, ends_s - cut_s, sound_s)), estimated=False)
            else:
                yield Spoken(mulaw, tuple(_shared_out(phrase, sound_s)), estimated=True)

    def _synthesise(
        self, phrase: Phrase, speed: float
    ) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
        """The phrase's samples at 24 kHz and each phoneme's end in seconds."""
        asked = {"ids": np.asarray([phrase.ids], np.int64), "speed": np.asarray([speed], np.float32)}
        outputs = self._session.run(None, asked)
        spectrum = [output[0] for output in outputs[:6]]
        samples = dsp.synth(*spectrum, np.random.default_rng(self._seed))
        if not self._timed:
            return samples, None
        ends = np.cumsum(outputs[6].reshape(-1)).astype(np.float64)
        return samples, ends * (len(samples) / dsp.SR / ends[-1])


def _field(number: int, body: bytes) -> bytes:
    """One length-delimited field of a Protocol Buffers message."""
    return bytes([number << 3 | 2, len(body)]) + body


def _session(path: Path) -> tuple[Any, bool]:
    """Load the network with the phonemes' durations among its outputs, if it has them.

    Protocol Buffers messages merge when they are joined, so a ModelProto (onnx.proto) with one more
    GraphProto.output can be put behind the file's bytes: graph is its field 7, output 12, name 1.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    model = path.read_bytes()
    extra = _field(7, _field(12, _field(1, _DURATIONS.encode())))
    providers = ["CPUExecutionProvider"]
    try:
        return onnxruntime.InferenceSession(model + extra, options, providers=providers), True
    except (
        Exception
    ):  # onnxruntime has no common class for its errors; another voice may name its tensors otherwise
        return onnxruntime.InferenceSession(model, options, providers=providers), False


def _levelled(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Telephone samples at the voice's one loudness, without clipping."""
    peak = float(np.abs(samples).max(initial=0.0))
    gain = min(_GAIN, _PEAK / peak) if peak else _GAIN
    pcm = np.rint(samples * np.float32(gain * 32767)).astype(np.int16)
    return resample(pcm, dsp.SR, _LINE_HZ)


def _pause_s(spoken_text: str) -> float:
    return (
        _CLAUSE_PAUSE_S if spoken_text.rstrip("\"'”’)]").endswith((",", ";", ":", "—")) else _SENTENCE_PAUSE_S
    )


def _trimmed(pcm: NDArray[np.int16], pause_s: float) -> tuple[bytes, float]:
    """Carrier bytes, 30 ms before the first sound to `pause_s` behind the last; the seconds cut in front."""
    blocks = pcm[: len(pcm) // _BLOCK * _BLOCK].reshape(-1, _BLOCK).astype(np.float32) / 32768
    loud = np.flatnonzero(np.sqrt((blocks**2).mean(axis=1)) > _SILENCE_BELOW)
    if not len(loud):
        return b"", 0.0
    start = max(0, int(loud[0]) * _BLOCK - int(_LEAD_S * _LINE_HZ))
    end = (int(loud[-1]) + 1) * _BLOCK + int(pause_s * _LINE_HZ)
    mulaw = g711.encode(pcm[start:end])
    return mulaw.ljust(end - start, bytes([g711.SILENCE])), start / _LINE_HZ


def _timed_words(phrase: Phrase, ends_s: NDArray[np.float64], length_s: float) -> Iterator[SpokenWord]:
    """Word times from the network's own durations; a word without sound belongs to the one before it."""
    starts_s = np.concatenate([[0.0], ends_s[:-1]])
    owners = np.asarray(phrase.owners)
    sounding = [index for index in range(len(phrase.spans)) if (owners == index).any()]
    for at, index in enumerate(sounding):
        mine = np.flatnonzero(owners == index)
        behind = sounding[at + 1] if at + 1 < len(sounding) else len(phrase.spans)
        first = 0 if at == 0 else index
        yield SpokenWord(
            phrase.spans[first][0],
            phrase.spans[behind - 1][1],
            float(np.clip(starts_s[mine[0]], 0.0, length_s)),
            float(np.clip(ends_s[mine[-1]], 0.0, length_s)),
        )


def _shared_out(phrase: Phrase, length_s: float) -> Iterator[SpokenWord]:
    """Word times in proportion to the words' letters."""
    total = sum(end - start for start, end in phrase.spans)
    passed = 0
    for start, end in phrase.spans:
        yield SpokenWord(start, end, passed / total * length_s, (passed + end - start) / total * length_s)
        passed += end - start
