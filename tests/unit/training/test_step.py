import keras
import numpy as np
import pytest
import tensorflow as tf
from training_toy import LABELS, ToyExamples, columns, network, order, train, weights

from seqapps.training.losses import token_cross_entropy
from seqapps.training.step import NOT_FINITE, Trainee


@pytest.fixture
def float16():
    keras.config.set_dtype_policy("mixed_float16")
    yield
    keras.config.set_dtype_policy("float32")


def trainee(model, optimizer=None, *, clip_norm=1e9, loss=None, **kwargs):
    made = Trainee(model, loss=loss or token_cross_entropy(), clip_norm=clip_norm, **kwargs)
    made.compile(optimizer=optimizer or keras.optimizers.SGD(1.0), jit_compile=False)
    made.optimizer.build(model.trainable_variables)
    return made


def everything(made):
    """Every variable that one update may change, by place."""
    means = (made.training_loss, made.gradient_norm)
    found = [*made.network.variables, *made.optimizer.variables, *made.averages, made.step_count]
    return [v.numpy().copy() for v in [*found, *(v for mean in means for v in mean.variables)]]


def assert_same(found, wanted):
    for one, other in zip(found, wanted, strict=True):
        np.testing.assert_array_equal(one, other, strict=True)


def mean_loss(model, number):
    """The mean over the real tokens of a batch, row by row, each row without padding."""
    losses = []
    for row in order()[number]:
        example = {name: values[row][np.newaxis] for name, values in columns().items()}
        logits = model({name: example[name] for name in ("tokens", "values")})
        log_probabilities = tf.nn.log_softmax(tf.cast(logits[0], tf.float32))
        wanted = tf.one_hot(example["labels"][0], LABELS)
        losses.append(-tf.reduce_sum(wanted * log_probabilities, -1))
    return tf.reduce_mean(tf.concat(losses, 0))


def gradients(model, number=0):
    with tf.GradientTape() as tape:
        loss = mean_loss(model, number)
    # The embedding's gradient is sparse.
    return [tf.convert_to_tensor(g).numpy() for g in tape.gradient(loss, model.trainable_variables)]


def test_divides_by_the_real_tokens_of_the_batch():
    model = network()
    before, wanted, loss = weights(model), gradients(model), float(mean_loss(model, 0))
    logs = trainee(model).train_step(ToyExamples().batch(0))
    for start, end, gradient in zip(before, weights(model), wanted, strict=True):
        np.testing.assert_allclose(start - end, gradient, atol=1e-6)
    assert float(logs["loss"]) == pytest.approx(loss, rel=1e-5)
    norm = np.sqrt(sum((gradient**2).sum() for gradient in wanted))
    assert float(logs["gradient_norm"]) == pytest.approx(norm, rel=1e-5)


def adamw_by_hand(model, *, rates, clip_norm, decay, beta_2):
    """Updates in NumPy, float64; the weights after the last one."""
    values = [value.astype(np.float64) for value in weights(model)]
    first, second = ([np.zeros_like(v) for v in values] for _ in range(2))
    for step, rate in enumerate(rates, 1):
        for variable, value in zip(model.trainable_variables, values, strict=True):
            variable.assign(value)
        slopes = gradients(model, step - 1)
        norm = np.sqrt(sum((slope.astype(np.float64) ** 2).sum() for slope in slopes))
        for i, variable in enumerate(model.trainable_variables):
            slope = slopes[i] * min(1.0, clip_norm / norm)
            first[i] = 0.9 * first[i] + 0.1 * slope
            second[i] = beta_2 * second[i] + (1.0 - beta_2) * slope**2
            if variable.name == "kernel":
                values[i] = values[i] * (1.0 - rate * decay)
            mean, square = first[i] / (1.0 - 0.9**step), second[i] / (1.0 - beta_2**step)
            values[i] = values[i] - rate * mean / (np.sqrt(square) + 1e-9)
    return values


def test_fit_takes_the_steps_of_adamw_on_clipped_gradients(tmp_path):
    # Decay is large, so that a weight which is decayed and should not be is seen.
    settings = {"clip_norm": 0.2, "weight_decay": 3.0, "adam_beta2": 0.97, "learning_rate": 0.05}
    model = network()
    start = model.get_weights()
    train(model, tmp_path, **settings, schedule="constant", warmup_steps=0, max_steps=3)
    by_hand = network()
    by_hand.set_weights(start)
    wanted = adamw_by_hand(by_hand, rates=[0.05] * 3, clip_norm=0.2, decay=3.0, beta_2=0.97)
    for found, value in zip(weights(model), wanted, strict=True):
        np.testing.assert_allclose(found, value, atol=2e-5)


def test_clips_by_the_norm_of_all_gradients_together():
    # Adam is indifferent to the scale of its gradients; plain descent shows it.
    model = network()
    before, slopes = weights(model), gradients(model)
    norm = np.sqrt(sum((slope**2).sum() for slope in slopes))
    logs = trainee(model, clip_norm=0.2).train_step(ToyExamples().batch(0))
    assert norm > 0.4
    assert float(logs["gradient_norm"]) == pytest.approx(norm, rel=1e-5)
    for start, end, slope in zip(before, weights(model), slopes, strict=True):
        np.testing.assert_allclose(start - end, slope * 0.2 / norm, atol=1e-6)


