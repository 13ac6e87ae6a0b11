"""Agreement with tolerance, on marks whose distances can be counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from sklearn import metrics

from threers.agreement.timing import nearby_agreement

ONCE = np.ones((1, 1))


def nearby(a, b, tolerance, session=None, position=None):
    a, b = np.array(a, bool), np.array(b, bool)
    session = np.zeros(len(a), int) if session is None else np.array(session)
    position = np.arange(len(a), dtype=float) if position is None else np.array(position, float)
    found = nearby_agreement(a, b, session, position, tolerance, np.zeros(len(a), int), ONCE)
    return tuple(float(part[0]) for part in found)


def test_a_shift_within_the_tolerance_is_met_and_one_beyond_is_not():
    a, b = [1, 0, 0, 0, 0, 1], [0, 1, 0, 0, 0, 0]
    assert nearby(a, b, 0) == (0, 0, 0)
    assert nearby(a, b, 1) == (0.5, 1, pytest.approx(2 / 3))


def test_another_session_and_an_unknown_time_are_not_near():
    assert nearby([1, 0], [0, 1], 5, session=[0, 1])[0] == 0
    assert nearby([1, 0], [0, 1], 5, position=[np.nan, 3])[0] == 0
    assert nearby([1, 0], [0, 1], 5, position=[1.5, 3])[0] == 1


def test_without_marks_it_is_undefined():
    assert np.isnan(nearby([0, 0], [0, 0], 1)).all()
    assert nearby([1, 0], [0, 0], 1)[2] == 0


def test_a_negative_tolerance_is_refused():
    with pytest.raises(ValueError, match="found -1"):
        nearby([1], [1], -1)


@given(hnp.arrays(bool, st.tuples(st.just(2), st.integers(1, 30))), st.integers(0, 5))
def test_zero_is_the_plain_figure_and_tolerance_never_lowers_it(marks, tolerance):
    a, b = marks
    plain = nearby(a, b, 0)
    assert plain[2] == pytest.approx(metrics.f1_score(b, a, zero_division=np.nan), nan_ok=True)
    wider = nearby(a, b, tolerance)
    assert all(w >= p or np.isnan(p) for w, p in zip(wider, plain, strict=True))
