"""A Dask cluster as the executor: two local worker processes, one of them killed while it works."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.branch_and_bound import BranchAndBound, workers
from nnequiv.reach.skeleton import Skeleton
from nnequiv.relations import discrepancy_objectives
from nnequiv.sets import Box

distributed = pytest.importorskip("distributed", reason="Dask is not installed: pip install 'nnequiv[distributed]'")

# Dask's own: sockets and loops of killed workers are collected while a later test runs.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:distributed.*"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def deep(seed: int) -> Network:
    rng = np.random.default_rng(seed)
    widths = [4, 16, 16, 2]
    return Network([(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in zip(widths, widths[1:], strict=False)])


PAIR, BOX, GOALS = (deep(1), deep(2)), Box([-0.3] * 4, [0.3] * 4), discrepancy_objectives(2)


@pytest.fixture(scope="module")
def client():
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def alone():
    return BranchAndBound(low_dimension=0).maximise(PAIR, BOX, GOALS, 1e-6, Control())


def shared(client, engine, progress=None):
    control = Control(progress, executor=client.get_executor(), interval=0.0)
    return engine.maximise(PAIR, BOX, GOALS, 1e-6, control)


def agrees(found, alone) -> bool:
    return found.reason == "" and alone.lower <= found.upper <= found.lower + 1.1e-6 and found.lower <= alone.upper


def test_branch_and_bound(client, alone, monkeypatch):
    monkeypatch.setattr(workers, "MOMENT", 0.0)
    found = shared(client, BranchAndBound(low_dimension=0, batch=8))
    assert agrees(found, alone) and "failed" not in found.proof


def test_skeleton(client, alone):
    found, whole = shared(client, Skeleton(parts=6)), Skeleton().maximise(PAIR, BOX, GOALS, 1e-6, Control())
    assert agrees(found, alone) and found.pieces == whole.pieces and found.nodes >= 6


def test_a_killed_worker_costs_no_truth(client, alone, monkeypatch):
    monkeypatch.setattr(workers, "MOMENT", 0.0)
    victims = [info["pid"] for info in client.run(lambda: {"pid": os.getpid()}).values()]

    def kill_one(**state):
        if victims and state["nodes"] > 50:
            os.kill(victims[0], signal.SIGKILL)
            victims.clear()

    found = shared(client, BranchAndBound(low_dimension=0, batch=8), kill_one)
    assert not victims, "the search was over before a worker was killed"
    assert agrees(found, alone)
