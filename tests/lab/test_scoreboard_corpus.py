"""The corpus that is shipped, what may be written in one, and the calls that are made of it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from offhook.config.assistant_loading import load_assistant
from offhook.config.errors import ConfigError
from offhook.lab.caller import ScriptedCaller
from offhook.lab.scoreboard.calls import plan_calls
from offhook.lab.scoreboard.corpus import Part, Scenario, Setting, Trial, Wanted, load_corpus
from offhook.lab.scoreboard.run import ASSISTANTS
from offhook.lab.script import Say, Silence, WaitFor

RECORDINGS = Path(__file__).parents[1] / "audio"
SPEAKING = Scenario("backchannel", "matrix", Setting.SPEAKING, Wanted.GO_ON, per_call=2)


def trial(text: str, scenario: Scenario = SPEAKING) -> Trial:
    return Trial(scenario, Part.TUNING, Say(text, cut_in_after_s=2.0))


def test_every_cell_of_the_matrix_has_ten_variants_and_some_are_held_out() -> None:
    corpus = load_corpus(RECORDINGS)
    cells = Counter(each.scenario.name for each in corpus if each.scenario.kind == "matrix")
    assert len(cells) == 7
    assert min(cells.values()) >= 10
    for kind in {each.scenario.kind for each in corpus}:
        assert {each.part for each in corpus if each.scenario.kind == kind} == set(Part)


def test_twelve_numbers_have_pauses_and_their_digits() -> None:
    numbers = [each for each in load_corpus(RECORDINGS) if each.scenario.kind == "numbers"]
    assert len(numbers) == 12
    for each in numbers:
        assert isinstance(each.step, Say)
        pauses = [part for part in each.step.parts if isinstance(part, float)]
        assert pauses
        assert all(0.45 <= pause <= 1.6 for pause in pauses)
        assert each.value.isdigit()


def test_every_assistant_of_the_corpus_is_there() -> None:
    for name in {each.scenario.assistant for each in load_corpus(RECORDINGS)}:
        load_assistant(ASSISTANTS / f"{name}.yaml")


def test_all_problems_of_a_corpus_are_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(
        "- {name: x, kind: matrix, setting: speeking, wanted: go_on, tuning: [{say: hi}, {sing: hi}]}\n"
    )
    (tmp_path / "b.yaml").write_text("- {name: x, kind: noise, setting: asked, wanted: answer, nose: 1}\n")
    with pytest.raises(ConfigError) as caught:
        load_corpus(RECORDINGS, tmp_path)
    told = [str(problem) for problem in caught.value.problems]
    assert any("Did you mean `speaking`?" in each for each in told)
    assert any("sing" in each for each in told)
    assert any("nose" in each for each in told)


def test_variants_share_a_call_and_each_has_a_question_before_it() -> None:
    first, second = plan_calls([trial("Yeah."), trial("Okay."), trial("Right.")])
    assert [each.trial.label for each in first.trials] == ["Yeah.", "Okay."]
    assert [each.trial.label for each in second.trials] == ["Right."]
    for planned in first.trials:
        assert first.script.steps[planned.ask_step] == Say(SPEAKING.ask)
        assert first.script.steps[planned.step] == planned.trial.step


def test_a_caller_who_only_listens_is_judged_from_the_question_on() -> None:
    scenario = Scenario("café", "noise", Setting.LISTENING, Wanted.GO_ON)
    (call,) = plan_calls([Trial(scenario, Part.TUNING, Silence(20))])
    (planned,) = call.trials
    assert planned.step == planned.ask_step


@pytest.mark.parametrize("setting", list(Setting))
def test_every_setting_makes_a_script_that_comes_to_its_end(setting: Setting) -> None:
    scenario = Scenario("any", "any", setting, Wanted.ANSWER)
    (call,) = plan_calls(
        [Trial(scenario, Part.TUNING, Say("Yes.")), Trial(scenario, Part.TUNING, Say("No."))]
    )
    says = {i: b"\x20" * 1600 for i, step in enumerate(call.script.steps) if isinstance(step, Say)}
    caller = ScriptedCaller(call.script, says)
    act, periods = caller.first_act(), 0
    while act.hang_up is None:
        act, periods = caller.listen(act.frame or b"\xff" * 160, b"\xff" * 160), periods + 1
        assert periods < 50 * 120
    assert caller.steps_done == len(call.script.steps) - 1
    if setting is Setting.GREETING:
        assert not any(
            isinstance(step, WaitFor) and step.what == "agent_speaks" for step in call.script.steps
        )
