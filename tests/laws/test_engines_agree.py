"""What every engine must do on every small pair, judged by exact arithmetic. A new engine joins ENGINES, nothing else.

Every law cycles through all kinds of :mod:`tests.oracles.random_pairs`, most of them degenerate. Comparisons with the
exact maximum are between rationals: ``lower ≤ exact ≤ upper`` is asked without any tolerance.
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.reach.engine import Enumerator
from nnequiv.reach.milp import Milp
from nnequiv.reach.skeleton import Skeleton
from nnequiv.reach.star import Star
from nnequiv.reach.vertices import Vertices
from nnequiv.relations import Epsilon, Order, Top1, TopK, discrepancy_objectives
from nnequiv.rounding import evaluate_exact
from tests.oracles.brute_force import interior_radius
from tests.oracles.random_pairs import KINDS, random_pair

#: Every engine, and how far ``lower`` and ``upper`` may be from the exact maximum.
ENGINES = [
    (Vertices(), 1e-9),
    (Vertices("exact"), 1e-9),
    (Star(lp="highspy"), 1e-9),
    pytest.param(Star(), 1e-9, marks=pytest.mark.slow),  # the same algorithm, at 3 ms an LP
    (Skeleton(), 1e-9),
    (BranchAndBound(), 1e-7),  # on noise of 1e-10 its bounds meet rounding before that
    (Milp(), 1e-9),
]

#: One pair of every kind, and ninety-one more (2,002 pairs) when asked for.
SEEDS = [
    pytest.param(range(len(KINDS)), id="few"),
    pytest.param(range(len(KINDS), 92 * len(KINDS)), id="many", marks=pytest.mark.slow),
]
#: A verdict may be open only if the exact maximum is as close to zero as this, or as the engine's accuracy.
CLOSE = 1e-7

every_engine = pytest.mark.parametrize("engine, accuracy", ENGINES, ids=lambda v: str(v) if hasattr(v, "name") else "")
every_seed = pytest.mark.parametrize("seeds", SEEDS)


@cache
def exact_maximum(seed: int, relation=None) -> Fraction | None:
    f, g, input_set, _ = random_pair(seed)
    return Vertices("exact").exact_maximum((f, g), input_set, objectives(f, relation))


@cache
def exact_pieces(seed: int) -> int | None:
    f, g, input_set, _ = random_pair(seed)
    pieces = list(Vertices("exact").pieces((f, g), input_set, Control()))
    return None if any(kinks_below_rounding(net, pieces) for net in (f, g)) else count(pieces)


def kinks_below_rounding(network, pieces) -> bool:
    """Whether some neuron is not zero on some piece, but so small there that floats cannot tell on which side it is."""
    for piece in (piece for piece in pieces if interior_radius(piece.polytope) > 1e-8):
        for values in network.pre_activations(piece.vertices)[:-1]:
            most = np.abs(values).max(axis=0)
            if ((most > 0) & (most < 1e-12)).any():
                return True
    return False


def objectives(f, relation=None):
    return discrepancy_objectives(f.n_outputs) if relation is None else relation.objectives(f.n_outputs)


def relations(seed: int, n_outputs: int) -> list:
    """All four relations; ε below, at and above the true maximum, and one that no rounding can hide."""
    delta = float(exact_maximum(seed))
    result = [Epsilon(0.9 * delta), Epsilon(delta), Epsilon(1.1 * delta + 1e-6), Top1(), Top1(0.25), TopK(2)]
    return result + ([Order(0, n_outputs - 1)] if n_outputs > 1 else [])


def count(pieces) -> int | None:
    """Pieces that hold a ball of radius 1e-7; None if one is so close to that size that LPs may disagree."""
    radii = np.array([interior_radius(piece.polytope) for piece in pieces])
    return None if ((radii > 1e-8) & (radii < 1e-6)).any() else int((radii > 1e-7).sum())


@every_seed
@every_engine
def test_maximum(engine, accuracy, seeds):
    for seed in seeds:
        f, g, input_set, kind = random_pair(seed)
        what, exact = f"seed {seed}, {kind}", exact_maximum(seed)
        found = engine.maximise((f, g), input_set, objectives(f), accuracy, Control())
        assert found.reason == "", what
        assert found.lower <= exact <= found.upper, what
        assert found.upper - exact <= accuracy and exact - found.lower <= accuracy, what
        assert input_set.contains(found.witness), what
        outputs = [a - b for a, b in zip(*(evaluate_exact(net, found.witness) for net in (f, g)), strict=True)]
        assert max(map(abs, outputs)) >= found.lower, what


@every_seed
@every_engine
def test_verdicts(engine, accuracy, seeds):
    for seed in seeds:
        f, g, input_set, kind = random_pair(seed)
        for relation in relations(seed, f.n_outputs):
            what, exact = f"seed {seed}, {kind}, {relation}", exact_maximum(seed, relation)
            asked = objectives(f, relation)
            if not asked:  # one output has no rival: no engine is asked
                continue
            found = engine.maximise((f, g), input_set, asked, accuracy, Control(), threshold=0.0)
            if exact is None:  # no x satisfies any guard
                assert found.lower == -np.inf, what
                continue
            assert found.lower <= exact <= found.upper, what
            if found.lower > 0:
                outputs = [value for net in (f, g) for value in evaluate_exact(net, found.witness)]
                assert asked[found.objective].exact_value(outputs) > 0, what
                assert input_set.contains(found.witness), what
            close = max(CLOSE, accuracy)
            assert exact > -close or found.upper <= 0, what
            assert exact < close or isinstance(relation, Top1 | TopK) or found.lower > 0, what


@every_engine
def test_equal_networks_differ_by_nothing(engine, accuracy):
    for seed in range(KINDS.index("equal"), 110, len(KINDS)):
        f, g, input_set, _ = random_pair(seed)
        found = engine.maximise((f, g), input_set, objectives(f), accuracy, Control())
        assert found.lower <= 0 <= found.upper <= accuracy, f"seed {seed}"
        if engine == Vertices("exact"):
            assert found.upper == 0.0, f"seed {seed}"


@every_seed
@every_engine
def test_piece_counts(engine, accuracy, seeds):
    if not isinstance(engine, Enumerator):
        pytest.skip(f"{engine.name} does not list pieces")
    for seed in seeds:
        f, g, input_set, kind = random_pair(seed)
        found, exact = count(engine.pieces((f, g), input_set, Control())), exact_pieces(seed)
        assert found == exact or None in (found, exact), f"seed {seed}, {kind}"


@every_seed
@every_engine
def test_pieces_cover_and_agree(engine, accuracy, seeds):
    if not isinstance(engine, Enumerator):
        pytest.skip(f"{engine.name} does not list pieces")
    for seed in seeds:
        f, g, input_set, kind = random_pair(seed)
        points = input_set.box.sample(np.random.default_rng(seed), 20)
        points = points[[input_set.contains(point) for point in points]]
        outputs = np.hstack([f(points), g(points)])
        covered = np.zeros(len(points), dtype=bool)
        for piece in engine.pieces((f, g), input_set, Control()):
            matrix, bound = piece.polytope.cuts
            inside = (points @ matrix.T <= bound + 1e-12 * (1 + np.abs(matrix).sum(axis=1))).all(axis=1)
            differ = np.abs(points @ piece.matrix.T + piece.offset - outputs)[inside]
            assert (differ <= piece.error + 1e-9 * (1 + np.abs(outputs[inside]))).all(), f"seed {seed}, {kind}"
            covered |= inside
        assert covered.all(), f"seed {seed}, {kind}"


@every_engine
def test_stopped_at_once(engine, accuracy):
    for seed in range(len(KINDS)):
        f, g, input_set, kind = random_pair(seed)
        found = engine.maximise((f, g), input_set, objectives(f), accuracy, Control(time_limit=0.0))
        assert found.reason.startswith("time limit") or found.upper - found.lower <= accuracy, f"seed {seed}, {kind}"
        assert found.lower <= exact_maximum(seed) <= found.upper, f"seed {seed}, {kind}"
