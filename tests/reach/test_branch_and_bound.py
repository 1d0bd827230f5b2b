"""Branch and bound against exact arithmetic on small pairs, and against the known answers of real ones."""

from __future__ import annotations

import numpy as np
import pytest

from nnequiv.control import Control
from nnequiv.datasets import digits
from nnequiv.equivalence import check_equivalence, max_discrepancy
from nnequiv.network import Network
from nnequiv.reach.branch_and_bound import BranchAndBound
from nnequiv.reach.engine import Engine, attained
from nnequiv.reach.vertices import Vertices
from nnequiv.relations import Epsilon, Objective, Order, Top1, TopK, discrepancy_objectives
from nnequiv.results import Verdict
from nnequiv.sets import Box, Polytope
from tests.oracles.random_pairs import KINDS, random_pair
from tests.oracles.real_pairs import ORIGINAL, acas, real_box, real_network

BY_INPUTS, BY_RELUS = BranchAndBound(), BranchAndBound(low_dimension=0, batch=8)

#: Largest |f − g|: on ACAS Xu boxes, by pair and property.
ACAS = {
    "retrain": {1: 0.0040966966, 3: 0.1879090493, 4: 0.3144428467, 5: 0.8927912516, 9: 0.6364214951, 10: 0.0133367142},
    "student": {1: 0.0048700320, 3: 0.2235092436, 4: 0.3251808458, 5: 0.8915959367, 9: 0.5783175656, 10: 0.0817880019},
    "pruned": {1: 0.0068760807, 4: 0.22634239, 5: 0.51439148, 9: 0.36624978, 10: 0.00038675307},
}

#: … and on class means ± radius of 8×8 digits.
DIGITS = {
    (0, 0.5): 13.0987,
    (0, 0.7): 15.7084,
    (0, 1.0): 19.4592,
    (3, 0.5): 19.1173,
    (3, 0.7): 21.0247,
    (8, 0.5): 23.2360,
    (8, 0.7): 24.9153,
    (8, 1.0): 27.9429,
}


def questions(m):
    result = [discrepancy_objectives(m)]
    if m > 1:
        relations = Top1(), Top1(0.25), TopK(min(2, m - 1)), Order(0, 1)
        result += [relation.objectives(m) for relation in relations]
    return result


def holds_against_exact(seeds, engines=(BY_INPUTS, BY_RELUS)):
    """Never wrong, whatever the pair; and exact wherever a witness with room for rounding exists."""
    unfinished = 0
    for seed in seeds:
        f, g, input_set, kind = random_pair(seed)
        for index, objectives in enumerate(questions(f.n_outputs)):
            judge = Vertices("exact").maximise((f, g), input_set, objectives, 1e-9, Control())
            for engine in engines:
                found = engine.maximise((f, g), input_set, objectives, 1e-6, Control(time_limit=30.0))
                what = f"seed {seed}, {kind}, question {index}, {engine}"
                assert found.lower <= judge.upper and judge.lower <= found.upper, what
                if found.witness is not None:
                    assert input_set.contains(found.witness), what
                    exact = attained((f, g), objectives[found.objective], found.witness)[0]
                    assert exact <= found.lower + 1e-12 * abs(found.lower), what
                unfinished += found.upper - found.lower > 1.1e-6
    return unfinished


def test_it_is_an_engine():
    assert isinstance(BY_INPUTS, Engine) and BY_INPUTS.name == "branch-and-bound"


def test_exact_arithmetic_agrees():
    # Where a guard holds on a face of a box only, no float witness may exist, and the interval stays open.
    assert holds_against_exact(range(3 * len(KINDS), 4 * len(KINDS))) <= 3


@pytest.mark.slow
def test_exact_arithmetic_agrees_on_many():
    assert holds_against_exact(range(100, 500)) <= 20


def maximum(networks, box, **options):
    objectives = discrepancy_objectives(networks[0].n_outputs)
    return BranchAndBound(relative=1e-6, **options).maximise(networks, box, objectives, 0.0, Control())


def acas_agrees(kind, prop):
    networks, box = acas(kind, prop)
    found, known = maximum(networks, box), ACAS[kind][prop]
    assert found.reason == ""
    # The known numbers are themselves within a relative 1e-6 of the maximum.
    assert found.lower <= known * (1 + 1.1e-6) and known * (1 - 1e-7) <= found.upper <= found.lower * (1 + 1.1e-6)


FAST = [("retrain", 4), ("retrain", 5), ("student", 3), ("student", 10), ("retrain", 1)]


@pytest.mark.parametrize("kind, prop", FAST)
def test_known_maxima(kind, prop):
    acas_agrees(kind, prop)


@pytest.mark.slow
@pytest.mark.parametrize("kind, prop", [(kind, prop) for kind in ACAS for prop in ACAS[kind]])
def test_all_known_maxima(kind, prop):
    acas_agrees(kind, prop)


