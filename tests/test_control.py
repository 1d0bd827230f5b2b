import numpy as np
import pytest

from nnequiv.control import Control, Stopped


def test_no_limit_never_stops():
    control = Control()
    for _ in range(1000):
        control.check()


def test_the_limit_names_itself():
    with pytest.raises(Stopped, match="time limit of 0 s reached"):
        Control(time_limit=0).check()
    Control(time_limit=1e9).check()


@pytest.mark.parametrize("limit", [-1.0, np.nan])
def test_bad_limits_are_refused(limit):
    with pytest.raises(ValueError, match=f"time_limit is {limit}: it must be at least 0 seconds"):
        Control(time_limit=limit)


def test_progress_is_called_with_the_state_but_not_too_often():
    calls = []
    control = Control(progress=lambda **state: calls.append(state), interval=1e9)
    control._last = control.started - 2e9
    for k in range(5):
        control.check(pieces=k)
    assert calls == [{"pieces": 0}]
    often = Control(progress=lambda **state: calls.append(state), interval=0.0)
    for k in range(3):
        often.check(pieces=k)
    assert calls[1:] == [{"pieces": 0}, {"pieces": 1}, {"pieces": 2}]


def test_progress_is_shown_before_the_limit_stops():
    calls = []
    with pytest.raises(Stopped):
        Control(progress=lambda **state: calls.append(state), time_limit=0.0, interval=0.0).check(lower=1.0)
    assert calls == [{"lower": 1.0}]
