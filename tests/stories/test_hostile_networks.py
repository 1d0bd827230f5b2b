"""Networks nobody trains and everybody can write into a file: the answer is an interval that holds the truth."""

from __future__ import annotations

import numpy as np
import pytest

from nnequiv import check_equivalence, max_discrepancy
from nnequiv.network import Network
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.reach.intervals import interval_outputs
from nnequiv.reach.milp import Milp
from nnequiv.reach.skeleton import Skeleton
from nnequiv.reach.star import Star
from nnequiv.reach.vertices import Vertices
from nnequiv.relations import Epsilon, discrepancy_objectives
from nnequiv.results import Verdict
from nnequiv.sets import Box

ENGINES = {
    "vertices": Vertices(),
    "exact": Vertices("exact"),
    "skeleton": Skeleton(),
    "branch-and-bound": BranchAndBound(),
    "star": Star(lp="highspy"),
    "milp": Milp(),
    "auto": "auto",
}


def network(seed: int, *scales: float, widths=(2, 4, 3, 2), bias: float = 1.0) -> Network:
    """Normal weights, layer k times ``scales[k]``, its bias times what that makes of the layer's inputs."""
    rng, size, layers = np.random.default_rng(seed), 1.0, []
    for scale, n_in, n_out in zip(scales, widths, widths[1:], strict=False):
        size = min(size * scale, 1e300)
        layers.append((scale * rng.normal(size=(n_out, n_in)), bias * size * rng.normal(size=n_out)))
    return Network(layers)


def repeated(seed: int, times: int) -> Network:
    """Every neuron of one hidden layer many times over."""
    first, last = network(seed, 1.0, 1.0, widths=(2, 3, 2)).layers
    return Network(
        [
            (np.repeat(first.weight, times, axis=0), np.repeat(first.bias, times)),
            (np.repeat(last.weight, times, axis=1) / times, last.bias),
        ]
    )


PAIRS = {
    "weights of 1e30 and 1e-30": (network(0, 1e30, 1e-30, 1.0), network(1, 1.0, 1.0, 1.0)),
    "weights of 1e-30 and 1e30": (network(0, 1e-30, 1e30, 1.0), network(1, 1e-30, 1.0, 1e30)),
    "outputs of 1e90": (network(0, 1e30, 1e30, 1e30), network(1, 1e30, 1e30, 1e30)),
    "outputs of 1e-90": (network(0, 1e-30, 1e-30, 1e-30), network(1, 1e-30, 1e-30, 1e-30)),
    "denormal weights": (network(0, 1e-310, 1.0, 1.0), network(1, 1e-310, 1.0, 1.0)),
    "products below the smallest number": (network(0, 1e-200, 1e-200, 1.0), network(1, 1e-200, 1e-200, 1.0)),
    "outputs of 1e200": (network(0, 1e100, 1e100, 1.0), network(1, 1e100, 1e100, 1.0)),
    "biases of 1e12": (network(0, 1.0, 1.0, 1.0, bias=1e12), network(1, 1.0, 1.0, 1.0, bias=1e12)),
    "biases of 1e300": (network(0, 1.0, 1.0, 1.0, bias=1e300), network(1, 1.0, 1.0, 1.0)),
    "a layer without neurons": (network(0, 1.0, 1.0, 1.0, widths=(2, 4, 0, 2)), network(1, 1.0, 1.0, 1.0)),
    "only layers without neurons": (network(0, 1.0, 1.0, widths=(2, 0, 2)), network(1, 1.0, 1.0, widths=(2, 0, 2))),
    "no hidden layer": (network(0, 1.0, widths=(2, 2)), network(1, 1.0, widths=(2, 2))),
    "no hidden layer in one of them": (network(0, 1.0, widths=(2, 2)), network(1, 1.0, 1.0, 1.0)),
    "neurons repeated five times": (repeated(0, 5), repeated(1, 5)),
    "itself with neurons repeated": (repeated(0, 1), repeated(0, 5)),
    "zero": (network(0, 0.0, 0.0, 0.0), network(1, 0.0, 0.0, 0.0)),
}
BOXES = {
    "box": Box([-1.0, -0.5], [1.0, 1.5]),
    "line": Box([-1.0, 0.25], [1.0, 0.25]),
    "point": Box([0.3, -0.7], [0.3, -0.7]),
    "tiny": Box([0.3, -0.7], [np.nextafter(0.3, 1), np.nextafter(-0.7, 1)]),
    "far": Box([1e15, 1e15], [1e15 + 2, 1e15 + 2]),
}

every = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
every_box = pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)


@every
@every_box
def test_every_engine_holds_the_truth(pair, box):
    exact = Vertices("exact").exact_maximum(pair, box, discrepancy_objectives(2))
    rounding = 1e-13 * np.abs(interval_outputs(pair, box)).max()  # of values in floats, as large as they get
    for name, engine in ENGINES.items():
        found = max_discrepancy(*pair, box, engine, time_limit=20.0)
        assert found.lower <= exact <= found.upper, name
        assert found.reason or found.upper - found.lower <= 1e-6 + 1e-6 * abs(found.lower) + rounding, (name, found)
        for epsilon in (0.0, float(exact)) if exact < 1e300 else (0.0,):
            verdict = check_equivalence(*pair, box, Epsilon(epsilon), engine, time_limit=20.0).verdict
            assert verdict is not (Verdict.NOT_EQUIVALENT if exact <= epsilon else Verdict.EQUIVALENT), (name, epsilon)


@every_box
def test_values_beyond_the_largest_float_are_refused(box):
    pair = network(0, 1.0, 1.0, 1.0), network(1, 1e200, 1e200, 1.0, bias=0.0)
    for name, engine in ENGINES.items():
        with pytest.raises(
            ValueError, match="^g: layer 1 may reach values beyond the largest float, .* on the input set$"
        ):
            max_discrepancy(*pair, box, engine)
            pytest.fail(name)


def test_a_layer_of_ten_thousand_neurons_ends_in_an_interval():
    """Each neuron differs a little: nobody can list the pieces. What is known in a second is an honest interval."""
    rng = np.random.default_rng(0)
    first, last = rng.normal(size=(10_000, 4)), rng.normal(size=(2, 10_000)) / 1e4
    f = Network([(first, rng.normal(size=10_000)), (last, np.zeros(2))])
    g = Network([(f.layers[0].weight, f.layers[0].bias), (1.001 * last, np.zeros(2))])
    box = Box([-1.0] * 4, [1.0] * 4)
    for name in ("skeleton", "branch-and-bound", "milp", "auto"):
        found = max_discrepancy(f, g, box, name, time_limit=1.0)
        assert found.reason and np.isfinite(found.upper), name
        point = np.array(found.witness if found.witness is not None else [0.0] * 4)
        assert np.abs(f(point) - g(point)).max() <= found.upper, name
