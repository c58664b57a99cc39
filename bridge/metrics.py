"""`GET /metrics`: the server's figures as text that Prometheus reads (exposition format 0.0.4).

Everything is a plain counter that somebody keeps anyway; the families are made of them when they are
asked for, so that the media path pays nothing. No label ever holds a word, a number or a name of a call:
they are rules, event types, stages and places in code, all of which are finitely many.
"""

from __future__ import annotations

__all__ = ["metrics_text", "routes"]

from collections.abc import Iterable, Iterator

from aiohttp import web
from prometheus_client import ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.registry import Collector

from offhook.codecs.framing import FRAME_BYTES
from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S

from . import http_rules, stream_rules
from .admission import trust_fault
from .call_totals import CallTotals
from .http_rules import refuse
from .loop_lag import LoopLag
from .recording.recorder import Recorder
from .server_state import STATE, ServerState
from .trust import Audience
from .workers.metrics_merge import metrics_of_all_workers

REFUSALS = (
    http_rules.SPOKEN_NOT_READY,
    http_rules.SPOKEN_AT_CAPACITY,
    http_rules.SPOKEN_OVERLOADED,
    http_rules.SPOKEN_BAD_ASSISTANT,
    http_rules.TOO_MANY_SOCKETS,
    http_rules.DRAINING,
    stream_rules.NOT_READY,
    stream_rules.AT_CAPACITY,
    stream_rules.OVERLOADED,
    stream_rules.ASSISTANT_REFUSED,
    stream_rules.ASSISTANT_UNUSABLE,
)
"""Rules by which a call of the carrier's is not taken."""
POSTED = ("delivered", "failed", "refused", "dropped", "dead", "lost")
OF_ENDED = "in calls that have ended."

Values = Iterable[tuple[str, float]]


def routes() -> list[web.RouteDef]:
    """For whoever may use the control interface."""
    return [web.get("/metrics", _metrics)]


async def _metrics(request: web.Request) -> web.Response:
    untrusted = trust_fault(request, Audience.CONTROL)
    if untrusted is not None:
        return refuse(request, untrusted)
    text = await metrics_of_all_workers(request, metrics_text(request.config_dict[STATE]))
    return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


def metrics_text(state: ServerState) -> bytes:
    """Every figure of this server's process, in Prometheus' text format."""
    return generate_latest(_ServerFigures(state))


class _ServerFigures(Collector):
    def __init__(self, state: ServerState) -> None:
        self._state = state

    def collect(self) -> Iterator[Metric]:
        state = self._state
        yield from _calls(state)
        yield from _loop(state.lag)
        yield from _audio(state.totals)
        yield from _recordings(state.recorder)
        yield from _conversations(state.totals)
        yield from ProcessCollector(namespace="offhook", registry=None).collect()


def _calls(state: ServerState) -> Iterator[Metric]:
    shortages = state.shortages_here()
    counted = state.counters
    yield _gauge("calls_live", "Calls that go on now.", len(state.registry.live()))
    yield _counter("calls", "Streams of calls that were taken in.", state.registry.admitted)
    yield _counters(
        "calls_refused",
        "Calls that were not taken, by the rule of docs/protocol.md.",
        "rule",
        ((rule.name, counted[rule.name]) for rule in REFUSALS),
    )
    yield _gauge("sockets_open", "Media streams that are open.", len(state.sockets))
    yield _gauge("ready", "1 if a further call would be taken.", not shortages)
    yield _gauge("overloaded", "1 while the event loop is too late for further calls.", state.overloaded)
    yield _counters(
        "rules_applied",
        "What should not happen and did, by the rule of docs/protocol.md.",
        "rule",
        sorted(counted.items()),
    )
    yield _counters(
        "webhook_posts",
        "What became of messages that are posted of calls; `failed` counts attempts.",
        "outcome",
        ((outcome, state.posts[outcome]) for outcome in POSTED),
    )


