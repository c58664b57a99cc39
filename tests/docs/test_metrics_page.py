"""docs/metrics.md lists what `GET /metrics` gives, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

from bridge_rig import EchoFactory, loop_clock, settings
from prometheus_client.parser import text_string_to_metric_families

from offhook.bridge.call_totals import LATENCIES, STAGE_SPANS
from offhook.bridge.capacity import BUSY_ABOVE_MS, FREE_BELOW_MS
from offhook.bridge.histogram import BOUNDS_S
from offhook.bridge.metrics import REFUSALS, metrics_text
from offhook.bridge.server_state import ServerState
from offhook.bridge.stall_watch import PLACES, StallKind

PAGE = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text()
LABELS = {
    "offhook_calls_refused_total": "rule",
    "offhook_rules_applied_total": "rule",
    "offhook_webhook_posts_total": "outcome",
    "offhook_loop_stalls_total": "kind, place",
    "offhook_loop_stall_seconds_total": "kind, place",
    "offhook_gc_pauses_total": "generation",
    "offhook_gc_pause_seconds_total": "generation",
    "offhook_call_events_total": "type",
    "offhook_reply_latency_seconds": "since",
    "offhook_stage_seconds": "stage",
}


def documented() -> dict[str, tuple[str, str, str]]:
    """(type, labels, meaning) by name, of every row."""
    rows = re.findall(r"^\| `(offhook_\w+)` \| (\w+) \|([^|]*)\| (.+) \|$", PAGE, re.MULTILINE)
    assert len(rows) == len({name for name, *_ in rows}), "a figure has two rows"
    return {name: (kind, labels.replace("`", "").strip(), meaning) for name, kind, labels, meaning in rows}


async def test_the_page_lists_every_figure_with_its_type_labels_and_words() -> None:
    state = ServerState.build(settings(), EchoFactory(), loop_clock())
    given = {}
    for family in text_string_to_metric_families(metrics_text(state).decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        given[name] = (family.type, LABELS.get(name, ""), family.documentation.rstrip("."))
    assert documented() == given


def test_the_page_names_every_value_that_a_label_may_have() -> None:
    for value in (*LATENCIES, *STAGE_SPANS, *(kind.value for kind in StallKind), *map(str, REFUSALS)):
        assert f"`{value}`" in PAGE


def test_the_page_has_the_limits_of_the_code() -> None:
    assert ", ".join(f"{bound:g}" for bound in BOUNDS_S) in PAGE
    assert f"above {BUSY_ABOVE_MS:g} ms" in PAGE
    assert f"below {FREE_BELOW_MS:g} ms" in PAGE
    assert f"{PLACES} places" in PAGE
