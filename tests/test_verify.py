"""Queries about one network and two: the verdicts, on which side of equality, and the real table."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

import nnequiv as nq
from nnequiv.audit.replay import satisfied_at
from nnequiv.audit.verify import Verification, verify
from nnequiv.control import Control
from nnequiv.io.query import Query
from nnequiv.io.vnnlib import load_query, parse_query
from nnequiv.lp import LPError
from nnequiv.network import Network
from nnequiv.reach.engine import Optimum
from tests.oracles.queries import pair_text, query_text, relu_net
from tests.oracles.random_networks import random_network

ACAS = "acasxu/ACASXU_run2a_{}_batch_2000.onnx"


def ask(text: str, *networks: Network, **options) -> Verification:
    query = parse_query(text)
    names = dict(zip(query.names, networks, strict=False))
    answer = verify(query, names, **options)
    if answer.verdict == "sat":
        check_witness(query, names, answer)
    return answer


def check_witness(query: Query, networks, answer: Verification) -> None:
    """The printed floats satisfy the query with outputs computed anew, and the printed outputs are theirs."""
    from nnequiv.rounding import evaluate_exact

    exact = [evaluate_exact(networks[name], x) for name, x in zip(query.names, answer.inputs, strict=True)]
    assert query.holds(answer.inputs, exact)
    assert [tuple(float(v) for v in values) for values in exact] == list(answer.outputs)


@pytest.mark.parametrize(
    "unsafe, verdict",
    [
        ("(>= Y_0 2)", "sat"),
        ("(> Y_0 2)", "unsat"),
        ("(>= Y_0 1.9999999999999998)", "sat"),
        ("(>= Y_0 2.0000000000000004)", "unsat"),
        ("(<= Y_0 0)", "sat"),
        ("(< Y_0 0)", "unsat"),
        ("(= Y_0 1)", "sat"),
        ("(= Y_0 -1)", "unsat"),
        ("(or (< Y_0 0) (> Y_0 2))", "unsat"),
        ("(or (< Y_0 0) (>= Y_0 2))", "sat"),
        ("(and (> Y_0 0.5) (< Y_0 0.75))", "sat"),
        ("(and (>= Y_0 0.5) (< Y_0 0.5))", "unsat"),
        ("(and (>= Y_0 0.5) (<= Y_0 0.5))", "sat"),
        ("(and (> Y_0 1) (<= Y_0 1))", "unsat"),
    ],
)
def test_strict_and_non_strict_at_equality(unsafe, verdict):
    """y = relu(x) on [-1, 2] takes exactly the values of [0, 2]."""
    assert ask(query_text([(-1, 2)], unsafe), relu_net()).verdict == verdict


@pytest.mark.parametrize("engine", ["star", "vertices", "skeleton", "branch-and-bound", "milp"])
@pytest.mark.parametrize("unsafe, verdict", [("(>= Y_0 1.999)", "sat"), ("(>= Y_0 2.001)", "unsat")])
def test_every_engine_answers(engine, unsafe, verdict):
    answer = ask(query_text([(-1, 2)], unsafe), relu_net(), engine=engine)
    assert (answer.verdict, answer.engine) == (verdict, engine)


def test_strict_bounds_exclude_the_border():
    """The largest y is on the border x = 1, which x < 1 excludes; just inside there are witnesses for y > 0.5."""
    border = "(declare-const X_0 Real)(declare-const Y_0 Real)(assert (> X_0 0))(assert (< X_0 1))(assert {})"
    inside = ask(border.format("(> Y_0 0.5)"), relu_net())
    assert inside.verdict == "sat" and 0.5 < inside.inputs[0][0] < 1
    at_border = ask(border.format("(>= Y_0 1)"), relu_net())
    assert at_border.verdict == "unknown" and at_border.upper >= 0  # nothing wrong is claimed


def test_union_of_input_sets_and_choice_of_outputs():
    text = (
        "(declare-const X_0 Real)(declare-const Y_0 Real)"
        "(assert (or (and (>= X_0 0) (<= X_0 1)) (and (>= X_0 4) (<= X_0 5))))(assert (and (> Y_0 {}) (< Y_0 {})))"
    )
    assert ask(text.format(2, 3), relu_net()).verdict == "unsat"
    found = ask(text.format(4.5, 6), relu_net())
    assert found.verdict == "sat" and 4.5 < found.inputs[0][0] <= 5


def test_output_constraint_of_one_input_set_only():
    """(x in [0, 1] and y > 3) or (x in [4, 5] and y < 3): satisfied by neither."""
    text = (
        "(declare-const X_0 Real)(declare-const Y_0 Real)"
        "(assert (or (and (>= X_0 0) (<= X_0 1) (> Y_0 3)) (and (>= X_0 4) (<= X_0 5) (< Y_0 3))))"
    )
    assert ask(text, relu_net()).verdict == "unsat"
    assert ask(text, relu_net(4.0)).verdict == "sat"


def test_no_output_part_is_satisfied_by_any_input():
    answer = ask(query_text([(0.25, 0.5)], ""), relu_net())
    assert answer.verdict == "sat" and 0.25 <= answer.inputs[0][0] <= 0.5


def test_satisfied_only_where_no_float_is():
    """3 x = 1: true of a rational number, but no assignment of floats can be printed."""
    answer = ask(query_text([(0, 1)], "(= Y_0 1)"), relu_net(3.0))
    assert answer.verdict == "unknown" and answer.rational == ("1/3",) and "1/3" in answer.reason


@pytest.mark.parametrize("seed", range(30))
def test_random_properties_of_one_network(seed):
    """Coarse networks tie often. Against all corners of a dense grid: one satisfied point is enough for ``sat``."""
    rng = np.random.default_rng(seed)
    coarse = [(rng.integers(-2, 3, size=(b, a)) / 2, rng.integers(-2, 3, size=b) / 2) for a, b in [(2, 4), (4, 2)]]
    network = Network(coarse)
    level, kind = rng.integers(-4, 5) / 2, rng.choice(["<", "<=", ">", ">="])
    other = rng.choice(["(<= Y_1 0.5)", "(> Y_1 Y_0)", "(>= Y_1 -8)"])
    text = query_text([(-1, 1), (-1, 1)], f"(and ({kind} Y_0 {level}) {other})", 2)
    query, answer = parse_query(text), ask(text, network)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 17)] * 2), axis=-1).reshape(-1, 2)
    hit = any(satisfied_at(query, [network], point)[0] for point in grid)
    assert not (hit and answer.verdict == "unsat"), seed
    assert answer.verdict in ("sat", "unsat") or answer.rational, (seed, answer)


# two networks


@pytest.fixture(autouse=True)
def _version_2(request):
    if "pair" in request.node.name:
        pytest.importorskip("vnnlib")


@pytest.mark.parametrize(
    "unsafe, verdict",
    [
        ("(>= (- Y_f[0] Y_g[0]) 0.75)", "sat"),
        ("(> (- Y_f[0] Y_g[0]) 0.75)", "unsat"),
        ("(or (> (- Y_f[0] Y_g[0]) 0.75) (> (- Y_g[0] Y_f[0]) 0.25))", "unsat"),
        ("(or (> (- Y_f[0] Y_g[0]) 0.75) (>= (- Y_g[0] Y_f[0]) 0.25))", "sat"),
        ("(< (+ Y_f[0] (* 2.0 Y_g[0])) 0.0)", "sat"),
    ],
)
def test_pair_at_equality(unsafe, verdict):
    """f = relu(x), g = x / 2 + 1/4 on [-1, 2]: f − g is largest, 3/4, at 2; g − f, 1/4, at 0."""
    line = Network([([[0.5]], [0.25])])
    assert ask(pair_text([(-1.0, 2.0)], unsafe), relu_net(), line).verdict == verdict


def test_pair_on_independent_inputs():
    text = pair_text([(-1.0, 2.0)], "(>= (- Y_f[0] Y_g[0]) 2.0)", tied=False)
    answer = ask(text, relu_net(), relu_net())
    assert answer.verdict == "sat" and answer.inputs[0][0] == 2.0 and answer.inputs[1][0] <= 0.0


def test_pair_with_one_network_twice():
    """Robustness: f and its twin on inputs at most 1/4 apart differ by at most 1/4."""
    extra = ["(assert (<= (- X_f[0] X_g[0]) 0.25))", "(assert (<= (- X_g[0] X_f[0]) 0.25))"]
    for limit, verdict in ((0.2, "sat"), (0.3, "unsat")):
        unsafe = f"(> (- Y_f[0] Y_g[0]) {limit})"
        text = pair_text([(-1.0, 2.0)], unsafe, extra=extra, tied=False, of_g="(equal-to f)")
        query = parse_query(text)
        answer = verify(query, {"f": relu_net()})
        assert answer.verdict == verdict


def test_pair_of_different_widths():
    two = Network([([[1.0]], [0.0]), ([[1.0], [-1.0]], [0.0, 3.0])])
    text = pair_text([(0.0, 1.0)], "(and (> Y_g[1] 2.5) (< Y_f[0] Y_g[0]))", outputs=(1, 2))
    assert ask(text, relu_net(0.5), two).verdict == "sat"
    assert ask(text, relu_net(1.5), two).verdict == "unsat"


def test_pair_of_three_is_refused():
    third = "(declare-network h (declare-input X_h real [1]) (declare-output Y_h real [1]))"
    text = pair_text([(0.0, 1.0)], "(> Y_h[0] Y_f[0])", extra=["(assert (== X_f[0] X_h[0]))"])
    text = text.replace("(assert", third + "\n(assert", 1)
    with pytest.raises(ValueError, match="declares 3 networks"):
        ask(text, relu_net(), relu_net(), relu_net())


# what must never become a verdict


@dataclass(frozen=True)
class Fake:
    """An engine that answers what it is told to."""

    answer: Optimum | Exception
    name = "fake"

    def maximise(self, networks, input_set, objectives, tolerance, control: Control, threshold=None):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


WIDE = query_text([(-1, 1)] * 6, "(>= Y_0 2)")  # too wide for the exact fallback, too close for intervals


@pytest.mark.parametrize(
    "answer, verdict, said",
    [
        (Optimum(-1.0, 1.0, reason="interrupted"), "unknown", "interrupted"),
        (LPError("kUnknown"), "unknown", "kUnknown"),
        (Optimum(1.0, 1.0, 0, np.zeros(6)), "unknown", "tie"),  # a witness that is none
        (Optimum(-np.inf, np.inf, reason="no idea"), "unknown", "no idea"),
        (Optimum(-1.0, 0.0), "unknown", "tie"),  # y ≥ 2 may hold with equality
    ],
)
def test_an_engine_that_fails_or_lies(answer, verdict, said):
    network = random_network(np.random.default_rng(0), [6, 8, 1])
    found = ask(WIDE, network, engine=Fake(answer))
    assert found.verdict == verdict and said in found.reason


def test_out_of_time_is_timed_out():
    network = random_network(np.random.default_rng(0), [6, 30, 30, 1])
    found = ask(query_text([(-1, 1)] * 6, "(>= Y_0 3)"), network, time_limit=0.0)
    assert found.verdict == "timed-out" and found.reason.startswith("time limit")
    assert found.upper > 0


@pytest.mark.parametrize("answer", ["sat", "unsat", "unknown"])
def test_json_round_trip(answer):
    text = {"sat": "(>= Y_0 1)", "unsat": "(>= Y_0 7)", "unknown": "(= Y_0 1)"}[answer]
    found = ask(query_text([(0, 1)], text), relu_net(3.0 if answer == "unknown" else 1.0))
    assert found.verdict == answer
    assert Verification.from_json(found.to_json()) == found
    assert replace(found, upper=np.inf) == Verification.from_json(replace(found, upper=np.inf).to_json())


def test_wrong_networks_are_refused():
    query = parse_query(query_text([(0, 1)], "(>= Y_0 1)"))
    with pytest.raises(ValueError, match="no file is given"):
        verify(query, {})
    with pytest.raises(ValueError, match="has 1 and 2"):
        verify(query, {"N": Network([([[1.0], [1.0]], [0.0, 0.0])])})


# real queries


@pytest.mark.parametrize(
    "prop, name, verdict",
    [(1, "1_1", "unsat"), (3, "1_1", "unsat"), (4, "1_1", "unsat"), (5, "1_1", "unsat"),
     pytest.param(6, "1_1", "unsat", marks=pytest.mark.slow), (9, "3_3", "unsat"),
     (10, "4_5", "unsat"), (8, "2_9", "sat")],
)  # fmt: skip
def test_acas_properties(data_dir, prop, name, verdict):
    pytest.importorskip("onnx")
    query = load_query(data_dir / f"acasxu/prop_{prop}.vnnlib")
    networks = {"N": nq.load(data_dir / ACAS.format(name))}
    answer = verify(query, networks, time_limit=120)
    assert answer.verdict == verdict
    if verdict == "sat":
        check_witness(query, networks, answer)


TABLE = {
    "acas_prop1_eps_0.05": ("unsat", "unsat"),
    "acas_prop1_eps_0.004": ("sat", "sat"),
    "acas_prop4_eps_0.05": ("sat", "sat"),
    "acas_prop4_eps_0.32": ("unsat", "sat"),
    "acas_prop10_eps_0.05": ("unsat", "sat"),
    "acas_prop3_same_advisory": ("sat", "sat"),
    "acas_prop1_contradiction": ("unsat", "unsat"),
    "polytope_input": ("sat", "sat"),
}


@pytest.mark.parametrize("student", [0, 1])
@pytest.mark.parametrize("name", TABLE)
def test_two_network_table(data_dir, name, student):
    pytest.importorskip("onnx")
    pytest.importorskip("vnnlib")
    query = load_query(data_dir / f"vnnlib2/{name}.vnnlib")
    other = f"pairs/ACASXU_run2a_1_1_batch_2000-{('retrain', 'student')[student]}-mirror.onnx"
    networks = {"f": nq.load(data_dir / ACAS.format("1_1")), "g": nq.load(data_dir / other)}
    answer = verify(query, networks, time_limit=120)
    assert answer.verdict == TABLE[name][student]
    assert bool(answer.notes) == query.contradictory == (name == "acas_prop1_contradiction")
    if answer.verdict == "sat":
        check_witness(query, networks, answer)
