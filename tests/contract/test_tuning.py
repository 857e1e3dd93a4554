"""`tune` as people run it: processes that are killed, interrupted and started beside each other."""

import csv
import json
import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import numeric_recipe
import pytest
import tuned_recipe
from interruptible import INTERRUPTIBLE
from tuned_recipe import RECIPE
from warm_python import warm_python

from seqapps.tuning.folder import StudyFolder
from seqapps.tuning.study import Study

# Many starts of TensorFlow, on a machine that may be busy.
pytestmark = pytest.mark.timeout(1800)

# What each trial tries follows from the seed: 3 and 5 are refused, 4 is not finite.
SETTINGS = ("--seed", "3", "--training.epochs", "1", "--data.series", "40")
TUNE = [tuned_recipe.__file__, "tune", "--trials", "5", *SETTINGS]


class Story(NamedTuple):
    folder: Path
    kept: list
    """Rows that had ended when the first process was killed."""
    interrupted: str
    """Standard error of the second one."""
    output: str
    """Of the third."""
    error: str


def trials(folder):
    study = Study(StudyFolder(folder), space=RECIPE.space, seed=3)
    try:
        return study.rows(), study.goal, study.highest
    finally:
        study.close()


def run_until(line, sign, *flags, cwd):
    """Starts tune, sends a signal once a line is there; all it wrote to standard error."""
    process = subprocess.Popen(
        [*INTERRUPTIBLE, warm_python(), *TUNE, "--output", "study", *flags],
        cwd=cwd,
        text=True,
        stderr=subprocess.PIPE,
    )
    story = ""
    while line not in story:
        read = process.stderr.readline()
        assert read, story
        story += read
    process.send_signal(sign)
    # Until the last that holds the other end of the pipe has gone, what was killed with it.
    return process, story + process.communicate()[1]


@pytest.fixture(scope="module")
def story(tmp_path_factory):
    """Killed in trial 2; interrupted with two processes at work; completed, and trained with."""
    cwd = tmp_path_factory.mktemp("tuning")
    run_until("trial 2/5  units", signal.SIGKILL, cwd=cwd)
    kept, _, _ = trials(cwd / "study")
    both = ("--resume", "--processes", "2")
    process, interrupted = run_until("trial 3/5  failed", signal.SIGINT, *both, cwd=cwd)
    assert process.returncode == 130, interrupted
    # TensorFlow takes long to start: the study is completed and its result used in one process.
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "import numeric_recipe, tuned_recipe\n"
        "from seqapps.commands.program import run\n"
        "tuned = ['--output', 'study', '--resume', *sys.argv[1:]]\n"
        "assert run(tuned_recipe.RECIPE, ['tune', *tuned]) == 0\n"
        "best = ['--config', 'study/best.toml', '--output', 'bundle']\n"
        "sys.exit(run(numeric_recipe.RECIPE, ['train', *best]))\n"
    )
    done = subprocess.run(
        [warm_python(), "-c", code, *TUNE[2:]], cwd=cwd, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return Story(cwd / "study", kept, interrupted, done.stdout, done.stderr)


def test_trials_that_ended_are_never_lost(story):
    assert [(row.number, row.state) for row in story.kept] == [(1, "complete")]
    rows, goal, highest = trials(story.folder)
    assert rows[0] == story.kept[0]
    assert (goal, highest) == ("mean_error", False)
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]


def test_two_processes_share_the_trials(story):
    told = story.interrupted
    # The one that goes on while the other is at a later trial has lost nothing of it.
    assert "trial 2/5  units 6  highest 1\n" in told
    assert told.count("trial 3/5  units 7") == 1
    assert "Stopped. To continue: " in told
    assert "--resume" in told
    assert "Traceback" not in told
    # Helpers end with the process that started them.
    assert list((story.folder / "running").iterdir()) == []


def test_settings_that_do_not_work_are_named_and_do_not_stop_the_study(story):
    rows, _, _ = trials(story.folder)
    states = {row.number: row.state for row in rows}
    assert states == {1: "complete", 2: "complete", 3: "failed", 4: "failed", 5: "failed"}
    assert "units must be even, got 7" in rows[2].reason
    assert "gradient norm and loss must be finite" in rows[3].reason
    assert "trial 5 failed: units: units must be even, got 9." in story.error
    # Nobody read the test split while tuning: the recipe of this test would have failed.
    assert "test split was read" not in story.error + "".join(row.reason for row in rows)


