import json

import numpy as np
import pytest

from nnequiv import (
    Box,
    Epsilon,
    Milp,
    Network,
    Order,
    Polytope,
    Star,
    Top1,
    TopK,
    Verdict,
    check_equivalence,
    enumerate_pieces,
    max_discrepancies,
    max_discrepancy,
)
from nnequiv.results import Discrepancy, Equivalence
from nnequiv.rounding import evaluate_exact
from tests.oracles.random_networks import random_network
from tests.oracles.random_pairs import random_pair

FAST = Star(lp="highspy")
SEGMENT, SQUARE = Box([-1.0], [1.0]), Box([-1.0, -1.0], [1.0, 1.0])
RELU = Network([([[1.0]], [0.0]), ([[1.0]], [0.0])])
ENGINES = [Star(), FAST, Star(lp="highspy", intervals=False), Milp()]


def dense(box: Box, count: int) -> np.ndarray:
    """A dense grid in one or two dimensions."""
    axes = [np.linspace(low, high, count) for low, high in zip(box.lower, box.upper, strict=True)]
    return np.stack(np.meshgrid(*axes), axis=-1).reshape(-1, box.dimension)


def largest_violation(f, g, relation, points) -> float:
    outputs = np.hstack([f(points), g(points)])
    return max((o.values(outputs).max() for o in relation.objectives(f.n_outputs)), default=-np.inf)


def is_violated(f, g, relation, point) -> bool:
    exact = evaluate_exact(f, point) + evaluate_exact(g, point)
    values = [objective.exact_value(exact) for objective in relation.objectives(f.n_outputs)]
    return any(value is not None and value > 0 for value in values)


def pair(seed: int, n_inputs: int, n_outputs: int = 3, size: float = 0.1):
    """f and a perturbed copy, so that relations hold on some pairs and fail on others."""
    rng = np.random.default_rng(seed)
    f = random_network(rng, (n_inputs, 3, 2, n_outputs))
    changed = [(l.weight + size * rng.normal(size=l.weight.shape), l.bias) for l in f.layers]
    return f, Network(changed)


@pytest.mark.parametrize("n_inputs", [1, 2])
@pytest.mark.parametrize("relation", [Epsilon(0.2), Epsilon((0.1, 0.3, 5.0)), Top1(), Top1(0.4), TopK(2), Order(0, 2)])
def test_verdicts_are_those_of_a_dense_grid(n_inputs, relation):
    box = Box(-np.ones(n_inputs), np.ones(n_inputs))
    points = dense(box, 3001 if n_inputs == 1 else 61)
    for seed in range(6 if n_inputs == 1 else 3):
        f, g = pair(seed, n_inputs)
        v = check_equivalence(f, g, box, relation, FAST)
        on_grid = largest_violation(f, g, relation, points)
        where = f"{relation}, seed {seed}: {v.verdict}, grid {on_grid}"
        assert v.verdict is not Verdict.UNKNOWN or abs(v.upper) < 1e-6, where
        assert v.upper >= on_grid - 1e-12 or v.upper <= 0 >= on_grid, where
        if on_grid > 1e-12:
            assert v.verdict is Verdict.NOT_EQUIVALENT, where
        if v.verdict is Verdict.NOT_EQUIVALENT:
            assert is_violated(f, g, relation, v.witness), where
            assert box.contains(v.witness), where


@pytest.mark.parametrize("n_inputs", [1, 2])
def test_the_discrepancy_is_that_of_a_dense_grid(n_inputs):
    box = Box(-np.ones(n_inputs), np.ones(n_inputs))
    points = dense(box, 4001 if n_inputs == 1 else 201)
    for seed in range(4):
        f, g = pair(seed, n_inputs)
        r = max_discrepancy(f, g, box, FAST)
        on_grid = np.abs(f(points) - g(points)).max()
        assert on_grid <= r.upper + 1e-12, f"seed {seed}"
        assert r.lower <= on_grid + 0.05, f"seed {seed}"
        assert r.exact, f"seed {seed}"
        at_witness = np.abs(f(r.witness) - g(r.witness))
        assert abs(at_witness[r.output] - r.lower) < 1e-12, f"seed {seed}"


