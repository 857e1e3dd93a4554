"""The study without any training: who takes which trial, and what is left when a process ends."""

import math
import subprocess
import sys

import optuna
import pytest

from seqapps.errors import UserError
from seqapps.space import Float, OneOf, Whole
from seqapps.tuning.folder import StudyFolder
from seqapps.tuning.outcome import short_names, table, trials_csv
from seqapps.tuning.participant import discard_if_new
from seqapps.tuning.study import Row, Study

SPACE = {"a.rate": Float(0.0, 1.0), "b": Whole(1, 9), "c": OneOf(("x", "y"))}
FIRST = {"a.rate": 0.25, "c": "y"}


@pytest.fixture
def folder(tmp_path):
    # Signs that mean something in addresses of databases and in format strings.
    found = StudyFolder(tmp_path / "a study? {100%}")
    found.begin({"seed": 0}, overwrite=False)
    return found


def opened(folder, *, highest=True):
    study = Study(folder, space=SPACE, seed=7)
    if study.is_new:
        study.create(goal="score", highest=highest)
    return study


@pytest.fixture
def study(folder):
    study = opened(folder)
    yield study
    study.close()


def claim(study, place, trials=20):
    return study.claim(place.name, trials=trials, first=FIRST)


def test_exactly_as_many_trials_as_are_asked_for(folder, study):
    with folder.presence() as one, folder.presence() as other:
        first, second, third = claim(study, one, 3), claim(study, other, 3), claim(study, one, 3)
        assert [number for number, _ in (first, second, third)] == [1, 2, 3]
        assert claim(study, other, 3) is None
        assert (study.running, study.ended) == (3, 0)
        study.finish(second[1], 0.5)
        assert claim(study, other, 3) is None
        assert (study.running, study.ended) == (2, 1)
        # The first has what was given, as far as it was; no two are alike.
        assert {name: first[1].params[name] for name in FIRST} == FIRST
        assert len({trial.params["a.rate"] for _, trial in (first, second, third)}) == 3
        assert claim(study, other, 4)[0] == 4


def test_suggestions_follow_from_the_seed(folder, study, tmp_path):
    again = StudyFolder(tmp_path / "again")
    again.begin({}, overwrite=False)
    other = opened(again)
    with folder.presence() as one, again.presence() as two:
        for _ in range(12):
            mine, theirs = claim(study, one)[1], claim(other, two)[1]
            assert mine.params == theirs.params
            study.finish(mine, mine.params["a.rate"])
            other.finish(theirs, theirs.params["a.rate"])
    other.close()


