"""docs/architecture.md says what the code does: its states, its limits, its files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from offhook.bridge import (
    app,
    call_log,
    media_session,
    media_socket,
    pool_workers,
    registry,
    text_sessions,
)
from offhook.bridge.recording import recorder
from offhook.bridge.twilio import call_control
from offhook.bridge.workers import sqlite_store
from offhook.config.tool import Tool
from offhook.config.turn_taking import TurnTaking as TurnTakingSettings
from offhook.pipeline import (
    call,
    correspondence,
    ear,
    history,
    listening,
    pacing,
    playout,
    replay,
    reply,
    retries,
    speaker,
    tool_news,
    tools,
    turn,
)
from offhook.pipeline.providers.embedded import job_desk, model_process, silero, utterance, worker
from offhook.pipeline.providers.web import web_client

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "architecture.md").read_text()
FAULTS = (ROOT / "docs" / "faults.md").read_text()
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("**/*.md")))
BYTES_PER_S = 8000


def limit_of(what: str) -> str:
    """What the table of limits says of something that waits."""
    found = re.search(rf"^\| {re.escape(what)} \| ([^|]+) \|", TEXT, re.MULTILINE)
    assert found is not None, f"the table of what waits has no row for {what}"
    return found[1]


KEPT_AT_MOST = replay.KEPT_BYTES + replay.SPARE_BYTES
LIMITS = [
    ("evidence while actions are carried out", f"{call.EVIDENCE_LIMIT}"),
    ("what the agent wants to say", f"{turn.AGENDA_LIMIT}"),
    ("clauses for the voice", f"{reply.CLAUSES_AHEAD}"),
    ("audio made and not sent", f"{speaker.AHEAD_S:g} s"),
    ("messages of the history", f"{history.LIMIT}"),
    (
        "the caller's audio for a recogniser that was lost",
        "; ".join(
            (
                f"{replay.KEPT_BYTES / BYTES_PER_S:g} to {KEPT_AT_MOST / BYTES_PER_S:g} s",
                f"{replay.MOST_S:g} s of speech without final words",
            )
        ),
    ),
    ("an utterance for the embedded recogniser", f"{utterance._LONGEST // BYTES_PER_S} s"),
    ("windows for voice activity, a call", f"{silero._BACKLOG // BYTES_PER_S} s"),
    ("jobs for a model's process", f"{job_desk.JOBS_LIMIT}, each {job_desk.QUEUE_LIMIT_S:g} s"),
    ("a job in a model's process", f"{model_process._JOB_LIMIT_S:g} s"),
    ("texts that are to be answered in writing, a call", f"{correspondence.WAITING_LIMIT}"),
    ("conversations in writing", f"{text_sessions.SESSION_LIMIT}, half an hour without a text"),
    ("tools that run at once, a call", f"{tools.MAX_RUNNING}"),
    (
        "connections of tools, to allowed hosts and to others",
        f"{web_client.CONNECTIONS} each, {web_client.CONNECTIONS_PER_HOST} a host",
    ),
    ("an answer over HTTP", f"{web_client.LARGEST_ANSWER_BYTES // 1024} KiB"),
    ("executions in the ledger, a call", f"{tools.LEDGER_LIMIT}"),
    ("events of a call", f"{call_log.EVENT_LIMIT}"),
    ("events for one listener", f"{call_log.SUBSCRIPTION_LIMIT}"),
    ("seconds of recordings for the disk, of all calls", f"{recorder.STRETCHES_LIMIT}"),
    ("calls that ended", f"{registry.FINISHED_LIMIT}, for an hour"),
    (
        "messages of a stream while the workers' store is asked",
        f"{media_session.HELD_LIMIT}, {sqlite_store.WITHIN_S:g} s",
    ),
    ("questions to that store", f"{sqlite_store.WAITING_LIMIT}, each {sqlite_store.WITHIN_S:g} s"),
    ("unsent bytes of a socket", f"{media_socket.WRITE_HIGH_WATER_BYTES // 1024} KiB"),
]


@pytest.mark.parametrize(("what", "limit"), LIMITS)
def test_limits_are_those_of_the_code(what: str, limit: str) -> None:
    assert limit_of(what) == limit


def test_every_limit_of_the_table_is_checked() -> None:
    _, _, table = TEXT.partition("## What waits, and how much of it")
    told = re.findall(r"^\| ([^|]+) \|", table.partition("\n## ")[0], re.MULTILINE)[1:]

    assert set(told) == {what for what, _ in LIMITS} | {"audio sent and not played"}


def test_playout_keeps_to_the_lead_that_the_page_names() -> None:
    assert limit_of("audio sent and not played") == "200 ms"
    out = playout.Playout()
    out.begin(1)
    out.append(1, bytes(5 * BYTES_PER_S))
    sent = [item.audio for item in out.due(0.0) if isinstance(item, playout.SendAudio)]
    assert len(sent[0]) == 160, "the first 20 ms leave at once"
    assert max(map(len, sent)) == 0.1 * BYTES_PER_S
    assert sum(map(len, sent)) == 0.2 * BYTES_PER_S


@pytest.mark.parametrize(
    "words",
    [
        f"no text for {reply.DELTA_WAIT_S:g} s",
        f"no audio for {reply.PIECE_WAIT_S:g} s",
        "opened again at once, then after {:g}, {:g}, {:g} and {:g} s".format(*retries.BACKOFF_S[1:]),
        f"after {media_socket.SLOW_READER_S:g} s it is cut",
        f"within\n{playout.ECHO_OVERDUE_S:g} s of its time",
        f"at most {call_log.LISTENER_LIMIT} listeners a call",
        f"**{pool_workers.THREADS} threads** for tools",
        f"**{pool_workers.PROCESSES} processes** for those",
        f"lets live ones end for up to {app.DRAIN_S:g} s",
        f"at most {call_control.REST_WITHIN_S:g} s",
        f"takes at most {turn.CLOSE_WITHIN_S:g} s",
        f"nothing comes of voice activity for {ear.DEAF_AFTER_S:g} s",
        f"messages of up to {pacing.TURN_S * 1000:g} ms",
        f"the {silero.WINDOW * 1000 // BYTES_PER_S} ms windows",
    ],
)
def test_times_and_numbers_in_the_text_are_those_of_the_code(words: str) -> None:
    assert words in TEXT + FAULTS


def test_words_for_numbers_are_those_of_the_code() -> None:
    assert "three of these in a row" in FAULTS
    assert turn.FAULTS_IN_A_ROW == 3
    assert "may ask the model three times in all" in TEXT
    assert "three times at the most" in TEXT
    assert tool_news.TELLINGS == 3
    assert reply.MAX_ROUNDS == 3
    assert "a second of speech without any words" in FAULTS
    assert listening.CLEAR_SPEECH_S == 1.0
    assert registry.FINISHED_FOR_S == 3600
    assert worker.NICENESS > 0


def test_settings_and_keys_in_the_text_exist() -> None:
    known = {*TurnTakingSettings.model_fields, *Tool.model_fields, "fallback_number"}
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", TEXT))

    assert named <= known


def test_files_that_pages_name_exist() -> None:
    named = {
        (page.name, path)
        for page in PAGES
        for path in re.findall(r"`((?:[\w.-]+/)+[\w.-]*)`", page.read_text())
        if path.split("/")[0] in {"bridge", "pipeline", "codecs", "config", "lab", "cli", "tests", "docker"}
    }
    assert {(page, path) for page, path in named if not (ROOT / path).exists()} == set()