@pytest.mark.slow
def test_prop_8_closes():
    """Three minutes: 680,000 boxes to the last digit, 600,000 to this gap."""
    networks, box = acas("retrain", 8)
    found = BranchAndBound().maximise(networks, box, discrepancy_objectives(5), 1e-2, Control())
    assert found.reason == "" and found.upper - found.lower <= 1e-2
    assert found.lower <= 0.4359672147 and 0.4359672145 <= found.upper


@pytest.mark.parametrize("kind", ["retrain", "student"])
@pytest.mark.parametrize("prop, epsilon, equivalent", [(1, 0.05, True), (1, 0.004, False), (4, 0.05, False)])
def test_known_verdicts(kind, prop, epsilon, equivalent):
    networks, box = acas(kind, prop)
    found = BY_INPUTS.maximise(networks, box, Epsilon(epsilon).objectives(5), 1e-6, Control(), threshold=0.0)
    assert (found.upper <= 0) == equivalent and (found.lower > 0) == (not equivalent)


#: Largest |f − float16(f)| on ACAS Xu boxes.
HALVED = {4: 0.00196287266, 3: 0.0017548318, 1: 5.19086920e-5}


def halved(prop):
    """The original, and its weights and biases rounded to float16."""
    f = real_network(ORIGINAL)
    arrays = [[v.astype(np.float16).astype(np.float64) for v in (w.weight, w.bias)] for w in f.layers]
    return (f, Network(arrays)), real_box(f"acasxu/prop_{prop}.vnnlib")


@pytest.mark.parametrize("prop", [1, *(pytest.param(p, marks=pytest.mark.slow) for p in (4, 3))])
def test_half_precision(prop):
    networks, box = halved(prop)
    found = BranchAndBound().maximise(networks, box, discrepancy_objectives(5), 1e-9, Control())
    assert found.reason == "" and found.upper - found.lower <= 1e-9
    assert abs(found.lower - HALVED[prop]) <= 1e-9 and HALVED[prop] <= found.upper + 1e-11


def digits_pair():
    name = "pairs/mnist8x8_student_24_12_10"
    return real_network(f"{name}.onnx"), real_network(f"{name}-mirror.onnx")


def digit_box(digit, radius):
    data = digits(np.random.default_rng(0))
    images = 16.0 * np.vstack([data.train_points, data.test_points])
    labels = np.concatenate([data.train_labels, data.test_labels])
    return Box.around(images[labels == digit].mean(axis=0), radius, limits=(0.0, 16.0))


def digits_agree(digit, radius):
    found = maximum(digits_pair(), digit_box(digit, radius))
    assert found.reason == "" and abs(found.lower - DIGITS[digit, radius]) < 1e-4
    assert found.upper <= found.lower * (1 + 1.1e-6)


@pytest.mark.parametrize("digit, radius", [(0, 0.5), (8, 0.5)])
def test_64_inputs(digit, radius):
    digits_agree(digit, radius)


@pytest.mark.slow
@pytest.mark.parametrize("digit, radius", list(DIGITS))
def test_64_inputs_all(digit, radius):
    digits_agree(digit, radius)