# A process of its own, which takes three trials and ends one.
HOLD = """
import sys, time
from pathlib import Path
from seqapps.tuning.folder import StudyFolder
from seqapps.tuning.study import Study
folder = StudyFolder(Path(sys.argv[1]))
study = Study(folder, space={}, seed=7)
with folder.presence() as place:
    with folder.lock():
        for value in (0.5, None, None):
            trial = study.claim(place.name, trials=20, first={})[1]
            if value:
                study.finish(trial, value)
    print("ready", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_was_at_is_done_again(folder, study):
    command = [sys.executable, "-c", HOLD, str(folder.path)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    with folder.presence() as place:
        assert claim(study, place)[0] == 4
        process.kill()
        process.communicate()
        assert [claim(study, place)[0] for _ in range(3)] == [2, 3, 5]
        assert [path.name for path in (folder.path / "running").iterdir()] == [place.name]
    assert [(row.number, row.value) for row in study.rows()] == [(1, 0.5)]
    states = [trial.state.name for trial in study.handle.trials]
    assert states == ["COMPLETE", "FAIL", "FAIL", "RUNNING", "RUNNING", "RUNNING", "RUNNING"]


def killed_at_a_trial(folder, study, *, stopped=False):
    """Leaves what a process leaves that the system kills at its trial; returns the number."""
    number = study.claim("1-dead", trials=20, first=FIRST)[0]
    place = folder.path / "running" / "1-dead"
    place.mkdir(parents=True)
    (place / "lock").touch()
    if stopped:
        (place / "stopped").touch()
    return number


def test_a_trial_whose_process_is_killed_again_and_again_has_failed(folder, study):
    with folder.presence() as place:
        # Once is nothing: it is tried again with the same settings.
        assert [killed_at_a_trial(folder, study) for _ in range(2)] == [1, 1]
        assert [trial.params["c"] for trial in study.handle.trials] == ["y", "y"]
        number, trial = claim(study, place)
        assert number == 2
        study.finish(trial, 0.5)
        first, second = study.rows()
        assert (first.state, first.value, second.state) == ("failed", None, "complete")
        assert "killed 2 times, most likely for want of memory; try smaller" in first.reason
        # The sampler sees it, as it sees other settings that do not work.
        assert study.handle.trials[1].state == optuna.trial.TrialState.PRUNED
        assert killed_at_a_trial(folder, study) == 3
        assert claim(study, place)[0] == 3


def test_a_process_that_was_told_to_stop_is_not_held_against_its_trial(folder, study):
    # By the one that started it, however often.
    for _ in range(4):
        assert killed_at_a_trial(folder, study, stopped=True) == 1
    # By Ctrl-C: its folder is tidied up.
    for _ in range(4):
        with folder.presence() as place:
            assert claim(study, place)[0] == 1


def test_a_process_notes_that_it_was_told_to_stop(folder):
    with folder.presence() as place:
        folder.note_stop()
        assert (place / "stopped").exists()


def test_a_kill_between_suggestion_and_name_is_noticed(folder, study):
    study.handle.ask()
    with folder.presence() as place:
        assert claim(study, place)[0] == 1
    assert [trial.state.name for trial in study.handle.trials] == ["FAIL", "RUNNING"]


def test_how_trials_end(folder, study):
    with folder.presence() as place:
        for value in (0.2, 0.7, 0.7):
            study.finish(claim(study, place)[1], value)
        stopped = claim(study, place)[1]
        for epoch, value in enumerate((0.3, math.nan, 0.1), 1):
            stopped.report(value, epoch)
        study.finish(stopped, None)
        failed = claim(study, place)[1]
        failed.report(0.9, 1)
        study.finish(failed, None, failed="units must be even,\n got 3")
    rows = study.rows()
    assert [row.state for row in rows] == ["complete"] * 3 + ["pruned", "failed"]
    assert [row.value for row in rows] == [0.2, 0.7, 0.7, 0.3, None]
    # Of equals the first; what failed is not best, however well it began.
    assert study.best() == rows[1]
    assert (study.goal, study.highest) == ("score", True)
    lines = table(rows, rows[1], "score").splitlines()
    assert lines[0].split() == ["trial", "score", "state", "seconds", "rate", "b", "c"]
    assert lines[2].split()[:3] == ["2", "0.7", "best"]
    assert lines[5].split()[:3] == ["5", "-", "failed"]
    assert lines[6] == "trial 5 failed: units must be even, got 3"
    csv = trials_csv(rows).splitlines()
    assert csv[0] == "trial,value,state,seconds,a.rate,b,c,reason"
    assert csv[5].startswith("5,,failed,")
    assert csv[5].endswith(',"units must be even, got 3"')


def test_lowest_is_best_where_less_is_better(tmp_path):
    folder = StudyFolder(tmp_path / "s")
    folder.begin({}, overwrite=False)
    study = opened(folder, highest=False)
    with folder.presence() as place:
        for value in (0.4, 0.2, 0.3):
            study.finish(claim(study, place)[1], value)
        stopped = claim(study, place)[1]
        stopped.report(0.25, 1)
        stopped.report(0.5, 2)
        study.finish(stopped, None)
    assert study.best().value == 0.2
    assert study.rows()[3].value == 0.25
    shares = study.importances()
    assert shares.keys() == SPACE.keys()
    assert sum(shares.values()) == pytest.approx(1.0)
    study.close()


def test_equal_trials_tell_nothing_about_settings(folder, study):
    with folder.presence() as place:
        for _ in range(4):
            study.finish(claim(study, place)[1], 0.0)
    with pytest.raises(UserWarning, match="same set of trials"):
        study.importances()


def test_weak_trials_are_stopped_after_the_first_epochs(folder, study):
    with folder.presence() as place:
        for _ in range(5):
            trial = claim(study, place)[1]
            for epoch in (1, 2, 3):
                trial.report(0.5, epoch)
                assert not trial.should_prune()
            study.finish(trial, 0.5)
        weak = claim(study, place)[1]
        weak.report(0.1, 1)
        assert not weak.should_prune()
        weak.report(0.1, 2)
        assert weak.should_prune()


def test_a_study_that_began_otherwise_is_not_continued(folder):
    folder.reopen({"seed": 0})
    with pytest.raises(UserError, match="began otherwise: seed was 0 and is 1"):
        folder.reopen({"seed": 1})
    with pytest.raises(UserError, match="go on with --resume, or discard it with --overwrite"):
        folder.begin({"seed": 0}, overwrite=False)
    (folder.path / "study.json").write_text("{")
    with pytest.raises(UserError, match="study.json cannot be read"):
        folder.reopen({"seed": 0})


def test_overwriting_discards_everything_of_the_old_study(folder, study):
    with folder.presence() as place:
        study.finish(claim(study, place)[1], 1.0)
        with pytest.raises(UserError, match="processes work on the study"):
            folder.begin({"seed": 1}, overwrite=True)
    folder.keep_assets({"a.txt": b"a"})
    folder.begin({"seed": 1}, overwrite=True)
    assert sorted(path.name for path in folder.path.iterdir()) == ["lock", "study.json"]
    assert folder.plan == {"seed": 1}
    assert folder.assets is None


def test_a_study_that_never_began_is_not_in_the_way(folder):
    began = opened(folder)
    began.close()
    discard_if_new(folder)
    assert folder.database.exists()
    folder.begin({}, overwrite=True)
    with folder.presence():
        # Of another process, which is about to begin it.
        discard_if_new(folder)
        assert folder.path.exists()
    discard_if_new(folder)
    assert not folder.path.exists()


def test_what_is_not_a_study_stays(tmp_path):
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(UserError, match="exists and is not a study"):
        StudyFolder(tmp_path).begin({}, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_short_names_stay_different():
    names = short_names(["model.units", "other.units", "training.rate", "seed"])
    assert list(names.values()) == ["model.units", "other.units", "rate", "seed"]


def test_optunas_log_is_silent():
    assert optuna.logging.get_verbosity() == optuna.logging.ERROR


def test_a_row_without_a_setting_is_a_dash():
    rows = [Row(1, "complete", 0.5, 1.0, {"a": 1}), Row(2, "complete", 0.4, 1.0, {"b": 2.0})]
    assert table(rows, rows[0], "score").splitlines()[1:] == [
        "    1    0.5      best      1.0  1  -",
        "    2    0.4  complete      1.0  -  2",
    ]
