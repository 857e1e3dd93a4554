import os
import subprocess
from pathlib import Path

import pytest
from warm_python import warm_python

PROGRAM = """
import sys
import numpy as np
from pathlib import Path
import tensorflow as tf

# Before TensorFlow runs anything.
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)

from training_toy import ROWS, network, train, weights

folder = Path(sys.argv[1])
settings = dict(
    epochs=2, learning_rate=0.05, clip_norm=0.5, average_decay=0.5, label_smoothing=0.1,
    monitor="loss", tensorboard=True,
)
alone = network()
wanted = train(alone, folder / "alone", **settings).history

class Stop(Exception):
    pass

calls = []
def score():
    calls.append(1)
    if len(calls) == 2:
        raise Stop
    return {"score": 0.0}

with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    try:
        train(network(), folder / "together", score=score, **settings)
    except Stop:
        pass
    resumed = network(seed=8)
    found = train(resumed, folder / "together", **settings, resume=True).history
assert 1 in ROWS, "a batch of one row leaves the second replica without any"
for a, b in zip(weights(alone), weights(resumed), strict=True):
    np.testing.assert_allclose(b, a, atol=1e-5)
for a, b in zip(wanted, found, strict=True):
    for key in a.keys() - {"seconds"}:
        assert abs(a[key] - b[key]) < 1e-5, (key, a, b)
"""


@pytest.mark.timeout(600)
def test_two_replicas_learn_what_one_device_learns_also_over_a_resume(tmp_path):
    tests = Path(__file__).parents[2]
    run = subprocess.run(
        [warm_python(), "-c", PROGRAM, str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(tests)},
        cwd=tests.parent,
        capture_output=True,
        text=True,
        timeout=580,
    )
    assert run.returncode == 0, run.stderr
