import numpy as np
import pytest
import tensorflow as tf

from seqapps.decoding.noise import gumbel, uniform

MASK = 2**64 - 1


def mix(x):
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9 & MASK
    x = (x ^ (x >> 27)) * 0x94D049BB133111EB & MASK
    return x ^ (x >> 31)


def by_hand(seed, step, token):
    gamma = 0x9E3779B97F4A7C15
    row = mix((seed + gamma) & MASK)
    row = mix((row + gamma * (step + 1)) & MASK)
    return ((mix((row + gamma * (token + 1)) & MASK) >> 1) + 0.5) / 2**63


def cube(seeds=64, steps=16, tokens=256):
    """(seeds, steps, tokens) of uniform numbers; seeds in a row, as people choose them."""
    draw = tf.function(lambda step: uniform(tf.range(seeds), step, tokens))
    return np.stack([draw(tf.constant(t)).numpy() for t in range(steps)], axis=1)


def test_the_numbers_are_those_of_the_formula():
    seeds = [0, 1, -1, 2**63 - 1, -(2**63), 12345]
    for step in (0, 1, 777):
        drawn = uniform(tf.constant(seeds, tf.int64), step, 50).numpy()
        expected = [[by_hand(seed, step, token) for token in range(50)] for seed in seeds]
        np.testing.assert_allclose(drawn, expected, rtol=1e-6)


def test_a_number_depends_on_its_own_coordinates_only():
    seeds = tf.constant([5, -7, 11, 5], tf.int64)
    wide = uniform(seeds, 3, 1000).numpy()
    for row in range(4):
        np.testing.assert_array_equal(uniform(seeds[row : row + 1], 3, 10)[0], wide[row, :10])
    assert (wide[0] == wide[3]).all()


def test_numbers_are_strictly_inside_the_unit_interval_and_gumbel_is_finite():
    drawn = uniform(tf.range(200), 0, 20_000).numpy()
    assert drawn.dtype == np.float32
    assert 0 < drawn.min() < 1e-5
    assert 1 - 1e-5 < drawn.max() < 1
    noise = gumbel(tf.range(200), 0, 20_000).numpy()
    assert np.isfinite(noise).all()
    # Four million draws reach e^-noise = 1 / 4e6 where the tail is not cut.
    assert 12 < noise.max() < 45


@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_numbers_are_uniform_along_every_axis(axis):
    """Chi-square over 64 bins, of all numbers and of each slice's own."""
    numbers = cube()
    slices = [numbers] if axis is None else np.moveaxis(numbers, axis, 0)
    statistics = []
    for part in slices:
        counts = np.bincount((part.ravel() * 64).astype(int), minlength=64)
        expected = part.size / 64
        statistics.append(((counts - expected) ** 2 / expected).sum())
    # 63 degrees of freedom: mean 63, deviation 11.2; 130 is passed once in a million.
    assert max(statistics) < 130
    assert abs(np.mean(statistics) - 63) < 5 * 11.2 / np.sqrt(len(statistics))


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("apart", [1, 2, 8])
def test_neighbours_are_independent(axis, apart):
    """No correlation, and pairs fill an 8 × 8 grid evenly."""
    numbers = np.moveaxis(cube(), axis, 0)
    first, second = numbers[:-apart].ravel(), numbers[apart:].ravel()
    assert abs(np.corrcoef(first, second)[0, 1]) < 5 / np.sqrt(first.size)
    counts = np.bincount((first * 8).astype(int) * 8 + (second * 8).astype(int), minlength=64)
    expected = first.size / 64
    assert ((counts - expected) ** 2 / expected).sum() < 130


def test_gumbel_has_the_moments_of_gumbel():
    noise = gumbel(tf.range(100), 4, 10_000).numpy().astype(np.float64)
    assert noise.mean() == pytest.approx(np.euler_gamma, abs=5 * 1.28 / 1000)
    assert noise.var() == pytest.approx(np.pi**2 / 6, abs=0.02)