def test_one_output_at_a_time():
    f, g = pair(1, 2)
    each = [max_discrepancy(f, g, SQUARE, FAST, outputs=[i]) for i in range(3)]
    whole = max_discrepancy(f, g, SQUARE, FAST)
    assert max(r.lower for r in each) == pytest.approx(whole.lower, abs=1e-9)
    assert [r.output for r in each] == [0, 1, 2]
    assert whole.output == int(np.argmax([r.lower for r in each]))


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_epsilon_each_output_has_its_own(engine):
    f = Network([([[1.0], [1.0]], [0.0, 0.0])])
    g = Network([([[1.0], [0.5]], [0.25, 0.0])])  # off by 1/4 and by up to 1/2
    for epsilon, verdict in (
        ((0.3, 0.6), Verdict.EQUIVALENT),
        ((0.2, 0.6), Verdict.NOT_EQUIVALENT),
        ((0.3, 0.4), Verdict.NOT_EQUIVALENT),
        (0.6, Verdict.EQUIVALENT),
        (0.4, Verdict.NOT_EQUIVALENT),
    ):
        assert check_equivalence(f, g, SEGMENT, Epsilon(epsilon), engine).verdict is verdict


@pytest.mark.parametrize("engine", ENGINES, ids=str)
@pytest.mark.parametrize("relation", [Epsilon(0.0), Top1(), Top1(0.25), TopK(1), TopK(2), Order(0, 1)], ids=repr)
def test_a_network_never_differs_from_itself(engine, relation):
    f = random_network(np.random.default_rng(7), (2, 3, 3))
    v = check_equivalence(f, f, SQUARE, relation, engine)
    assert v.verdict is not Verdict.NOT_EQUIVALENT
    assert v.verdict is Verdict.EQUIVALENT or v.reason


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_ties_satisfy(engine):
    """g is f times two: winners and orders are the same, and tie at the same inputs."""
    f = random_network(np.random.default_rng(8), (1, 3, 3))
    last = f.layers[-1]
    g = Network([*f.hidden, (2 * last.weight, 2 * last.bias)])
    for relation in (Top1(), TopK(1), Order(0, 1)):
        assert check_equivalence(f, g, SEGMENT, relation, engine).verdict is not Verdict.NOT_EQUIVALENT
    tied = Network([([[1.0], [1.0]], [0.0, 0.0])])
    for relation in (Top1(), TopK(1), Order(0, 1)):
        assert check_equivalence(f=tied, g=tied, input_set=SEGMENT, relation=relation, engine=engine).verdict in (
            Verdict.EQUIVALENT,
            Verdict.UNKNOWN,
        )


def test_a_strict_difference_just_above_epsilon_is_found_and_just_below_is_proved():
    f, g = Network([([[1.0]], [0.25])]), Network([([[1.0]], [0.0])])
    assert check_equivalence(f, g, SEGMENT, Epsilon(0.25 + 1e-12), FAST).verdict is Verdict.EQUIVALENT
    assert check_equivalence(f, g, SEGMENT, Epsilon(0.25 - 1e-12), FAST).verdict is Verdict.NOT_EQUIVALENT
    at_equality = check_equivalence(f, g, SEGMENT, Epsilon(0.25), FAST)
    assert at_equality.verdict is not Verdict.NOT_EQUIVALENT
    assert at_equality.verdict is Verdict.EQUIVALENT or "both sides of 0" in at_equality.reason


