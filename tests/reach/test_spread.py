"""The skeleton engine over an executor: the same answers and counts; what is lost or interrupted costs no truth."""

from __future__ import annotations

import time
from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.control import Control, Stopped
from nnequiv.reach.skeleton import Skeleton, walk
from nnequiv.relations import discrepancy_objectives
from tests.oracles.random_networks import random_network

BOX = nq.Box([-0.5] * 3, [0.5] * 3)
GOALS = discrepancy_objectives(2)
ENGINE = Skeleton(parts=6)


@pytest.fixture(autouse=True)
def divided(monkeypatch):
    monkeypatch.setattr(walk, "WORTH_DIVIDING", 100)


def pair(seed: int):
    rng = np.random.default_rng(seed)
    return random_network(rng, (3, 12, 10, 2)), random_network(rng, (3, 9, 2))


def largest(seed: int, **options):
    return ENGINE.maximise(pair(seed), BOX, GOALS, 1e-6, Control(**options))


class Losing(ThreadPoolExecutor):
    """From the third task on, they are lost: when they are sent, or when they should report, done or not."""

    def __init__(self, failure, early):
        super().__init__(2)
        self.failure, self.early, self.tasks = failure, early, 0

    def submit(self, *args, **kwargs):
        self.tasks += 1
        if self.tasks <= 2:
            return super().submit(*args, **kwargs)
        if self.early:
            raise self.failure
        super().submit(*args, **kwargs).result()
        lost = Future()
        lost.set_exception(self.failure)
        return lost


LOSSES = [
    (RuntimeError("cannot schedule new futures"), True),
    (BrokenProcessPool("killed"), False),
    (CancelledError(), False),
    (MemoryError(), False),
]


@pytest.mark.parametrize("seed", range(8))
def test_threads_change_nothing(seed):
    alone, regions = largest(seed), nq.survey(pair(seed), BOX, "skeleton")
    with ThreadPoolExecutor(2) as executor:
        shared, counted = largest(seed, executor=executor), nq.survey(pair(seed), BOX, ENGINE, executor=executor)
    assert shared.pieces == alone.pieces == regions.pieces == counted.pieces and alone.pieces > 50
    assert shared.upper == pytest.approx(alone.upper, abs=1e-8) and shared.lower <= alone.upper
    np.testing.assert_allclose(counted.upper, regions.upper, atol=1e-8)
    np.testing.assert_allclose(counted.lower, regions.lower, atol=1e-8)


def test_processes_change_nothing():
    regions = nq.survey(pair(0), BOX, "skeleton")
    with ProcessPoolExecutor(2) as executor:
        shared, counted = largest(0, executor=executor), nq.survey(pair(0), BOX, ENGINE, executor=executor)
    assert shared.pieces == counted.pieces == regions.pieces


@pytest.mark.parametrize("failure, early", LOSSES)
def test_lost_parts_are_done_here(failure, early):
    alone = largest(1)
    with Losing(failure, early) as executor:
        found = largest(1, executor=executor)
    assert executor.tasks >= 3 and found.pieces == alone.pieces and found.reason == ""
    assert found.upper == pytest.approx(alone.upper, abs=1e-8)
    assert early or type(failure).__name__ in found.proof
    with Losing(failure, early) as executor:
        assert nq.survey(pair(1), BOX, ENGINE, executor=executor).pieces == alone.pieces


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("done", range(6))
def test_interrupted_while_threads_go_on(seed, done):
    """All tasks are finished, but for some only the caller knows: what has not reported counts as not done."""

    def interrupt(left=None, **_):
        if left == done:
            time.sleep(0.2)
            raise KeyboardInterrupt

    exact = largest(seed)
    with ThreadPoolExecutor(6) as executor:
        found = largest(seed, executor=executor, progress=interrupt, interval=0.0)
    assert found.reason == "interrupted" and found.lower <= exact.upper
    assert found.upper >= exact.lower, "what threads did not report is not covered"


def test_out_of_time():
    with ThreadPoolExecutor(2) as executor:
        assert largest(2, executor=executor, time_limit=0.0).upper >= largest(2).lower
        with pytest.raises(Stopped):
            nq.survey(pair(2), BOX, ENGINE, executor=executor, time_limit=0.0)


def test_a_survey_is_kept_part_by_part_whoever_counts(tmp_path):
    whole = nq.survey(pair(3), BOX, "skeleton")
    with ThreadPoolExecutor(2) as executor:
        kept = nq.survey(pair(3), BOX, "skeleton", executor=executor, checkpoint=tmp_path / "state")
    again = nq.survey(pair(3), BOX, "skeleton", checkpoint=tmp_path / "state")
    assert whole.pieces == kept.pieces == again.pieces and again.upper == kept.upper
