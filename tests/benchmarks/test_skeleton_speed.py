"""Speed of the skeleton engine. One core: set OMP_NUM_THREADS=1. Run: ``pytest tests/benchmarks --benchmark-only``.

Goals: f − retrain on prop_4 in 0.7 s and on prop_3 in 4 s of CPU, 150 boxes of a digits pair in 0.3 s, two processes
1.6 times as fast as one on prop_3.
"""

from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.skeleton import Skeleton
from nnequiv.relations import discrepancy_objectives
from nnequiv.sets import Box
from tests.oracles.real_pairs import ORIGINAL, acas, real_box, real_network


def once(benchmark, call, *arguments):
    return benchmark.pedantic(call, arguments, rounds=3, iterations=1, warmup_rounds=1)


@pytest.mark.parametrize("prop, pieces", [(4, 19_143), (3, 71_930)])
def test_one_acas_network(benchmark, prop, pieces):
    network, box = real_network(ORIGINAL), real_box(f"acasxu/prop_{prop}.vnnlib")
    assert once(benchmark, Skeleton().survey, (network,), box, Control())[0] == pieces


@pytest.mark.parametrize(
    "kind, prop, pieces", [("retrain", 4, 252_474), ("student", 4, 81_247), ("retrain", 3, 817_376)]
)
def test_acas_pair(benchmark, kind, prop, pieces):
    pair, box = acas(kind, prop)
    found = once(benchmark, Skeleton().maximise, pair, box, discrepancy_objectives(5), 1e-6, Control())
    assert abs(found.pieces - pieces) <= 3


def test_two_processes(benchmark):
    pair, box = acas("retrain", 3)
    with ProcessPoolExecutor(2) as executor:
        list(executor.map(abs, range(8)))  # both processes are up
        engine = Skeleton(executor=executor)
        found = once(benchmark, engine.maximise, pair, box, discrepancy_objectives(5), 1e-6, Control())
    assert abs(found.pieces - 817_376) <= 3


def test_repairs_boxes(benchmark):
    rng = np.random.default_rng(0)

    def network(*widths):
        return Network(
            (rng.normal(size=(m, n)) * 1.4 / np.sqrt(n), rng.normal(size=m) * 0.1)
            for n, m in zip(widths, widths[1:], strict=False)
        )

    pair = network(64, 32, 16, 10), network(64, 24, 12, 10)
    boxes = [Box.around(rng.random(64), 0.2, free=rng.choice(64, 4, replace=False)) for _ in range(150)]
    found = once(benchmark, Skeleton().maximise_each, pair, boxes, discrepancy_objectives(10), 1e-6, Control())
    assert all(0 <= optimum.upper - optimum.lower < 1e-8 for optimum in found)