def test_relations_that_nothing_can_violate():
    f, g = pair(0, 2)
    assert check_equivalence(f, g, SQUARE, TopK(3), FAST).verdict is Verdict.EQUIVALENT
    assert check_equivalence(RELU, RELU, SEGMENT, Top1(), FAST).verdict is Verdict.EQUIVALENT
    assert check_equivalence(f, g, SQUARE, Top1(margin=1e6), FAST).verdict is Verdict.EQUIVALENT


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_no_time_means_unknown_and_a_sound_interval(engine):
    f, g = pair(3, 2, size=0.5)
    points = dense(SQUARE, 41)
    for relation in (Epsilon(1e3), Epsilon(0.0), Top1(), Order(0, 1)):
        v = check_equivalence(f, g, SQUARE, relation, engine, time_limit=0.0)
        assert v.upper >= largest_violation(f, g, relation, points)
        decided = v.upper <= 0  # intervals alone prove it
        assert v.verdict is (Verdict.EQUIVALENT if decided else Verdict.UNKNOWN)
        assert decided or "time limit of 0 s" in v.reason
    r = max_discrepancy(f, g, SQUARE, engine, time_limit=0.0)
    assert r.lower == 0.0
    assert r.upper >= np.abs(f(points) - g(points)).max()
    assert "time limit of 0 s" in r.reason


@pytest.mark.parametrize("engine", ENGINES, ids=str)
def test_an_interrupt_means_unknown_and_a_sound_interval(engine):
    f, g = pair(3, 2, size=0.5)
    relation = Epsilon(0.9 * max_discrepancy(f, g, SQUARE, FAST, time_limit=0.0).upper)  # too little for intervals

    def interrupt(**state):
        raise KeyboardInterrupt

    v = check_equivalence(f, g, SQUARE, relation, engine, progress=interrupt)
    assert (v.verdict, v.reason) == (Verdict.UNKNOWN, "interrupted")
    assert v.upper >= largest_violation(f, g, relation, dense(SQUARE, 41))


def test_an_interrupt_late_in_the_search_keeps_the_witness_so_far():
    f, g = pair(5, 2, size=0.5)
    full = max_discrepancy(f, g, SQUARE, FAST)
    assert full.pieces > 3

    class Interrupting(Star):
        def _leaves(self, *arguments):
            for number, leaf in enumerate(super()._leaves(*arguments)):
                if number == 3:
                    raise KeyboardInterrupt
                yield leaf

    r = max_discrepancy(f, g, SQUARE, Interrupting(lp="highspy"))
    assert (r.reason, r.pieces) == ("interrupted", 3)
    assert 0 < r.lower <= full.lower
    assert r.upper >= full.upper
    at_witness = np.abs(f(r.witness) - g(r.witness)).max()
    assert abs(at_witness - r.lower) < 1e-12


def test_a_lying_engine_makes_no_witness():
    """NOT_EQUIVALENT rests on exact arithmetic, not on what the engine claims."""

    class Liar(Star):
        def maximise(self, *arguments, **options):
            found = super().maximise(*arguments, **options)
            return type(found)(1.0, 2.0, 0, np.array([0.5]), reason=found.reason)

    v = check_equivalence(RELU, RELU, SEGMENT, Epsilon(0.1), Liar(lp="highspy"))
    assert v.verdict is Verdict.UNKNOWN


def test_many_sets_at_once_are_each_alone():
    f, g = pair(2, 2)
    boxes = [SQUARE, Box([0.0, 0.0], [0.5, 0.5]), Polytope([[1.0, 1.0]], [0.0], SQUARE), Box([0.1, 0.1], [0.1, 0.1])]
    together = max_discrepancies(f, g, boxes, FAST)
    for box, r in zip(boxes, together, strict=True):
        alone = max_discrepancy(f, g, box, FAST)
        assert (r.lower, r.upper, r.witness, r.pieces) == (alone.lower, alone.upper, alone.witness, alone.pieces)
    assert max_discrepancies(f, g, [], FAST) == []
    assert together[1].upper <= together[0].upper + 1e-9


def test_the_pair_and_the_merged_network_have_the_same_pieces():
    from nnequiv import merge

    f, g = pair(4, 2, n_outputs=1)
    of_pair = list(enumerate_pieces((f, g), SQUARE, FAST))
    of_merged = list(enumerate_pieces(merge(f, g), SQUARE, FAST))
    assert len(of_pair) == len(of_merged)
    differences = sorted((p.matrix[0] - p.matrix[1]).tolist() for p in of_pair)
    np.testing.assert_allclose(differences, sorted(p.matrix[0].tolist() for p in of_merged), atol=1e-12)


