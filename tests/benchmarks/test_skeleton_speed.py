"""Speed of the skeleton engine. One core: set OMP_NUM_THREADS=1. ``pytest -n 0 tests/benchmarks --benchmark-only``.

Seconds are of CPU, not of the clock, except where two processes race. Beside each stands the same in *yardsticks*
(``-s`` prints them; ``extra_info`` of ``--benchmark-json``): a fixed mix of what the engine does most, gathering rows,
sorting, products, timed in the same run. Compare those between machines, or on one that is busy.

Goals: f − retrain on prop_4 in 0.7 s and on prop_3 in 4 s of CPU, 150 boxes of a digits pair in 0.3 s, two processes
1.6 times as fast as one on prop_3.
"""

import time
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.skeleton import Skeleton
from nnequiv.relations import discrepancy_objectives
from nnequiv.sets import Box
from tests.oracles.real_pairs import ORIGINAL, acas, real_box, real_network

on_cpu = pytest.mark.benchmark(timer=time.process_time)


def yardstick():
    """Seconds of CPU for 2^20 rows of 32 gathered and interpolated, 2^22 numbers sorted, 2^18 rows times a matrix."""
    rng = np.random.default_rng(0)
    rows, weight = rng.random((1 << 17, 32)), rng.random((32, 50))
    ends, numbers = rng.integers(0, len(rows), size=(2, 1 << 12)), rng.integers(0, 2**64, 1 << 16, dtype=np.uint64)
    best = np.inf
    for _ in range(3):
        begin = time.process_time()
        for _ in range(1 << 8):
            a = rows.take(ends[0], axis=0)
            a += 0.5 * (rows.take(ends[1], axis=0) - a)
        for _ in range(1 << 6):
            np.sort(numbers)
        for first in range(0, 1 << 18, 512):
            np.maximum(rows[first % len(rows) :][:512], 0.0) @ weight
        best = min(best, time.process_time() - begin)
    return best


def once(benchmark, call, *arguments):
    unit = yardstick()
    found = benchmark.pedantic(call, arguments, rounds=3, iterations=1, warmup_rounds=1)
    if benchmark.stats is not None:  # None if benchmarks are switched off
        unit = min(unit, yardstick())
        benchmark.extra_info.update(yardstick=round(unit, 3), yardsticks=round(benchmark.stats.stats.min / unit, 2))
        print(f"\n{benchmark.name}: {benchmark.stats.stats.min:.2f} s, {benchmark.extra_info['yardsticks']} yardsticks")
    return found


@on_cpu
@pytest.mark.parametrize("prop, pieces", [(4, 19_143), (3, 71_930)])
def test_one_acas_network(benchmark, prop, pieces):
    network, box = real_network(ORIGINAL), real_box(f"acasxu/prop_{prop}.vnnlib")
    assert once(benchmark, Skeleton().survey, (network,), box, Control())[0] == pieces


@on_cpu
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


@on_cpu
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
