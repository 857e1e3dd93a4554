import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqapps.training.timing import lay_out


@given(
    left_s=st.floats(-10, 4000),
    update_s=st.floats(1e-4, 60),
    measuring_s=st.floats(0, 900),
    done=st.integers(1, 100),
)
def test_what_is_laid_out_fits_into_the_time(left_s, update_s, measuring_s, done):
    total, every = lay_out(left_s=left_s, update_s=update_s, measuring_s=measuring_s, done=done)
    assert total >= done
    assert every >= 1
    updates = total - done
    measurings = -(-updates // every)
    assert measurings <= 20
    if updates:
        needed = updates * update_s + measurings * measuring_s
        assert needed <= left_s + 1e-6
        # And fills it, but for less than an update, and what rounding spares of measuring.
        assert needed + update_s + (20 - measurings + 1) * measuring_s >= left_s


def test_no_more_updates_than_there_may_be():
    laid_out = lay_out(left_s=100.0, update_s=0.1, measuring_s=0.05, done=10, most=50)
    assert laid_out == (50, 2)
    assert lay_out(left_s=100.0, update_s=0.1, measuring_s=0.05, done=50, most=50) == (50, 1)


def test_measuring_takes_its_share_at_most():
    assert lay_out(left_s=100.0, update_s=0.1, measuring_s=5.0, done=50) == (900, 284)
    assert lay_out(left_s=100.0, update_s=0.1, measuring_s=0.05, done=0) == (990, 50)
    # At the end it is measured, whatever that takes.
    assert lay_out(left_s=100.0, update_s=1.0, measuring_s=40.0, done=7) == (67, 60)
    assert lay_out(left_s=-3.0, update_s=1.0, measuring_s=40.0, done=7) == (7, 1)


def test_the_first_update_is_not_like_the_others(monkeypatch):
    from seqapps.training import timing

    now = [100.0]
    monkeypatch.setattr(timing.time, "monotonic", lambda: now[0])
    watch = timing.Stopwatch()
    now[0] = 110.0
    watch.count(50)
    assert watch.seconds_a_token() == pytest.approx(10 / 50)
    for tokens in (30, 10):
        now[0] += 2.0
        watch.count(tokens)
    assert watch.seconds_a_token() == pytest.approx(4 / 40)
