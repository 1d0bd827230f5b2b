"""Nearly equal networks on few inputs: boxes bounded by their difference and finished by listing their pieces."""

from __future__ import annotations

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.reach.branch_and_bound import BranchAndBound, leaves
from nnequiv.reach.branch_and_bound.leaves import Leaves
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.search import Search
from nnequiv.reach.engine import Optimum
from nnequiv.reach.skeleton import Skeleton
from nnequiv.relations import Order, Top1, discrepancy_objectives
from nnequiv.sets import Box
from tests.reach.test_differential import close_pair

BOX = Box([-1.0] * 3, [1.0] * 3)


def pair(seed, distance):
    return close_pair(np.random.default_rng(seed), (3, 30, 30, 2), distance)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-7])
def test_skeleton_agrees(distance):
    """The same maximum as listing everything at once, and boxes were in fact finished by listing."""
    networks, objectives = pair(0, distance), discrepancy_objectives(2)
    found = BranchAndBound(relative=1e-4).maximise(networks, BOX, objectives, 0.0, Control())
    judge = Skeleton().maximise(networks, BOX, objectives, 1e-9, Control())
    assert found.reason == "" and found.upper <= found.lower * 1.00011
    assert found.lower <= judge.upper and judge.lower <= found.upper


def test_finer_than_the_skeleton_can_see():
    """A tolerance below its drift: boxes around the maximum are halved on, and ReLU splits have the last word."""
    networks, objectives = pair(1, 1e-3), discrepancy_objectives(2)
    seen = Skeleton().maximise(networks, BOX, objectives, 1e-10, Control())
    assert seen.upper - seen.lower > 1.01e-10
    found = BranchAndBound().maximise(networks, BOX, objectives, 1e-10, Control(time_limit=60))
    assert found.upper - found.lower <= 1.01e-10 and found.reason == ""


@pytest.mark.parametrize("relation", [Order(0, 1), Top1(0.1)])
def test_guards_are_bounded_by_the_difference_too(relation):
    """They are not finished by listing, but no sampled value lies above the bound."""
    networks, objectives = pair(2, 1e-3), relation.objectives(2)
    found = BranchAndBound().maximise(networks, BOX, objectives, 1e-3, Control(time_limit=1.5))
    points = BOX.sample(np.random.default_rng(0), 20000)
    outputs = np.hstack([network.evaluate(points) for network in networks])
    sampled = max(objective.values(outputs).max() for objective in objectives)
    assert sampled <= found.upper + 1e-12


class Stub:
    """A skeleton that was stopped: nothing but the bound 7 is known."""

    def __init__(self, reason):
        self.reason = reason

    def maximise_each(self, networks, boxes, *_):
        return [Optimum(-np.inf, 7.0, reason=self.reason) for _ in boxes]


def expanded(reason):
    search = Search(Question(pair(3, 1e-3), BOX, discrepancy_objectives(2)), 0.0, 0.0, None)
    search.best.offer(BOX.center[None])
    parts = {"lower": BOX.lower[None], "upper": BOX.upper[None], "values": np.array([[9.0, 5.0, 8.0, -1.0]])}
    return search, Leaves(8, Stub(reason)).expand(np.array([9.0]), parts, search)


def test_what_is_not_finished_is_split():
    search, children = expanded("time limit of 5 s reached")
    assert len(children["leaves"].bound) == 2 and not len(children["signs"].bound)
    assert np.array_equal(children["leaves"].fields["values"], [[7.0, 5.0, 7.0, -1.0]] * 2)
    assert search.closed == -1.0


def test_an_interrupt_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        expanded("interrupted")


def test_patience_is_limited(monkeypatch):
    """With no patience at all, halving and ReLU splits go on towards the maximum."""
    monkeypatch.setattr(leaves, "PATIENCE", 0)
    networks, objectives = pair(4, 1e-3), discrepancy_objectives(2)
    box = Box([-0.6] * 3, [0.6] * 3)
    found = BranchAndBound(relative=0.1).maximise(networks, box, objectives, 0.0, Control(time_limit=3))
    judge = Skeleton().maximise(networks, box, objectives, 1e-9, Control())
    assert found.lower <= judge.upper and judge.lower <= found.upper