def absolute(scale=1.0):
    return Network([([[scale], [-scale]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])


def test_one_network():
    """Any objective over one network's outputs: the maximum of |x| on [−1, 3]."""
    goal = Objective(np.ones((1, 1)), np.zeros(1), np.zeros((0, 1)), np.zeros(0))
    found = BY_INPUTS.maximise((absolute(),), Box([-1.0], [3.0]), [goal], 1e-9, Control())
    assert found.lower <= 3.0 <= found.upper <= found.lower + 1e-9


@pytest.mark.parametrize("scale", [1e-8, 1.0, 1e8])
@pytest.mark.parametrize("width", [0.0, 1e-12, 1e6])
@pytest.mark.parametrize("engine", [BY_INPUTS, BY_RELUS], ids=["inputs", "relus"])
def test_all_scales(engine, scale, width):
    """|s x| against 0 on [−w, 2 w]: 2 w s."""
    zero = Network([([[0.0]], [0.0])])
    objectives = discrepancy_objectives(1)
    found = engine.maximise((absolute(scale), zero), Box([-width], [2 * width]), objectives, 0.0, Control(time_limit=5))
    assert found.lower <= 2 * scale * width <= found.upper
    assert found.upper - found.lower <= 1e-12 * scale * width + 1e-300


def test_a_polytope_cuts_the_maximum():
    """x + y on the triangle under ``x + y ≤ 1`` in the unit square."""
    network, zero = Network([([[1.0, 1.0]], [0.0])]), Network([([[0.0, 0.0]], [0.0])])
    rows = np.array([[1.0, 0], [0, 1.0], [-1.0, 0], [0, -1.0], [1.0, 1.0]])
    triangle = Polytope(rows, np.array([1.0, 1, 0, 0, 1]))
    found = BY_INPUTS.maximise((network, zero), triangle, discrepancy_objectives(1), 1e-9, Control())
    assert found.lower <= 1.0 <= found.upper <= found.lower + 1e-9
    assert triangle.contains(found.witness)


def test_time_limit_keeps_a_proved_interval():
    f, g, input_set, _ = random_pair(0)
    objectives = discrepancy_objectives(f.n_outputs)
    found = BY_INPUTS.maximise((f, g), input_set, objectives, 1e-9, Control(time_limit=0.0))
    judge = Vertices("exact").maximise((f, g), input_set, objectives, 1e-9, Control())
    assert "time limit" in found.reason and judge.lower <= found.upper < np.inf


def test_interrupt_keeps_a_proved_interval():
    networks = tuple(Network(_deep(seed)) for seed in (1, 2))
    calls = []

    def progress(**state):
        calls.append(state)
        if len(calls) == 4:
            raise KeyboardInterrupt

    control = Control(progress=progress, interval=0.0)
    found = BY_INPUTS.maximise(networks, Box([-1.0] * 4, [1.0] * 4), discrepancy_objectives(2), 1e-9, control)
    assert found.reason == "interrupted" and found.lower < found.upper < np.inf
    assert {"lower", "upper", "nodes", "left"} <= set(calls[-1])
    assert calls[-1]["upper"] >= found.upper


def _deep(seed):
    rng = np.random.default_rng(seed)
    widths = [4, 12, 12, 2]
    return [(rng.normal(size=(b, a)), rng.normal(size=b)) for a, b in zip(widths, widths[1:], strict=False)]


def test_memory_bound_turns_it_depth_first():
    """The same maximum, with hardly any open part kept."""
    networks, box = tuple(Network(_deep(seed)) for seed in (1, 2)), Box([-0.2] * 4, [0.2] * 4)
    wide, thin = maximum(networks, box), maximum(networks, box, memory=1e-4, batch=4)
    assert abs(wide.lower - thin.lower) <= 1e-5 * wide.lower and thin.upper <= thin.lower * (1 + 1.1e-6)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("engine", [BY_INPUTS, BY_RELUS], ids=["inputs", "relus"])
def test_overflow_never_proves_anything(engine):
    """Weights so large that floats overflow: the interval may be useless, but it is not wrong."""
    rng = np.random.default_rng(0)
    f = Network([(1e200 * rng.normal(size=(3, 2)), np.ones(3)), (1e200 * rng.normal(size=(1, 3)), np.ones(1))])
    g = Network([([[1.0, 1.0]], [0.0])])
    found = engine.maximise((f, g), Box([-1.0] * 2, [1.0] * 2), discrepancy_objectives(1), 1e-6, Control(time_limit=1))
    assert found.upper == np.inf


ADVISORIES = [
    ("retrain", 1, Order(0, 1), True),
    ("retrain", 1, Top1(0.05), True),
    ("retrain", 4, Top1(), False),
    ("retrain", 10, Top1(0.05), True),
    ("student", 10, Order(0, 1), True),
    ("student", 10, TopK(2), False),
]


@pytest.mark.parametrize("kind, prop, relation, holds", ADVISORIES)
def test_relations_on_acas(kind, prop, relation, holds):
    """The advisory is the smallest output, so the outputs are negated."""
    networks, box = acas(kind, prop)
    networks = tuple(Network([*n.hidden, (-n.layers[-1].weight, -n.layers[-1].bias)]) for n in networks)
    objectives = relation.objectives(5)
    found = BY_INPUTS.maximise(networks, box, objectives, 1e-6, Control(), threshold=0.0)
    assert (found.upper <= 0) == holds and (found.lower > 0) == (not holds)
    outputs = np.hstack([n.evaluate(box.sample(np.random.default_rng(0), 20000)) for n in networks])
    sampled = max(objective.values(outputs).max() for objective in objectives)
    assert sampled <= found.upper + 1e-12


def test_half_of_an_acas_box():
    """A half-space through the box's centre: at most the box's maximum, and attained inside."""
    networks, box = acas("retrain", 4)
    rows = np.vstack([np.eye(5), -np.eye(5), np.ones((1, 5))])
    half = Polytope(rows, np.concatenate([box.upper, -box.lower, [box.center.sum()]]))
    found = maximum(networks, half)
    points = box.sample(np.random.default_rng(0), 20000)
    points = points[points.sum(axis=1) <= box.center.sum()]
    sampled = np.abs(networks[0].evaluate(points) - networks[1].evaluate(points)).max()
    assert found.reason == "" and half.contains(found.witness)
    assert sampled <= found.upper <= min(found.lower * (1 + 1.1e-6), ACAS["retrain"][4] * (1 + 2e-6))


def test_planes_that_meet_in_a_face_are_not_covered_by_ever_more_boxes():
    """Boxes along the face have all nine neurons, however small: 400,000 of them did not cover it."""
    f, g, box, _ = random_pair(10_040_962)
    found = max_discrepancy(f, g, box, "branch-and-bound")
    assert found.exact and found.lower == 1.0 and found.nodes < 20_000
    f, g, box, _ = random_pair(10_035_726)
    violated = check_equivalence(f, g, box, Top1(), "branch-and-bound")
    assert violated.verdict is Verdict.NOT_EQUIVALENT and violated.nodes < 1_000