def test_best_settings_train_to_the_value_they_had(story, assert_only_ours):
    rows, _, _ = trials(story.folder)
    best = min((row for row in rows if row.value is not None), key=lambda row: row.value)
    text = (story.folder / "best.toml").read_text()
    assert (
        f"# mean error {best.value:.6g} on the validation split: trial {best.number} of 5" in text
    )
    assert f"tune --trials 5 --output study {' '.join(SETTINGS)}\n" in text
    default = numeric_recipe.Config()
    units = {"units": best.settings["units"]} if best.settings["units"] != default.units else {}
    assert tomllib.loads(text) == {
        "seed": 3,
        "data": {"series": 40},
        # What a rule would decide is written whatever it is.
        "training": {"epochs": 1, "minutes": 0.0, "learning_rate": 2e-3, "patience": 5},
        **units,
    }
    bundle = story.folder.parent / "bundle"
    (row,) = csv.DictReader((bundle / "history.csv").read_text().splitlines())
    assert float(row["mean_error"]) == pytest.approx(best.value, abs=5.1e-5)
    assert_only_ours(story.error)


def test_what_a_study_leaves(story):
    assert story.output.startswith("study/best.toml\n")
    assert {path.name for path in story.folder.iterdir()} >= {
        "best.toml",
        "trials.csv",
        "history.png",
        "study.db",
        "study.json",
    }
    rows = list(csv.DictReader((story.folder / "trials.csv").read_text().splitlines()))
    assert [row["state"] for row in rows] == ["complete"] * 2 + ["failed"] * 3
    assert [row["units"] for row in rows] == ["8", "6", "7", "6", "9"]
    assert "train --config study/best.toml" in story.error
    assert (story.folder / "history.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("flags", "code", "message"),
    [
        ([], 1, "a study is at {}; go on with --resume, or discard it with --overwrite."),
        (["--resume", "--units", "4"], 1, "space.units was '2 to 9' and is None"),
        (["--resume", "--training.epochs", "2"], 1, "settings.training.epochs was 1 and is 2"),
        (["--resume", "--trial-minutes", "2"], 1, "trial_minutes was 0.0 and is 2.0"),
        (["--units", "4", "--data.highest", "2"], 2, "every setting of its space is given"),
        (["--trials", "0"], 2, "--trials must be at least 1, got 0."),
        (["--processes", "0"], 2, "--processes must be at least 1, got 0."),
        (["--trial-minutes", "-1"], 2, "--trial-minutes must be at least 0, got -1"),
        (["--output", "/dev/null/x"], 1, "/dev/null/x cannot be written: Not a directory"),
        (["--output", "/dev"], 1, "/dev exists and is not a study"),
        (["--output", "nothing", "--resume"], 1, "there is no study at nothing; start one"),
    ],
)
def test_bad_input_is_one_clear_message(command, story, flags, code, message):
    before = trials(story.folder)
    argv = ["tune", *SETTINGS, "--output", story.folder, *flags]
    found, out, err = command(RECIPE, *argv)
    assert (found, out) == (code, "")
    assert err.startswith("error: ")
    assert message.format(story.folder) in err
    assert trials(story.folder) == before


def test_a_complete_study_of_others_is_not_discarded_while_they_work(command, tmp_path):
    folder = StudyFolder(tmp_path / "s")
    folder.begin({}, overwrite=False)
    with folder.presence():
        code, _, err = command(RECIPE, "tune", "--output", tmp_path / "s", "--overwrite")
    assert code == 1
    assert "processes work on the study" in err


def test_without_optuna_it_says_what_to_install(tmp_path):
    code = (
        "import sys\n"
        "sys.modules['optuna'] = None\n"
        "from seqapps.recipes.translate import RECIPE\n"
        "from seqapps.commands.program import run\n"
        "assert run(RECIPE, ['tune', '--help']) == 0\n"
        "assert run(RECIPE, ['tune']) == 1\n"
        "assert 'tensorflow' not in sys.modules or 'tensorflow.python' not in sys.modules\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "pip install 'seqapps[tune]'" in done.stderr
    assert "training.learning_rate    0.0005 to 0.01 (logarithmic)  (default: auto)" in done.stdout
    assert os.listdir(tmp_path) == []


def test_help_never_imports_optuna():
    code = (
        "import sys\n"
        "from seqapps.recipes.translate import RECIPE\n"
        "from seqapps.commands.program import run\n"
        "for argv in (['--help'], ['tune', '--help'], ['train', '--help']):\n"
        "    assert run(RECIPE, argv) == 0\n"
        "assert not {'optuna', 'sqlalchemy', 'tensorflow.python'} & sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_plan_is_readable(story):
    plan = json.loads((story.folder / "study.json").read_text())
    assert plan["space"] == {"units": "2 to 9", "data.highest": "1.0 | 1e+30"}
    assert plan["settings"]["training"]["epochs"] == 1
