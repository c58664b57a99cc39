"""A call as text: its transcript while it goes on, then every turn's milliseconds and the verdicts."""

from __future__ import annotations

__all__ = ["ConversationView"]

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from .call_result import CallResult, LiveLine
from .expectations import Verdict
from .figures import Stage, TurnFigures
from .twilio.ending import told_ending

_COLOURS = {"caller": "cyan", "agent": "green", "bridge": "dim", "line": "dim"}
_BAR_CELLS = 28
_NAME_CELLS = 24


class ConversationView:
    """Prints a call to a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def show_line(self, line: LiveLine) -> None:
        """Print one line of the call as it happens."""
        text = Text(f"{line.at_ms / 1000:7.2f}  {line.who:<7} ", style=_COLOURS[line.who])
        self._print(text.append(line.text))

    def show_result(self, result: CallResult) -> None:
        """Print the figures of a call that is over."""
        for turn in result.turns:
            self._show_turn(turn)
        for cut_in in result.barge_ins:
            stop = f"silent after {cut_in.stop_ms} ms" if cut_in.stop_ms is not None else "the agent spoke on"
            stale = f", {cut_in.frames_after_clear} stale frames" if cut_in.cleared else ", no clear was sent"
            self._print(Text(f"barge-in at {cut_in.onset_ms / 1000:.2f} s: {stop}{stale}"))
        self._show_ending(result)
        self._show_verdicts(result.expectations)
        for failure in result.failures:
            name = failure.name or f"step {failure.step + 1}"
            self._print(Text(f"FAILED  {name}: {failure.reason}", style="bold red"))
        for warning in result.warnings:
            self._print(Text(f"warning {warning}", style="yellow"))
        if result.recording:
            self._print(Text(f"recording: {result.recording} (left: caller, right: agent)"))

    def _print(self, text: Text) -> None:
        self._console.print(text, highlight=False, soft_wrap=True)

    def _show_turn(self, turn: TurnFigures) -> None:
        heard = f"{turn.response_ms} ms" if turn.response_ms is not None else "no answer"
        said, end = (f"keys {turn.said}", "key") if turn.keyed else (f'"{turn.said}"', "sound")
        title = Text(f"\nturn {turn.turn}  {said}", style="bold")
        self._print(title)
        line = f"  from the caller's last {end} to the agent's first{' sound' * turn.keyed}: {heard}"
        if turn.from_decision_ms is not None:
            line += f"; from the end-of-turn decision: {turn.from_decision_ms} ms"
        self._print(Text(line))
        if turn.stages:
            for row in _waterfall(turn.stages, turn.last_sound_ms):
                self._print(row)

    def _show_ending(self, result: CallResult) -> None:
        reason = f" ({result.end_reason})" if result.end_reason else ""
        how = told_ending(result.ended_by)
        how = how if how.startswith("ended") else f"ended: {how}"
        lost_ms = sum(underrun.length_ms for underrun in result.underruns)
        counts = result.counts
        self._print(
            Text(
                f"\n{how}{reason} after {result.duration_ms / 1000:.1f} s; "
                f"{counts.agent_frames} agent frames, {len(result.underruns)} underruns ({lost_ms} ms), "
                f"{counts.marks_echoed}/{counts.marks} marks echoed, {counts.clears} clears"
            )
        )

    def _show_verdicts(self, verdicts: Sequence[Verdict]) -> None:
        for verdict in verdicts:
            mark, style = ("met   ", "green") if verdict.met else ("FAILED", "bold red")
            text = Text(mark, style=style).append(f"  {verdict.expected}", style="default")
            detail = f"; {verdict.detail}" if verdict.detail else ""
            self._print(text.append(f"  [{verdict.judged_by}{detail}]", style="dim"))


def _waterfall(stages: Sequence[Stage], origin_ms: int) -> Iterator[Text]:
    """Every stage on one time axis, beside its target; begins are relative to the caller's last sound."""
    first, last = min(stage.start_ms for stage in stages), max(stage.end_ms for stage in stages)
    cells_per_ms = _BAR_CELLS / max(1, last - first)
    for stage in sorted(stages, key=lambda stage: (stage.start_ms, stage.end_ms)):
        start = round((min(stage.start_ms, stage.end_ms) - first) * cells_per_ms)
        length = max(1, round(abs(stage.duration_ms) * cells_per_ms))
        bar = (" " * min(start, _BAR_CELLS - 1) + "█" * length)[:_BAR_CELLS].ljust(_BAR_CELLS)
        late = stage.target_ms is not None and stage.duration_ms > stage.target_ms
        style = "red" if late else "blue"
        line = Text(f"  {stage.name[:_NAME_CELLS]:<{_NAME_CELLS}} {stage.start_ms - origin_ms:+6d}")
        line.append(f" {stage.duration_ms:5d} ms  ").append(bar, style=style)
        if stage.target_ms is not None:
            line.append(
                f" target {stage.target_ms}{', over' if late else ''}", style="red" if late else "dim"
            )
        yield line
