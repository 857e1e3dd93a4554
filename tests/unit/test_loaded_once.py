"""What is as it was is not loaded again, and what was changed is."""

import shutil

import tensorflow as tf


class Adds(tf.Module):
    def __init__(self, number):
        self.number = number

    @tf.function(input_signature=[tf.TensorSpec([])])
    def add(self, value):
        return value + self.number


def test_a_copy_is_loaded_and_a_changed_one_loaded_anew(tmp_path):
    tf.saved_model.save(Adds(1.0), str(tmp_path / "one"))
    shutil.copytree(tmp_path / "one", tmp_path / "copy")
    one = tf.saved_model.load(str(tmp_path / "one"))
    assert tf.saved_model.load(str(tmp_path / "copy")) is one
    shutil.rmtree(tmp_path / "copy")
    tf.saved_model.save(Adds(2.0), str(tmp_path / "copy"))
    other = tf.saved_model.load(str(tmp_path / "copy"))
    assert [float(each.add(tf.constant(1.0))) for each in (one, other)] == [2.0, 3.0]
