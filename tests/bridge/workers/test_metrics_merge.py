"""The figures of several workers on one page."""

from __future__ import annotations

from aiohttp import ClientSession
from worker_rig import workers

from offhook.bridge.workers.metrics_merge import merged

ONE = b"""# HELP calls_active Live calls.
# TYPE calls_active gauge
calls_active 2
# HELP rules_total Rules applied.
# TYPE rules_total counter
rules_total{rule="not_json"} 1
# HELP lag_seconds Lateness.
# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.1"} 3
lag_seconds_bucket{le="+Inf"} 4
lag_seconds_sum 0.5
lag_seconds_count 4
"""
OTHER = b"""# HELP calls_active Live calls.
# TYPE calls_active gauge
calls_active{} 5
# HELP rules_total Rules applied.
# TYPE rules_total counter
rules_total{rule="a{b} \\"c\\""} 7 1700000000000
# TYPE only_here gauge
only_here 1
undescribed 2
"""


def test_each_metric_is_described_once_and_each_sample_named_by_its_worker() -> None:
    assert merged({"0": ONE, "1": OTHER}).decode().splitlines() == [
        "# HELP calls_active Live calls.",
        "# TYPE calls_active gauge",
        'calls_active{worker="0"} 2',
        'calls_active{worker="1"} 5',
        "# HELP rules_total Rules applied.",
        "# TYPE rules_total counter",
        'rules_total{worker="0",rule="not_json"} 1',
        'rules_total{worker="1",rule="a{b} \\"c\\""} 7 1700000000000',
        "# HELP lag_seconds Lateness.",
        "# TYPE lag_seconds histogram",
        'lag_seconds_bucket{worker="0",le="0.1"} 3',
        'lag_seconds_bucket{worker="0",le="+Inf"} 4',
        'lag_seconds_sum{worker="0"} 0.5',
        'lag_seconds_count{worker="0"} 4',
        "# TYPE only_here gauge",
        'only_here{worker="1"} 1',
        'undescribed{worker="1"} 2',
    ]


def test_the_end_of_a_page_stands_at_its_end() -> None:
    page = b"# TYPE a gauge\na 1\n# EOF\n"
    assert merged({"0": page, "1": page}) == b'# TYPE a gauge\na{worker="0"} 1\na{worker="1"} 1\n# EOF\n'


def test_no_page_is_an_empty_page() -> None:
    assert merged({}) == b""


async def test_the_worker_that_is_asked_tells_of_all() -> None:
    async with workers(3) as crew, ClientSession() as http:
        for worker in crew:
            async with http.get(f"{worker.page}/metrics") as answer:
                lines = (await answer.text()).splitlines()
            assert [line for line in lines if line.startswith("offhook_calls_live")] == [
                'offhook_calls_live{worker="0"} 0.0',
                'offhook_calls_live{worker="1"} 0.0',
                'offhook_calls_live{worker="2"} 0.0',
            ]
        await crew[0].server.stop()
        async with http.get(f"{crew[1].page}/metrics") as answer:
            assert 'worker="0"' not in await answer.text()
