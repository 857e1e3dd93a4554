import keras
import numpy as np
import pytest

from seqapps.training.schedule import Schedule


def by_hand(step, *, peak, steps, warmup, cosine):
    if step < warmup:
        return peak * (step + 1) / warmup
    if not cosine:
        return peak
    share = min((step - warmup) / (steps - warmup), 1.0)
    return peak * (0.01 + 0.99 * (1.0 + np.cos(np.pi * share)) / 2.0)


@pytest.mark.parametrize("cosine", [True, False])
@pytest.mark.parametrize("warmup", [0, 1, 7])
def test_every_step_by_hand(cosine, warmup):
    given = {"peak": 0.3, "steps": 90, "warmup": warmup, "cosine": cosine}
    schedule = Schedule(**given)
    rates = schedule(np.arange(100)).numpy()
    wanted = [by_hand(step, **given) for step in range(100)]
    np.testing.assert_allclose(rates, wanted, rtol=1e-5)


def test_rises_to_the_peak_and_falls_to_a_hundredth():
    schedule = Schedule(peak=2.0, steps=1000, warmup=100, cosine=True)
    rates = schedule(np.arange(1001)).numpy()
    assert np.argmax(rates) in (99, 100)
    assert rates[99] == pytest.approx(2.0)
    assert rates[1000] == pytest.approx(0.02)
    assert np.all(np.diff(rates[:100]) > 0)
    assert np.all(np.diff(rates[100:]) < 0)


def test_a_short_run_reaches_its_peak_too():
    schedule = Schedule(peak=1.0, steps=20, warmup=500, cosine=True)
    assert [float(schedule(step)) for step in (0, 1)] == [0.5, 1.0]
    assert float(Schedule(peak=1.0, steps=3, warmup=500, cosine=False)(0)) == 1.0


def test_scale_multiplies_the_whole():
    schedule = Schedule(peak=1.0, steps=50, warmup=5, cosine=True)
    before = schedule(np.arange(50)).numpy()
    schedule.scale.assign(0.25)
    np.testing.assert_allclose(schedule(np.arange(50)), 0.25 * before, rtol=1e-6)


def test_comes_back_from_its_configuration():
    schedule = Schedule(peak=0.7, steps=40, warmup=4, cosine=True)
    stored = keras.optimizers.schedules.serialize(schedule)
    again = keras.optimizers.schedules.deserialize(stored)
    np.testing.assert_array_equal(again(np.arange(40)), schedule(np.arange(40)))
