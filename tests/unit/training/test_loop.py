import io
import itertools
import math
import time
from dataclasses import replace

import keras
import numpy as np
import pytest
import tensorflow as tf
from training_toy import ROWS, ToyExamples, network, order, small_network, train, weights

from seqapps.errors import UserError
from seqapps.report import Reporter


@pytest.fixture
def precision(request):
    keras.config.set_dtype_policy(request.param)
    yield request.param
    keras.config.set_dtype_policy("float32")


class Script:
    """Scores given in advance, and the weights that each was asked about."""

    def __init__(self, model, scores):
        self.model, self.scores, self.seen = model, list(scores), []

    def __call__(self):
        self.seen.append(weights(self.model))
        return {"score": self.scores[len(self.seen) - 1]}


def same(found, wanted):
    return all(np.array_equal(one, other) for one, other in zip(found, wanted, strict=True))


@pytest.mark.parametrize(
    ("scores", "highest", "epochs", "best"),
    [
        ((1, 3, 2, 2, 9, 9), True, 4, 1),
        ((5, 4, 6, 4.5, 1, 1), False, 4, 1),
        ((math.nan, 2, math.nan, 1, 3, 3), True, 4, 1),
    ],
)
def test_stops_when_the_metric_stalls_and_restores_the_best(
    tmp_path, scores, highest, epochs, best
):
    model = small_network()
    script = Script(model, scores)
    progress = train(model, tmp_path, score=script, highest=highest, epochs=6, patience=2)
    assert [row["epoch"] for row in progress.history] == list(range(1, epochs + 1))
    assert progress.done
    assert same(weights(model), script.seen[best])
    assert not same(weights(model), script.seen[-1])


def test_of_equal_scores_the_lower_loss_is_better(tmp_path):
    model = small_network()
    script = Script(model, (5, 5, 5, 4))
    progress = train(model, tmp_path, score=script, epochs=4, patience=1)
    losses = [row["validation_loss"] for row in progress.history]
    assert losses == sorted(losses, reverse=True)
    assert same(weights(model), script.seen[2])


def test_patience_waits_while_the_metric_says_nothing(tmp_path):
    # The loss rises with this rate, so that no epoch is better than the first.
    rising = {"learning_rate": 30.0, "schedule": "constant", "warmup_steps": 0, "epochs": 5}
    shown, scores = io.StringIO(), (100, 100, 140, 100, 100)
    for floor, epochs in ((None, 3), (100.0, 5)):
        model = small_network()
        progress = train(
            model,
            tmp_path / str(floor),
            score=Script(model, scores),
            highest=False,
            floor=floor,
            patience=2,
            reporter=Reporter(shown),
            **rising,
        )
        assert len(progress.history) == epochs
    first = progress.history[0]["validation_loss"]
    assert shown.getvalue().count("score says nothing yet; the validation loss is") == 4
    assert f", {first:.3f} at its best" in shown.getvalue()