def _loop(lag: LoopLag) -> Iterator[Metric]:
    reading = lag.reading()
    yield _gauge("loop_lag_p50_seconds", "How late the event loop is: median of 5 s.", reading.p50_ms / 1e3)
    yield _gauge("loop_lag_p99_seconds", "How late the event loop is: p99 of 5 s.", reading.p99_ms / 1e3)
    yield _gauge(
        "loop_lag_max_seconds", "How late the event loop is: the latest of 5 s.", reading.max_ms / 1e3
    )
    labels = ("kind", "place")
    stalls = CounterMetricFamily(
        "offhook_loop_stalls", "Heartbeats of the event loop that were 50 ms late or more.", labels=labels
    )
    seconds = CounterMetricFamily(
        "offhook_loop_stall_seconds", "Seconds by which those heartbeats were late.", labels=labels
    )
    for (kind, place), tally in lag.stalls.tallies.items():
        stalls.add_metric((kind.value, place), tally.count)
        seconds.add_metric((kind.value, place), tally.seconds)
    yield stalls
    yield seconds
    pauses = lag.collections
    yield _counters("gc_pauses", "Garbage collections.", "generation", _numbered(pauses.counts))
    yield _counters(
        "gc_pause_seconds", "Seconds that garbage collections took.", "generation", _numbered(pauses.seconds)
    )
    yield _gauge("gc_pause_max_seconds", "The longest garbage collection.", pauses.longest_s)


def _audio(totals: CallTotals) -> Iterator[Metric]:
    figures = totals.figures
    received_bytes, sent_bytes = (round(figures[name] * BYTES_PER_S) for name in ("media_s", "sent_s"))
    yield _counter("audio_received_bytes", f"Callers' audio, {OF_ENDED}", received_bytes)
    yield _counter(
        "frames_received", f"Callers' audio in frames of 20 ms, {OF_ENDED}", received_bytes // FRAME_BYTES
    )
    yield _counter("audio_sent_bytes", f"Agents' audio, {OF_ENDED}", sent_bytes)
    yield _counter("frames_sent", f"Agents' audio in frames of 20 ms, {OF_ENDED}", sent_bytes // FRAME_BYTES)
    yield _counter("underruns", f"Gaps inside replies, {OF_ENDED}", figures["underruns"])
    yield _counter("underrun_seconds", f"Seconds of gaps inside replies, {OF_ENDED}", figures["underrun_s"])
    yield _counter(
        "clears", f"How often a line was emptied because the caller cut in, {OF_ENDED}", figures["clears"]
    )
    yield _counter("stale_marks", f"Echoes that a clear had overtaken, {OF_ENDED}", figures["stale_marks"])
    yield _counter(
        "recogniser_reconnects", f"How often a recogniser was opened again, {OF_ENDED}", figures["reconnects"]
    )
    yield _counter(
        "recogniser_switches", f"How often another recogniser took over, {OF_ENDED}", figures["switches"]
    )


def _recordings(recorder: Recorder | None) -> Iterator[Metric]:
    failed, dropped_s = (0, 0.0) if recorder is None else (recorder.failed, recorder.dropped_s)
    yield _counter("recordings_failed", "Recordings that ended because the disk took no more.", failed)
    yield _counter(
        "recording_dropped_seconds", "Seconds that recordings lack because the disk was slow.", dropped_s
    )


def _conversations(totals: CallTotals) -> Iterator[Metric]:
    yield _counters(
        "call_events",
        "Events of calls, by the type of docs/events.md.",
        "type",
        sorted(totals.events.items()),
    )
    latency = HistogramMetricFamily(
        "offhook_reply_latency_seconds",
        "Until the first frame of the answer: since the caller's last sound, and since the end of the turn.",
        labels=("since",),
    )
    for since, histogram in totals.latencies.items():
        latency.add_metric((since,), histogram.cumulative(), histogram.sum_s)
    yield latency
    stages = HistogramMetricFamily(
        "offhook_stage_seconds", "How long each stage of an answer took.", labels=("stage",)
    )
    for stage, histogram in totals.stages.items():
        stages.add_metric((stage,), histogram.cumulative(), histogram.sum_s)
    yield stages


def _gauge(name: str, help_text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"offhook_{name}", help_text, value=float(value))


def _counter(name: str, help_text: str, value: float) -> Metric:
    return CounterMetricFamily(f"offhook_{name}", help_text, value=value)


def _counters(name: str, help_text: str, label: str, values: Values) -> Metric:
    family = CounterMetricFamily(f"offhook_{name}", help_text, labels=(label,))
    for labelled, value in values:
        family.add_metric((labelled,), value)
    return family


def _numbered(values: Iterable[float]) -> Values:
    return ((str(number), value) for number, value in enumerate(values))
