"""The decoders inside a SavedModel: unknown batch, options as tensors, plain graph operations."""

import numpy as np
import pytest
import tensorflow as tf
from decoding_oracle import BANNED, BOS, EOS, Tables, assert_same, plain_beam, rows_of

from seqapps.decoding.beam import beam_search
from seqapps.decoding.loop import Hypotheses
from seqapps.decoding.sampling import greedy, sample

SPECIAL = {"bos": BOS, "eos": EOS, "banned": BANNED}
TABLES = Tables(rows=5, vocabulary=9, seed=2)


def row_spec(dtype, name):
    return tf.TensorSpec([None], dtype, name)


class Decoder(tf.Module):
    def start(self, rows):
        memory = [tf.tile(rows[:, None, None], [1, 4, 2])]
        batch = tf.shape(rows)[0]
        return {"history": tf.zeros_like(rows), "copy": (tf.zeros([batch, 2, 3]),)}, memory

    @tf.function(
        input_signature=[
            row_spec(tf.int32, "rows"),
            row_spec(tf.int32, "beam_width"),
            row_spec(tf.float32, "length_penalty"),
            row_spec(tf.int32, "max_steps"),
        ],
        autograph=False,
    )
    def beam(self, rows, beam_width, length_penalty, max_steps):
        return beam_search(
            TABLES.step,
            *self.start(rows),
            **SPECIAL,
            beam_width=beam_width,
            length_penalty=length_penalty,
            max_steps=max_steps,
        )._asdict()

    @tf.function(
        input_signature=[row_spec(tf.int32, "rows"), row_spec(tf.int64, "seed")], autograph=False
    )
    def single(self, rows, seed):
        best = greedy(TABLES.step, *self.start(rows), **SPECIAL, max_steps=10)
        drawn = sample(
            TABLES.step, *self.start(rows), **SPECIAL, max_steps=10, seed=seed, top_k=4, top_p=0.9
        )
        return {"greedy": best.tokens, "sampled": drawn.tokens}


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    folder = tmp_path_factory.mktemp("servable")
    decoder = Decoder()
    tf.saved_model.save(
        decoder, str(folder), signatures={"beam": decoder.beam, "single": decoder.single}
    )
    return tf.saved_model.load(str(folder))


def test_beam_search_survives_the_round_trip(reloaded):
    width, alpha, steps = [1, 4, 2], [0.0, 1.0, 0.6], [5, 9, 7]
    answer = reloaded.signatures["beam"](
        rows=tf.constant([4, 0, 2]),
        beam_width=tf.constant(width),
        length_penalty=tf.constant(alpha),
        max_steps=tf.constant(steps),
    )
    for b, (row, found) in enumerate(zip([4, 0, 2], rows_of(Hypotheses(**answer)), strict=True)):
        expected = plain_beam(
            TABLES, row, width=width[b], alpha=alpha[b], max_steps=steps[b], n_best=width[b]
        )
        assert_same(found, expected)


@pytest.mark.parametrize("rows", [[], [3], [0, 1, 2, 3, 4] * 7])
def test_one_value_serves_every_row_of_any_batch(reloaded, rows):
    answer = reloaded.beam(
        tf.constant(rows, tf.int32), tf.constant([3]), tf.constant([1.0]), tf.constant([6])
    )
    assert len(answer["tokens"]) == len(rows)
    for row, found in zip(rows, rows_of(Hypotheses(**answer)), strict=True):
        assert_same(found, plain_beam(TABLES, row, width=3, alpha=1.0, max_steps=6, n_best=3))


def test_greedy_and_sampling_survive_the_round_trip(reloaded):
    rows, seeds = tf.range(5), tf.constant([9, 8, 7, 6, 5], tf.int64)
    answer = reloaded.single(rows, seeds)
    state, memory = TABLES.start(range(5))
    best = greedy(TABLES.step, state, memory, **SPECIAL, max_steps=10)
    drawn = sample(
        TABLES.step, state, memory, **SPECIAL, max_steps=10, seed=seeds, top_k=4, top_p=0.9
    )
    np.testing.assert_array_equal(answer["greedy"], best.tokens)
    np.testing.assert_array_equal(answer["sampled"], drawn.tokens)


def test_the_graph_calls_no_python():
    decoder = Decoder()  # Kept: a bound tf.function does not keep its object alive.
    graph = decoder.beam.get_concrete_function().graph.as_graph_def()
    functions = [node for function in graph.library.function for node in function.node_def]
    operations = {node.op for node in [*graph.node, *functions]}
    assert "TopKV2" in operations
    assert not {op for op in operations if "PyFunc" in op or "Cudnn" in op}
