import numpy as np
import pytest

from nnequiv import Box, Network, Polytope, Top1, Verdict, check_equivalence, max_discrepancy
from nnequiv.control import Control
from nnequiv.reach.milp import Milp
from nnequiv.reach.star import Star
from nnequiv.relations import Objective, discrepancy_objectives
from tests.oracles.random_networks import random_network
from tests.oracles.random_pairs import random_pair

SEGMENT, ZERO = Box([-1.0], [1.0]), Network([([[0.0]], [0.0])])


def compare(seed):
    f, g, input_set, kind = random_pair(seed)
    star, milp = (max_discrepancy(f, g, input_set, engine) for engine in (Star(lp="highspy"), Milp()))
    where = f"seed {seed} ({kind}): star [{star.lower}, {star.upper}], milp [{milp.lower}, {milp.upper}]"
    assert not milp.reason, where
    assert milp.upper >= star.lower, where
    assert milp.lower <= star.upper, where
    # Where f − g is itself noise of 1e-6, HiGHS's tolerance hides which point is best.
    accuracy = 1e-5 if "noise" in kind else 1e-6
    assert abs(milp.lower - star.lower) <= accuracy * max(1.0, star.upper), where
    if milp.witness is not None:
        assert input_set.contains(milp.witness), where
        difference = np.abs(f(milp.witness) - g(milp.witness)).max()
        assert milp.lower <= difference + 1e-12, where


@pytest.mark.parametrize("seed", range(400, 412))
def test_milp_and_star_agree(seed):
    compare(seed)


@pytest.mark.slow
def test_milp_and_star_agree_on_many_pairs():
    for seed in range(422, 510):
        compare(seed)


@pytest.mark.parametrize("scale", [1e-150, 1e-12, 1e-8, 1e8, 1e12, 1e16, 1e150])
def test_the_scale_of_hidden_values_does_not_matter(scale):
    """With weights of 1e12 HiGHS once called this program infeasible, and the discrepancy 0."""
    f = Network([([[scale], [-scale]], [0.5 * scale, 0.25 * scale]), ([[1 / scale, 1 / scale]], [0.0])])
    r = max_discrepancy(f, Network([([[1.0]], [0.0])]), SEGMENT, Milp())
    assert abs(r.lower - 2.25) < 1e-6
    assert 2.25 <= r.upper < 2.25 + 1e-4


@pytest.mark.parametrize("reach", [1e-6, 1e6, 1e12])
def test_the_size_of_the_box_does_not_matter(reach):
    f = Network([([[1.0], [-1.0]], [0.5 * reach, 0.25 * reach]), ([[1.0, 1.0]], [0.0])])
    r = max_discrepancy(f, Network([([[1.0]], [0.0])]), Box([-reach], [reach]), Milp())
    assert abs(r.lower - 2.25 * reach) < 1e-6 * reach
    assert 2.25 * reach <= r.upper < (2.25 + 1e-4) * reach


def test_programs_without_binaries_have_a_bound_and_a_witness():
    f, g = random_network(np.random.default_rng(0), (2, 2)), random_network(np.random.default_rng(1), (2, 2))
    box = Box([-1.0, -1.0], [1.0, 1.0])
    r = max_discrepancy(f, g, box, Milp())
    exact = max_discrepancy(f, g, box, Star(lp="highspy"))
    assert abs(r.lower - exact.lower) < 1e-9
    assert exact.lower <= r.upper < exact.upper + 1e-4
    point = max_discrepancy(f, g, Box([0.5, 0.5], [0.5, 0.5]), Milp())
    assert point.lower == pytest.approx(np.abs(f([0.5, 0.5]) - g([0.5, 0.5])).max())


def test_a_far_negative_maximum_is_not_called_infeasible():
    """The goal −5000 − |x| x-range is far below the interval bound's size."""
    f = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1e6, 1e6]], [-1e6])])  # 1e6 (|x| − 1)
    only = Objective(np.array([[-1.0]]), np.array([-1e6]), np.zeros((0, 1)), np.zeros(0))
    optimum = Milp().maximise((f,), SEGMENT, [only], 1e-6, Control())
    assert optimum.lower == pytest.approx(0.0, abs=1e-3)
    shifted = Objective(np.array([[-1.0]]), np.array([-1.5e6]), np.zeros((0, 1)), np.zeros(0))
    optimum = Milp().maximise((f,), SEGMENT, [shifted], 1e-6, Control())
    assert optimum.lower == pytest.approx(-5e5, rel=1e-6)
    assert optimum.upper >= optimum.lower > -np.inf


def test_half_spaces_bind():
    f, g = Network([([[1.0, 1.0]], [0.0])]), Network([([[0.0, 0.0]], [0.0])])
    triangle = Polytope([[1e6, 1e6]], [1e6], Box([0.0, 0.0], [1.0, 1.0]))
    r = max_discrepancy(f, g, triangle, Milp())
    assert abs(r.lower - 1.0) < 1e-5
    assert 1.0 <= r.upper < 1.0 + 1e-4


def test_guards():
    f = Network([([[1.0], [-1.0]], [0.0, 0.0])])
    g = Network([([[-1.0], [1.0]], [0.0, 0.0])])
    assert check_equivalence(f, g, SEGMENT, Top1(), Milp()).verdict is Verdict.NOT_EQUIVALENT
    assert check_equivalence(f, f, SEGMENT, Top1(margin=0.5), Milp()).verdict is not Verdict.NOT_EQUIVALENT
    far = check_equivalence(f, g, SEGMENT, Top1(margin=5.0), Milp())  # nowhere is the lead that large
    assert far.verdict is Verdict.EQUIVALENT


def test_stopped_or_overflowing_runs_prove_the_interval_only():
    f = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    r = max_discrepancy(f, ZERO, SEGMENT, Milp(), time_limit=0.0)
    assert (r.lower, r.witness) == (0.0, None)
    assert r.upper >= 1.0
    assert "time limit" in r.reason
    big = Network([([[1e200], [-1e200]], [0.0, 0.0]), ([[1e200, -1e200]], [0.0])])
    with np.errstate(over="ignore", invalid="ignore"):
        r = Milp().maximise((big, ZERO), SEGMENT, discrepancy_objectives(1), 1e-6, Control())
    assert r.upper == np.inf
    assert "overflow" in r.reason


def test_a_stopped_proof_claims_nothing_of_highs(monkeypatch):
    """A violation ends the proof of all objectives; what HiGHS said of the others is not proved by then."""
    monkeypatch.setattr("nnequiv.reach.milp._highs", lambda *_: (0.0, None, 0))
    f = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    found = Milp().maximise((f, ZERO), SEGMENT, discrepancy_objectives(1), 1e-6, Control(), threshold=0.1)
    assert found.lower > 0.1 and found.upper >= 1.0
    assert found.proof == "interval arithmetic"


def test_proof_says_what_it_rests_on():
    for engine, rests_on in ((Milp(), "LP duality"), (Milp(prove=False), "HiGHS")):
        optimum = engine.maximise((ZERO, ZERO), SEGMENT, discrepancy_objectives(1), 1e-6, Control())
        assert rests_on in optimum.proof


def test_nothing_is_written_to_standard_output(capfd):
    """HiGHS prints a line of its own when it repairs an integer solution, as on some of these pairs."""
    for seed in (42, 43, 44, 45, 46, 47, 48, 49):
        f, g, input_set, _ = random_pair(seed)
        max_discrepancy(f, g, input_set, Milp())
    assert capfd.readouterr().out == ""