def test_small_gradients_are_not_clipped():
    model, other = network(), network()
    norm = np.sqrt(sum((gradient**2).sum() for gradient in gradients(model)))
    trainee(model, clip_norm=norm * 1.01).train_step(ToyExamples().batch(0))
    trainee(other).train_step(ToyExamples().batch(0))
    assert_same(weights(model), weights(other))


def test_averages_follow_their_recurrence_and_swapping_twice_restores():
    model = network()
    made = trainee(model, average_decay=0.3)
    wanted = weights(model)
    for number in range(4):
        made.train_step(ToyExamples().batch(number))
        decay = min(0.3, (1.0 + number) / (10.0 + number))
        wanted = [
            decay * a + (1.0 - decay) * w for a, w in zip(wanted, weights(model), strict=True)
        ]
    for average, value in zip(made.averages, wanted, strict=True):
        np.testing.assert_allclose(average, value, atol=1e-6)
    trained, averages = weights(model), [average.numpy() for average in made.averages]
    made.swap_averages()
    assert_same(weights(model), averages)
    made.swap_averages()
    assert_same(weights(model), trained)
    assert_same([average.numpy() for average in made.averages], averages)


def test_a_batch_with_a_nan_is_stopped_before_it_touches_anything():
    model = network(dropout=0.5)
    made = trainee(model, keras.optimizers.AdamW(0.01), average_decay=0.9)
    made.fit(ToyExamples().training_pass(0).dataset(0), shuffle=False, verbose=0)
    random = [v for v in model.variables if "seed" in v.name]
    before = everything(made)
    with pytest.raises(tf.errors.InvalidArgumentError) as error:
        made.fit(ToyExamples(spoiled=2).training_pass(0).dataset(2), shuffle=False, verbose=0)
    assert np.isnan([float(text) for text in NOT_FINITE.search(str(error.value)).groups()]).all()
    # Dropout has drawn, which is no part of the model.
    for variable in random:
        variable.assign(before[[v is variable for v in model.variables].index(True)])
    assert_same(everything(made), before)
    made.fit(ToyExamples().training_pass(0).dataset(2), shuffle=False, verbose=0)
    assert int(made.step_count) == 8


def test_an_infinite_gradient_of_a_finite_loss_is_stopped_too():
    def steep(logits, batch, training):
        # d sqrt(x) / dx is infinite at 0.
        return tf.sqrt(tf.reduce_sum(logits * 0.0)), tf.constant(1.0)

    made = trainee(network(), loss=steep)
    before = everything(made)
    with pytest.raises(tf.errors.InvalidArgumentError, match="gradient norm"):
        made.train_step(ToyExamples().batch(0))
    assert_same(everything(made), before)


def test_validation_changes_no_state_of_training():
    model = network(dropout=0.5)
    made = trainee(model, keras.optimizers.AdamW(0.01), average_decay=0.9)
    made.fit(ToyExamples().training_pass(0).dataset(0), shuffle=False, verbose=0)
    before = everything(made)
    found = made.evaluate(ToyExamples().validation_batches(), verbose=0, return_dict=True)
    assert_same(everything(made), before)
    counts = [sum(len(columns()["labels"][row]) for row in order()[n]) for n in range(2)]
    wanted = np.average([float(mean_loss(model, n)) for n in range(2)], weights=counts)
    assert found["loss"] == pytest.approx(wanted, rel=1e-5)


def test_a_variable_without_a_gradient_stays():
    model = network()

    def ignoring(logits, batch, training):
        return tf.reduce_sum(model.trainable_variables[0].value ** 2), tf.constant(1.0)

    before = weights(model)
    trainee(model, loss=ignoring).train_step(ToyExamples().batch(0))
    assert_same(weights(model)[1:], before[1:])
    np.testing.assert_allclose(weights(model)[0], -before[0], atol=1e-6)


@pytest.mark.usefixtures("float16")
def test_float16_skips_an_overflow_and_lowers_the_scale_until_it_is_no_excuse():
    factor = tf.Variable(1.0)

    def scaled(logits, batch, training):
        total, count = token_cross_entropy()(logits, batch, training)
        return total * factor, count

    model = network()
    made = trainee(model, keras.optimizers.AdamW(0.01), loss=scaled)
    made.train_step(ToyExamples().batch(0))
    norm = float(made.gradient_norm.result())
    # The norm is that of the unscaled gradients.
    assert norm == pytest.approx(np.sqrt(sum((g**2).sum() for g in gradients(network()))), rel=0.02)
    before, loss = weights(model), float(made.training_loss.result())
    factor.assign(2000.0)
    made.train_step(ToyExamples().batch(0))
    assert_same(weights(model), before)
    assert float(made.optimizer.dynamic_scale) == 2.0**14
    assert float(made.gradient_norm.result()) == norm
    assert np.isfinite(float(made.training_loss.result()))
    assert float(made.training_loss.result()) != loss
    made.optimizer.dynamic_scale.assign(1.0)
    factor.assign(1e8)
    with pytest.raises(tf.errors.InvalidArgumentError, match="gradient norm"):
        made.train_step(ToyExamples().batch(0))
    made.optimizer.dynamic_scale.assign(1024.0)
    with pytest.raises(tf.errors.InvalidArgumentError, match="gradient norm"):
        made.train_step(ToyExamples(spoiled=0).batch(0))
    assert_same(weights(model), before)
