import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import numpy as np
from pathlib import Path
from seqapps.lazy import start_tensorflow
start_tensorflow()
import tensorflow as tf

cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from training_toy import ROWS, network, train, weights

folder = Path(sys.argv[1])
settings = dict(
    epochs=2, learning_rate=0.05, clip_norm=0.5, average_decay=0.5, label_smoothing=0.1,
    monitor="loss", tensorboard=True,
)
runs = []
for name, strategy in (
    ("one", tf.distribute.get_strategy()),
    ("two", tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])),
):
    with strategy.scope():
        model = network()
        progress = train(model, folder / name, **settings)
    runs.append((weights(model), progress.history))
(one, alone), (two, together) = runs
assert 1 in ROWS, "a batch of one row leaves the second replica without any"
for a, b in zip(one, two, strict=True):
    np.testing.assert_allclose(b, a, atol=1e-5)
for a, b in zip(alone, together, strict=True):
    for key in a.keys() - {"seconds"}:
        assert abs(a[key] - b[key]) < 1e-5, (key, a, b)

class Stop(Exception):
    pass

calls = []
def score():
    calls.append(1)
    if len(calls) == 2:
        raise Stop
    return {"score": 0.0}

with strategy.scope():
    whole = network(dropout=0.3)
    train(whole, folder / "whole", **settings)
    try:
        train(network(dropout=0.3), folder / "resumed", score=score, **settings)
    except Stop:
        pass
    resumed = network(dropout=0.3, seed=8)
    train(resumed, folder / "resumed", **settings, resume=True)
for a, b in zip(weights(whole), weights(resumed), strict=True):
    np.testing.assert_allclose(b, a, atol=1e-6)
assert not np.allclose(weights(whole)[0], two[0], atol=1e-5)
"""


def test_two_replicas_learn_what_one_device_learns(tmp_path):
    here = Path(__file__).parent
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(here)},
        cwd=here.parents[2],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert run.returncode == 0, run.stderr
