import resource
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_toy import small_network, weights

from seqapps.errors import UserError
from seqapps.training.checkpoint import Checkpoints, Progress
from seqapps.training.losses import token_cross_entropy
from seqapps.training.step import Trainee


def checkpoints(model, folder):
    trainee = Trainee(model, loss=token_cross_entropy(), clip_norm=1.0, average_decay=0.5)
    trainee.compile(optimizer=keras.optimizers.AdamW(), jit_compile=False)
    trainee.optimizer.build(model.trainable_variables)
    scale = tf.Variable(1.0)
    return Checkpoints(trainee, folder, [scale]), trainee, scale


def test_everything_comes_back_from_the_newest(tmp_path):
    made, trainee, scale = checkpoints(small_network(), tmp_path)
    made.keep_best()
    best = weights(trainee.network)
    made.save(Progress(epoch=1))
    rng = np.random.default_rng(0)
    changed = [*trainee.network.variables, *trainee.optimizer.variables, *trainee.averages]
    for variable in [*changed, trainee.step_count, scale]:
        variable.assign(tf.cast(rng.integers(1, 99, variable.shape), variable.dtype))
    trainee.training_loss.update_state(3.0)
    trainee.gradient_norm.update_state(4.0)
    progress = Progress(
        epoch=3,
        epoch_start=40,
        best=0.1 + 0.2,
        stale=2,
        plateau=1,
        seconds=7.25,
        done=True,
        history=[{"epoch": 1, "loss": 1 / 3}, {"epoch": 2, "loss": float("nan")}],
    )
    made.save(progress)
    values = [v.numpy() for v in [*changed, trainee.step_count, scale]]

    again, other, other_scale = checkpoints(small_network(seed=8), tmp_path)
    # NaN is unequal to itself.
    assert str(again.restore()) == str(progress)
    found = [*other.network.variables, *other.optimizer.variables, *other.averages]
    for variable, value in zip([*found, other.step_count, other_scale], values, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    assert [float(other.training_loss.result()), float(other.gradient_norm.result())] == [3.0, 4.0]
    again.load_best()
    np.testing.assert_array_equal(weights(other.network), best)


def test_a_second_checkpoint_of_one_step_does_not_overwrite_the_first(tmp_path):
    made, _, _ = checkpoints(small_network(), tmp_path)
    made.save(Progress(epoch=1))
    first = made.latest
    content = {path: path.read_bytes() for path in tmp_path.glob(f"{Path(first).name}.*")}
    made.save(Progress(epoch=2))
    assert made.latest != first
    assert content
    assert all(path.read_bytes() == before for path, before in content.items())
    # A run that goes on does not begin to count anew.
    again, _, _ = checkpoints(small_network(), tmp_path)
    assert again.restore().epoch == 2
    again.save(Progress(epoch=3))
    assert again.latest not in (first, made.latest)


def test_a_full_disk_leaves_the_checkpoint_before_and_nothing_half_written(tmp_path):
    made, trainee, _ = checkpoints(small_network(), tmp_path / "full")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def full_disk():
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (64, hard))
            made.save(Progress(epoch=9))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    with pytest.raises(UserError, match=r"full cannot be written: File too large \(.* MB are free"):
        full_disk()
    assert made.latest is None
    made.save(Progress(epoch=2))
    there = sorted(path.name for path in (tmp_path / "full").iterdir())
    with pytest.raises(UserError, match="The checkpoint before is whole; free some space, and go"):
        full_disk()
    assert sorted(path.name for path in (tmp_path / "full").iterdir()) == there
    again, _, _ = checkpoints(small_network(seed=8), tmp_path / "full")
    assert again.restore().epoch == 2
    made.save(Progress(epoch=3))
    assert checkpoints(small_network(), tmp_path / "full")[0].restore().epoch == 3
