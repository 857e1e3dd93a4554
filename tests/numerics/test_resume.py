"""A training that is killed and interrupted ends exactly as one that is left alone."""

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
import tensorflow as tf
from warm_python import warm_python

PROGRAM = Path(__file__).with_name("resume_program.py")


def start(recipe, data, folder, how):
    folder.mkdir(exist_ok=True)
    # One file for both streams, so that nothing waits for a reader.
    with (folder / f"{how}.log").open("w") as log:
        return subprocess.Popen(
            [warm_python(), str(PROGRAM), recipe, str(data), str(folder), how],
            stdout=log,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


def finish(process, folder, how):
    code = process.wait(timeout=580)
    return code, (folder / f"{how}.log").read_text(encoding="utf-8")


def last_state(folder):
    """Every tensor of the newest checkpoint as bytes, and progress."""
    reader = tf.train.load_checkpoint(str(folder / "checkpoints"))
    tensors, progress = {}, None
    for name in reader.get_variable_to_shape_map():
        value = reader.get_tensor(name)
        if name.startswith("progress/"):
            progress = json.loads(value)
        elif not name.startswith(("save_counter", "_CHECKPOINTABLE")):
            tensors[name] = value.tobytes()
    for row in progress["history"]:
        del row["seconds"]
    del progress["seconds"]
    return tensors, progress


def killed_at(folder):
    """The updates of a kill's last checkpoint: it is whole, and the next one half written."""
    kept = tf.train.latest_checkpoint(str(folder / "checkpoints"))
    number = int(kept.rpartition("-")[2])
    assert list((folder / "checkpoints").glob(f"ckpt-{number + 1}*"))
    _, progress = last_state(folder)
    steps = int(tf.train.load_variable(kept, "steps/.ATTRIBUTES/VARIABLE_VALUE"))
    assert progress["epoch"] == 2
    assert steps > progress["epoch_start"]
    return steps


def assert_same_state(one, other):
    (tensors, progress), (state, also) = last_state(one), last_state(other)
    assert progress == also
    assert state.keys() == tensors.keys()
    assert [name for name in tensors if state[name] != tensors[name]] == []


@pytest.mark.timeout(1200)
def test_killed_and_interrupted_equals_uninterrupted_bit_for_bit(few_pairs, tmp_path):
    left_alone, disturbed = tmp_path / "left_alone", tmp_path / "disturbed"
    whole = start("translate", few_pairs, left_alone, "whole")
    code, story = finish(start("translate", few_pairs, disturbed, "killed"), disturbed, "killed")
    assert code == -signal.SIGKILL, story

    steps = killed_at(disturbed)
    code, story = finish(start("translate", few_pairs, disturbed, "resumed"), disturbed, "resumed")
    assert code == 0, story
    assert story.count("interrupted") == 2
    found = [int(step) for step in re.findall(r"resuming at step (\d+)", story)]
    code, wanted = finish(whole, left_alone, "whole")
    assert code == 0, wanted
    tensors, progress = last_state(left_alone)
    starts = [row["steps"] for row in progress["history"]]
    # From the checkpoint; where Ctrl-C came in training; and the end of the pass it validated.
    assert found == [steps, starts[2] + 5, starts[3]]

    assert wanted.splitlines()[-1].startswith("stopped at epoch 4: ")
    assert story.splitlines()[-1] == wanted.splitlines()[-1]
    assert progress["stale"] == 3
    assert_same_state(disturbed, left_alone)
    for kind in ("network/", "optimizer/", "averages/", "best/", "extra/", "running/", "steps/"):
        assert any(name.startswith(kind) for name in tensors), kind


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_a_killed_writer_with_weight_drop_equals_one_left_alone_bit_for_bit(tmp_path):
    """Three processes again: the kill is shown above, state that is carried in `test_carried`."""
    text = tmp_path / "story.txt"
    text.write_text("".join(f"the {i * i} cats sat on mat {i}\n" for i in range(60)))
    left_alone, disturbed = tmp_path / "left_alone", tmp_path / "disturbed"
    whole = start("generate", text, left_alone, "whole")
    code, story = finish(start("generate", text, disturbed, "killed"), disturbed, "killed")
    assert code == -signal.SIGKILL, story
    steps = killed_at(disturbed)
    code, story = finish(start("generate", text, disturbed, "resumed"), disturbed, "resumed")
    assert code == 0, story
    assert f"resuming at step {steps}" in story
    code, wanted = finish(whole, left_alone, "whole")
    assert code == 0, wanted
    assert wanted.splitlines()[-1].startswith("stopped at epoch 4: ")
    assert story.splitlines()[-1] == wanted.splitlines()[-1]
    assert_same_state(disturbed, left_alone)
    # What this recipe has beside others: state that goes on in the middle of the text.
    tensors, _ = last_state(left_alone)
    (carried,) = [value for name, value in tensors.items() if "carried" in name]
    assert any(carried)
