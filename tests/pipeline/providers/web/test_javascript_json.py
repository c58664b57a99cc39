"""JSON as JavaScript prints it, by vectors and by Node itself."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from offhook.pipeline.providers.web.javascript_json import javascript_json

REPRINT = """
require("readline").createInterface({input: process.stdin, crlfDelay: Infinity, terminal: false})
  .on("line", line => process.stdout.write(JSON.stringify(JSON.parse(line)) + "\\n"))
"""


@pytest.mark.parametrize(
    ("value", "printed"),
    [
        (1.0, "1"),
        (-0.0, "0"),
        (0.1, "0.1"),
        (1e-7, "1e-7"),
        (1.5e-7, "1.5e-7"),
        (0.000001, "0.000001"),
        (1e20, "100000000000000000000"),
        (1e21, "1e+21"),
        (-1.25e300, "-1.25e+300"),
        (5e-324, "5e-324"),
        (2**53 + 1, "9007199254740992"),
        (12345678901234567890, "12345678901234567000"),
        (float("nan"), "null"),
        (10**400, "null"),
        (True, "true"),
        ({"b": 1, "10": 2, "2": 3, "01": 4}, '{"2":3,"10":2,"b":1,"01":4}'),
        ({"4294967295": 1, "4294967294": 2}, '{"4294967294":2,"4294967295":1}'),
        ('é\u2028\x7f\x00\x1f\b"\\/', '"é\u2028\x7f\\u0000\\u001f\\b\\"\\\\/"'),
        ("\ud800", '"\\ud800"'),
        ([None, (), {}], "[null,[],{}]"),
    ],
)
def test_a_value_is_printed_as_javascript_prints_it(value: Any, printed: str) -> None:
    assert javascript_json(value).decode() == printed


def test_what_has_no_place_in_json_is_refused() -> None:
    with pytest.raises(TypeError, match="set"):
        javascript_json({"a": {1}})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=4), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_what_was_printed_reads_as_what_it_was(value: Any) -> None:
    assert json.loads(javascript_json(value)) == json.loads(javascript_json(json.loads(json.dumps(value))))


@pytest.fixture(scope="module")
def node() -> Iterator[subprocess.Popen[bytes]]:
    """Node, which parses each line and prints it again."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not installed")
    with subprocess.Popen([path, "-e", REPRINT], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        yield process
        process.kill()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(VALUES)
def test_node_prints_the_same_bytes(node: subprocess.Popen[bytes], value: Any) -> None:
    assert node.stdin is not None
    assert node.stdout is not None
    body = javascript_json(value)
    node.stdin.write(body + b"\n")
    node.stdin.flush()
    assert node.stdout.readline() == body + b"\n"
