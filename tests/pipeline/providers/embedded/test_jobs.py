"""Frames on the pipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.providers.embedded.jobs import (
    Decode,
    Done,
    Failed,
    Finding,
    Order,
    Ready,
    Report,
    Spoken,
    SpokenWord,
    frame,
    order_decoder,
    report_decoder,
)


@given(st.binary(max_size=500), st.integers(0, 2**40))
def test_an_order_comes_back_as_it_was(audio: bytes, number: int) -> None:
    order = Order(number, Decode(audio))
    data = frame(order)
    assert int.from_bytes(data[:4], "little") == len(data) - 4
    assert order_decoder.decode(data[4:]) == order


@pytest.mark.parametrize(
    "report",
    [
        Ready(),
        Finding(1, Spoken(b"\xff", (SpokenWord(0, 3, 0.0, 0.2),), estimated=False)),
        Done(1),
        Failed(2, "ValueError in speak, line 3"),
    ],
)
def test_a_report_comes_back_as_it_was(report: Report) -> None:
    assert report_decoder.decode(frame(report)[4:]) == report