def test_answers_carry_their_evidence_and_round_trip():
    f, g = pair(6, 2)
    r = max_discrepancy(f, g, SQUARE, FAST)
    assert (r.engine, r.tolerance, r.proof) == ("star(lp=highspy)", 1e-6, "LP duality")
    assert r.pieces > 0
    assert r.lps > 0
    assert r.seconds > 0
    assert Discrepancy.from_json(r.to_json()) == r
    v = check_equivalence(f, g, SQUARE, Epsilon(0.05))
    assert v.engine.endswith(")")
    assert "auto: " in v.engine
    assert Equivalence.from_json(v.to_json()) == v
    assert json.loads(v.to_json())["relation"] == "Epsilon(epsilon=0.05)"


def test_progress_reports_numbers():
    states = []
    f, g = pair(6, 2)
    max_discrepancy(f, g, SQUARE, FAST, progress=lambda **state: states.append(state))
    assert states


def check_agreement(seed):
    f, g, input_set, kind = random_pair(seed)
    results = {str(engine): max_discrepancy(f, g, input_set, engine) for engine in ENGINES}
    lowers = [r.lower for r in results.values()]
    spread = max(lowers) - min(lowers)
    accuracy = 1e-5 if "noise" in kind else 1e-6  # a difference of 1e-6 is within milp's tolerance
    assert spread <= accuracy * max(1.0, *lowers), f"seed {seed} ({kind}): {lowers}"
    for name, r in results.items():
        assert r.upper >= max(lowers), f"seed {seed} ({kind}): {name} claims at most {r.upper}"


@pytest.mark.parametrize("seed", range(600, 606))
def test_engines_agree(seed):
    check_agreement(seed)


@pytest.mark.slow
def test_engines_agree_on_many_pairs():
    for seed in range(606, 694):
        check_agreement(seed)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: max_discrepancy(RELU, pair(0, 1)[0], SEGMENT), "f has 1 outputs, but g has 3"),
        (lambda: max_discrepancy(RELU, pair(0, 2, 1)[0], SEGMENT), "f has 1 inputs, but g has 2"),
        (lambda: max_discrepancy(RELU, RELU, SQUARE), "the input set has 2 inputs, but the network has 1"),
        (lambda: max_discrepancy(RELU, RELU, [-1.0, 1.0]), "it must be a Box or a Polytope"),
        (lambda: max_discrepancy(RELU, "g.onnx", SEGMENT), "'g.onnx' is not a Network"),
        (lambda: max_discrepancy(RELU, RELU, SEGMENT, "sta"), "unknown engine 'sta'"),
        (lambda: max_discrepancy(RELU, RELU, SEGMENT, tolerance=-1.0), "tolerance is -1.0"),
        (lambda: max_discrepancy(RELU, RELU, SEGMENT, tolerance=np.nan), "tolerance is nan"),
        (lambda: max_discrepancy(RELU, RELU, SEGMENT, outputs=[1]), r"outputs is \[1\], but .* outputs 0 to 0"),
        (lambda: max_discrepancy(RELU, RELU, SEGMENT, time_limit=-1), "time_limit is -1"),
        (lambda: check_equivalence(RELU, RELU, SEGMENT, Epsilon((0.1, 0.2))), "epsilon has 2 values"),
        (lambda: check_equivalence(RELU, RELU, SEGMENT, Order(0, 1)), "j is 1, but the networks have outputs 0 to 0"),
        (lambda: list(enumerate_pieces(RELU, SEGMENT, "milp")), "engine 'milp' does not list pieces"),
        (lambda: list(enumerate_pieces([RELU, RELU], SEGMENT)), "a pair is a tuple"),
        (lambda: max_discrepancy(RELU, RELU, Polytope([[1.0]], [1.0])), "the input set is unbounded"),
        (lambda: max_discrepancy(RELU, RELU, Polytope([[1.0]], [-2.0], SEGMENT)), "the input set is empty"),
    ],
)
def test_bad_questions_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