class Clock:
    """Each look at it lasts a second."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(time, "monotonic", self.look)

    def look(self):
        self.now += 1.0
        return self.now


class Stopped(Exception):
    pass


def stop_after(rows):
    def watch(row):
        rows.append(row)
        if len(rows) == 3:
            raise Stopped

    return watch


def test_a_training_is_laid_out_over_minutes(tmp_path, monkeypatch):
    clock, model, rows, shown = Clock(monkeypatch), small_network(), [], io.StringIO()
    script = Script(model, range(99))
    progress = train(
        model,
        tmp_path,
        score=script,
        minutes=3,
        epochs=0,
        watch=rows.append,
        reporter=Reporter(shown),
    )
    steps = [row["steps"] for row in rows]
    assert steps[-1] == progress.total
    assert 2 < len(steps) <= 21
    assert set(np.diff(steps)[:-1]) == {progress.every}
    assert np.diff(steps)[-1] <= progress.every
    assert rows[-1]["epoch"] == pytest.approx(progress.total / len(ROWS), abs=0.01)
    assert rows[-1]["learning_rate"] == pytest.approx(1e-4, rel=1e-4)
    # What measuring costs is estimated from the first time, and is some looks at the clock.
    assert 0.85 * 180 < clock.now < 180
    assert f"3 minutes: {progress.total:,} updates" in shown.getvalue()
    assert same(weights(model), script.seen[-1])


def test_minutes_leave_it_at_the_passes_there_may_be(tmp_path):
    # A real clock: the first update, which builds what the others use, takes most of the time.
    rows = []
    progress = train(small_network(), tmp_path, minutes=5, epochs=6, watch=rows.append)
    assert rows[0]["steps"] == len(ROWS)
    assert rows[-1]["steps"] == progress.total == 6 * len(ROWS)
    between = np.diff([row["steps"] for row in rows])
    assert set(between[:-1]) == {progress.every}
    # The rate falls over those passes from the start.
    warmup = 3
    share = (len(ROWS) - warmup) / (progress.total - warmup)
    fall = 0.01 + 0.99 * (1 + math.cos(math.pi * share)) / 2
    assert rows[0]["learning_rate"] == pytest.approx(0.01 * fall, rel=1e-4)
    assert rows[-1]["learning_rate"] == pytest.approx(1e-4, rel=1e-4)


def test_a_slow_first_update_is_not_what_is_timed(tmp_path, monkeypatch):
    clock, shown = Clock(monkeypatch), io.StringIO()

    class Slow(ToyExamples):
        def training_pass(self, epoch):
            whole = super().training_pass(epoch)

            def dataset(skip):
                clock.now += 0.0 if epoch else 100.0
                return whole.dataset(skip)

            return replace(whole, dataset=dataset)

    progress = train(
        small_network(), tmp_path, examples=Slow(), minutes=4, epochs=0, reporter=Reporter(shown)
    )
    # Of 240 seconds 100 are gone before the first update ends, and an update takes some.
    assert progress.total > 15
    assert clock.now < 240


def test_a_training_over_minutes_that_is_resumed_equals_a_whole_one(tmp_path, monkeypatch):
    settings = {"minutes": 1, "epochs": 0, "average_decay": 0.9}
    Clock(monkeypatch)
    whole = network(dropout=0.3)
    wanted = train(whole, tmp_path / "whole", **settings)
    Clock(monkeypatch)
    with pytest.raises(Stopped):
        train(network(dropout=0.3), tmp_path / "again", watch=stop_after([]), **settings)
    # However fast the machine is by now.
    monkeypatch.undo()
    resumed = network(dropout=0.3, seed=9)
    found = train(resumed, tmp_path / "again", resume=True, **settings)
    assert (found.total, found.every) == (wanted.total, wanted.every)
    assert [row["loss"] for row in found.history] == [row["loss"] for row in wanted.history]
    assert same(weights(resumed), weights(whole))


@pytest.mark.parametrize("settings", [{"epochs": 9}, {"minutes": 2, "epochs": 0}])
def test_a_training_can_be_finished_with_what_it_has(tmp_path, monkeypatch, settings):
    Clock(monkeypatch)
    model, rows = small_network(), []
    script = Script(model, (1, 3, 2, 5))
    with pytest.raises(Stopped):
        train(model, tmp_path, score=script, watch=stop_after(rows), **settings)
    finished = small_network(seed=4)
    progress = train(finished, tmp_path, resume=True, finish=True, **settings)
    assert progress.done
    assert progress.history[:2] == rows[:2]
    assert same(weights(finished), script.seen[1])
    # Nothing is left for anybody.
    assert train(small_network(), tmp_path, resume=True, **settings) == progress


def test_averages_are_what_is_measured_and_kept(tmp_path):
    model, plain = small_network(), small_network()
    script, other = Script(model, (1, 2, 1)), Script(plain, (1, 2, 1))
    averaged = train(model, tmp_path / "a", score=script, epochs=3, average_decay=0.95)
    without = train(plain, tmp_path / "b", score=other, epochs=3)
    assert same(weights(model), script.seen[1])
    assert not same(script.seen[1], other.seen[1])
    # Training itself goes on from the weights.
    losses = [[row["loss"] for row in run.history] for run in (averaged, without)]
    assert losses[0] == losses[1]


def test_stops_by_the_loss_whatever_the_metric_says(tmp_path):
    # With this rate the validation loss rises from the first epoch on.
    model = small_network()
    # The highest score is the second, the lowest the last.
    script = Script(model, (5, 6, 4, 3, 2, 1))
    progress = train(
        model,
        tmp_path,
        score=script,
        monitor="loss",
        patience=2,
        epochs=6,
        learning_rate=30.0,
        schedule="constant",
        warmup_steps=0,
    )
    losses = [row["validation_loss"] for row in progress.history]
    assert len(losses) == 3
    assert np.argmin(losses) == 0
    assert same(weights(model), script.seen[0])


def test_plateau_halves_the_rate_and_waits_again(tmp_path):
    model = small_network()
    script = Script(model, (1, 0, 0, 0, 2, 1, 1, 0))
    progress = train(
        model,
        tmp_path,
        score=script,
        schedule="plateau",
        plateau_epochs=2,
        epochs=8,
        learning_rate=0.8,
        warmup_steps=0,
    )
    rates = [row["learning_rate"] for row in progress.history]
    np.testing.assert_allclose(rates, [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.4, 0.2], rtol=1e-6)


def test_history_holds_means_over_all_real_tokens_of_a_pass(tmp_path):
    model, shown = network(), io.StringIO()
    progress = train(
        model,
        tmp_path,
        epochs=2,
        learning_rate=1e-12,
        score=lambda: {"score": 7.0},
        reporter=Reporter(shown),
    )
    totals, counts, norms = [], [], []
    for batch in ToyExamples().training_pass(0).dataset(0):
        with tf.GradientTape() as tape:
            logits = model({name: batch[name] for name in ("tokens", "values")})
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(batch["labels"], logits)
            real = tf.sequence_mask(batch["labels_lengths"], dtype=tf.float32)
            mean = tf.reduce_sum(losses * real) / tf.reduce_sum(real)
        slopes = tape.gradient(mean, model.trainable_variables)
        # An embedding's sparse gradient names a token twice that occurs twice.
        norms.append(float(tf.linalg.global_norm([tf.convert_to_tensor(g) for g in slopes])))
        totals.append(float(mean) * float(tf.reduce_sum(real)))
        counts.append(float(tf.reduce_sum(real)))
    for number, row in enumerate(progress.history, 1):
        assert row["steps"] == number * len(ROWS)
        assert row["loss"] == pytest.approx(sum(totals) / sum(counts), abs=2e-6)
        assert row["validation_loss"] == pytest.approx(sum(totals[:2]) / sum(counts[:2]), abs=2e-6)
        assert row["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-4)
        assert row["score"] == 7.0
        assert row["seconds"] >= 0.0
    assert f"{len(order())} batches a pass, {sum(counts):.0f} tokens, 0.0%" in shown.getvalue()
    assert not (tmp_path / "logs").exists()


def test_a_watcher_sees_each_epoch_and_may_end_the_training(tmp_path):
    class Enough(Exception):
        pass

    seen = []

    def watch(row):
        seen.append(row)
        if row["epoch"] == 2:
            raise Enough

    with pytest.raises(Enough):
        train(small_network(), tmp_path, score=lambda: {"score": 7.0}, epochs=4, watch=watch)
    assert [(row["epoch"], row["steps"], row["score"]) for row in seen] == [
        (1, 5, 7.0),
        (2, 10, 7.0),
    ]


def test_a_time_limit_stops_in_mid_pass_and_what_was_reached_counts(tmp_path, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    model = small_network()
    script = Script(model, (1, 2, 3))
    progress = train(model, tmp_path, score=script, epochs=3, limit_minutes=0.1)
    assert progress.done
    assert [row["epoch"] for row in progress.history] == [1]
    assert 0 < progress.history[0]["steps"] < len(ROWS)
    assert same(weights(model), script.seen[0])


def test_max_steps_stops_in_mid_pass_and_a_resumed_run_has_nothing_left(tmp_path):
    model = small_network()
    script = Script(model, (1, 2))
    progress = train(model, tmp_path, score=script, epochs=9, max_steps=7)
    assert [row["steps"] for row in progress.history] == [5, 7]
    # The schedule is laid out over the steps there are.
    assert progress.history[-1]["learning_rate"] == pytest.approx(1e-4, rel=1e-4)
    again = small_network(seed=4)
    assert train(again, tmp_path, epochs=9, max_steps=7, resume=True) == progress
    assert same(weights(again), weights(model))


def test_a_nan_names_batch_and_remedy_and_training_goes_on_once_it_is_mended(tmp_path):
    settings = {"epochs": 2, "max_steps": 8, "checkpoint_minutes": 0.0, "average_decay": 0.9}
    clean = network(dropout=0.3)
    whole = train(clean, tmp_path / "clean", **settings)
    with pytest.raises(UserError) as error:
        train(
            network(dropout=0.3), tmp_path / "mended", examples=ToyExamples(spoiled=2), **settings
        )
    text = str(error.value)
    assert "epoch 1, batch 3 of 5" in text
    assert "gradient norm and loss must be finite, got nan and nan" in text
    assert "--training.learning_rate (now 0.01)" in text
    assert "not applied and the last checkpoint is intact." in text
    mended = network(dropout=0.3, seed=9)
    progress = train(mended, tmp_path / "mended", **settings, resume=True)
    assert same(weights(mended), weights(clean))
    assert [row["loss"] for row in progress.history] == [row["loss"] for row in whole.history]


def test_a_nan_before_the_first_checkpoint_does_not_speak_of_one(tmp_path):
    with pytest.raises(UserError, match=r"The update was not applied\. Look for broken numbers"):
        train(network(), tmp_path, examples=ToyExamples(spoiled=0), epochs=1)


def test_tensorboard_logs_hold_the_history(tmp_path):
    progress = train(small_network(), tmp_path, epochs=2, tensorboard=True)
    (file,) = (tmp_path / "logs").glob("events.out.tfevents.*")
    found = {}
    for event in tf.compat.v1.train.summary_iterator(str(file)):
        for value in event.summary.value:
            found[event.step, value.tag] = float(tf.make_ndarray(value.tensor))
    for row in progress.history:
        for name, value in row.items():
            assert found[row["steps"], name] == pytest.approx(value, rel=1e-6)
    assert len(found) == 2 * len(progress.history[0])


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"], indirect=True)
def test_mixed_precision_learns_and_its_loss_scale_is_in_the_checkpoint(tmp_path, precision):
    model = network()
    progress = train(model, tmp_path, epochs=3, learning_rate=0.1, schedule="constant")
    losses = [row["validation_loss"] for row in progress.history]
    assert losses[-1] < 0.7 * losses[0]
    assert model.layers[-1].compute_dtype == precision.removeprefix("mixed_")
    stored = tf.train.load_checkpoint(str(tmp_path / "checkpoints"))
    values = [
        stored.get_tensor(name)
        for name in stored.get_variable_to_shape_map()
        if name.startswith("optimizer/")
    ]
    scales = [value for value in values if value.shape == () and float(value) >= 2.0**10]
    assert [float(scale) for scale in scales] == ([2.0**15] if precision == "mixed_float16" else [])
