"""How long branch and bound takes on real pairs: run with ``--benchmark-enable --benchmark-only``.

CPU seconds on one core are what the project states; pytest-benchmark is told to measure those.
"""

from __future__ import annotations

import time
from concurrent.futures import ProcessPoolExecutor

import pytest

from nnequiv.control import Control
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.relations import Epsilon, Top1, discrepancy_objectives
from tests.oracles.real_pairs import acas, mnist_images, pruned_mnist
from tests.reach.test_branch_and_bound import ACAS, digit_box, digits_pair
from tests.reach.test_wide_inputs import around

pytestmark = pytest.mark.benchmark(timer=time.process_time, min_rounds=1, max_time=1.0, warmup=False)


def maximum(networks, box, tolerance=0.0, relative=1e-6, executor=None):
    objectives = discrepancy_objectives(networks[0].n_outputs)
    return BranchAndBound(relative=relative).maximise(networks, box, objectives, tolerance, Control(executor=executor))


@pytest.mark.parametrize("kind", ["retrain", "student"])
def test_verdict_on_acas(benchmark, kind):
    networks, box = acas(kind, 1)
    objectives = Epsilon(0.05).objectives(5)
    found = benchmark(BranchAndBound().maximise, networks, box, objectives, 1e-6, Control(), 0.0)
    assert found.upper <= 0


@pytest.mark.parametrize("kind, prop", [(kind, prop) for kind in ("retrain", "student") for prop in ACAS[kind]])
def test_maximum_on_acas(benchmark, kind, prop):
    found = benchmark(maximum, *acas(kind, prop))
    assert found.upper <= found.lower * (1 + 1.1e-6)


@pytest.mark.parametrize("digit", [0, 3, 8])
def test_maximum_on_digits(benchmark, digit):
    found = benchmark(maximum, digits_pair(), digit_box(digit, 0.5))
    assert found.upper <= found.lower * (1 + 1.1e-6)


def test_maximum_on_mnist(benchmark):
    found = benchmark(maximum, pruned_mnist(), around(0, 2), 1e-3, 0.0)
    assert found.upper - found.lower <= 1e-3


@pytest.mark.parametrize("image", range(12))
def test_top1_on_mnist(benchmark, image):
    assert len(mnist_images(12)) == 12
    objectives = Top1().objectives(10)
    found = benchmark(BranchAndBound().maximise, pruned_mnist(), around(image, 4), objectives, 1e-6, Control(), 0.0)
    assert found.upper <= 0 or found.lower > 0


@pytest.mark.benchmark(timer=time.perf_counter, max_time=0.1)
@pytest.mark.parametrize("workers", [0, 2])
def test_two_processes(benchmark, workers):
    """Seconds of wall time on the longest known answer; they say something only where both cores are free."""
    networks, box = digits_pair(), digit_box(8, 1.0)
    if not workers:
        found = benchmark(maximum, networks, box)
    else:
        with ProcessPoolExecutor(workers) as executor:
            list(executor.map(abs, range(8)))  # the processes are up
            found = benchmark(maximum, networks, box, executor=executor)
    assert found.upper <= found.lower * (1 + 1.1e-6)


#: CPU seconds at which the gap is noted, and when to give up.
MARKS, LIMIT = (10, 30, 60, 120, 180, 240, 300), 600


def test_gap_on_prop_8(benchmark):
    """The hardest box that closes: how far upper and lower are apart over time (see ``extra_info``)."""
    networks, box = acas("retrain", 8)
    start, gaps = time.process_time(), {}

    def note(lower, upper, **_):
        seconds = time.process_time() - start
        gaps.update({mark: upper - lower for mark in MARKS if mark not in gaps and seconds >= mark})
        if seconds >= LIMIT:
            raise KeyboardInterrupt

    engine, objectives = BranchAndBound(), discrepancy_objectives(5)
    found = benchmark.pedantic(engine.maximise, (networks, box, objectives, 1e-2, Control(progress=note)), rounds=1)
    benchmark.extra_info["gap"] = gaps
    assert found.upper - found.lower <= 1e-2
