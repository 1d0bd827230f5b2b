"""Time from query to verdict. One core: set OMP_NUM_THREADS=1. ``pytest -n 0 tests/benchmarks --benchmark-only``.

Goal: every ACAS Xu property and every query of the two-network table in a few seconds.
"""

import pytest

from nnequiv.audit.verify import verify
from nnequiv.io.vnnlib import load_query
from tests.oracles.real_pairs import ORIGINAL, RETRAIN, STUDENT, data_file, real_network
from tests.test_verify import TABLE


def timed(benchmark, query_file: str, **networks: str) -> str:
    query = load_query(data_file(query_file))
    loaded = {name: real_network(file) for name, file in networks.items()}
    return benchmark.pedantic(verify, (query, loaded), rounds=3, iterations=1, warmup_rounds=1).verdict


@pytest.mark.parametrize(
    "prop, name, verdict",
    [(1, "1_1", "unsat"), (3, "1_1", "unsat"), (4, "1_1", "unsat"), (5, "1_1", "unsat"), (6, "1_1", "unsat"),
     (9, "3_3", "unsat"), (10, "4_5", "unsat"), (8, "2_9", "sat")],
)  # fmt: skip
def test_acas_property(benchmark, prop, name, verdict):
    network = ORIGINAL.replace("1_1", name)
    assert timed(benchmark, f"acasxu/prop_{prop}.vnnlib", N=network) == verdict


@pytest.mark.parametrize("name", TABLE)
@pytest.mark.parametrize("other", [0, 1], ids=["retrain", "student"])
def test_two_network_query(benchmark, name, other):
    g = (RETRAIN, STUDENT)[other]
    assert timed(benchmark, f"vnnlib2/{name}.vnnlib", f=ORIGINAL, g=g) == TABLE[name][other]
