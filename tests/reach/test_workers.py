"""A search spread over an executor: the same answers, and a worker that fails costs no truth."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.branch_and_bound import BranchAndBound, workers
from nnequiv.relations import Epsilon, discrepancy_objectives
from nnequiv.sets import Box

ENGINES = {"inputs": BranchAndBound(batch=8), "relus": BranchAndBound(batch=8, low_dimension=0)}


def deep(seed):
    rng = np.random.default_rng(seed)
    widths = [4, 12, 12, 2]
    return Network([(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in zip(widths, widths[1:], strict=False)])


PAIR, BOX, GOALS = (deep(1), deep(2)), Box([-0.2] * 4, [0.2] * 4), discrepancy_objectives(2)


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Parts are sent from the start, and every task does one batch."""
    monkeypatch.setattr(workers, "MOMENT", 0.0)
    monkeypatch.setattr(workers, "WORTH", 1)


def search(engine, executor=None, tolerance=1e-6, threshold=None, objectives=GOALS, **options):
    return engine.maximise(PAIR, BOX, objectives, tolerance, Control(executor=executor, **options), threshold)


class Counting(ThreadPoolExecutor):
    """Threads that count their tasks."""

    tasks = 0

    def submit(self, *args, **kwargs):
        self.tasks += 1
        return super().submit(*args, **kwargs)


class Failing(Counting):
    """From the third task on, they are lost: at once, or like a process that was killed."""

    def __init__(self, failure, early):
        super().__init__(2)
        self.failure, self.early = failure, early

    def submit(self, *args, **kwargs):
        future = super().submit(*args, **kwargs)
        if self.tasks <= 2:
            return future
        if self.early:
            raise self.failure
        lost = Future()
        if isinstance(self.failure, CancelledError):
            lost.cancel()
            lost.set_running_or_notify_cancel()
        else:
            lost.set_exception(self.failure)
        return lost


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
def test_threads_change_nothing(engine):
    alone = search(engine)
    with Counting(2) as executor:
        shared = search(engine, executor)
    assert executor.tasks > 10 and shared.reason == ""
    assert shared.lower == pytest.approx(alone.lower, abs=2e-6)
    assert max(alone.lower, shared.lower) <= shared.upper <= shared.lower + 1.1e-6


def test_processes_change_nothing():
    alone = search(ENGINES["relus"])
    with ProcessPoolExecutor(2) as executor:
        shared = search(ENGINES["relus"], executor)
    assert shared.lower == pytest.approx(alone.lower, abs=2e-6)
    assert alone.lower <= shared.upper <= shared.lower + 1.1e-6 and "failed" not in shared.proof


@pytest.mark.parametrize("engine", ENGINES.values(), ids=ENGINES)
@pytest.mark.parametrize("share, equivalent", [(0.9, False), (1.1, True)])
def test_verdicts(engine, share, equivalent):
    epsilon = Epsilon(share * search(engine).lower)
    with Counting(2) as executor:
        found = search(engine, executor, threshold=0.0, objectives=epsilon.objectives(2))
    assert (found.upper <= 0) == equivalent and (found.lower > 0) == (not equivalent)


@pytest.mark.parametrize(
    "failure, early",
    [
        (RuntimeError("cannot schedule new futures"), True),
        (BrokenProcessPool("killed"), True),
        (BrokenProcessPool("killed"), False),
        (MemoryError(), False),
        (CancelledError(), False),
    ],
)
def test_lost_parts_are_searched_here(failure, early):
    alone = search(ENGINES["inputs"])
    with Failing(failure, early) as executor:
        found = search(ENGINES["inputs"], executor)
    assert executor.tasks == 3 or not early
    assert type(failure).__name__ in found.proof and found.reason == ""
    assert alone.lower <= found.upper <= found.lower + 1.1e-6


class Never(ThreadPoolExecutor):
    """Takes tasks and never begins them."""

    def submit(self, *args, **kwargs):
        return Future()


@pytest.mark.parametrize("interrupt", [True, False])
def test_parts_that_are_out_keep_their_bounds(interrupt):
    """Nothing comes back: what is proved is what was proved when the parts went out."""
    alone, calls = search(ENGINES["relus"]), []

    def progress(**state):
        calls.append(state)
        if interrupt and len(calls) == 20:
            raise KeyboardInterrupt

    with Never() as executor:
        limit = None if interrupt else 0.5
        found = search(ENGINES["relus"], executor, progress=progress, interval=0.0, time_limit=limit)
    assert found.reason == ("interrupted" if interrupt else "time limit of 0.5 s reached")
    assert calls[-1]["left"] > 0 and alone.upper <= found.upper < np.inf
    assert found.upper == calls[-1]["upper"]


def test_a_killed_process_costs_no_truth():
    """A real one, killed while it works."""
    alone = search(ENGINES["relus"])
    with ProcessPoolExecutor(1) as executor:
        executor.submit(abs, 1).result()

        def progress(**state):
            if state["nodes"] > 50:
                for process in list(executor._processes.values()):
                    process.kill()

        found = search(ENGINES["relus"], executor, progress=progress, interval=0.0)
    assert "BrokenProcessPool" in found.proof and alone.lower <= found.upper <= found.lower + 1.1e-6
