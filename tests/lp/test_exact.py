"""The exact simplex against all vertices one by one."""

from fractions import Fraction

import numpy as np
import pytest

from nnequiv.lp import exact_maximum
from tests.oracles.exact_lp import exact_maximum as by_vertices
from tests.oracles.random_programs import nearly_parallel_program, random_program


def value_of(row, point) -> Fraction:
    return sum((Fraction(float(a)) * x for a, x in zip(row, point, strict=True)), Fraction(0))


def check(program, where, likely=None):
    """The maximum is that of the oracle, and the point attains it inside all borders: no tolerance anywhere."""
    objective, matrix, bound, lower, upper = program
    found, expected = exact_maximum(*program, likely), by_vertices(*program)
    assert (found is None) == (expected is None), where
    if found is None:
        return
    assert found.value == expected == value_of(objective, found.point), where
    assert all(value_of(row, found.point) <= Fraction(float(b)) for row, b in zip(matrix, bound, strict=True)), where
    assert all(a <= x <= b for a, x, b in zip(lower, found.point, upper, strict=True)), where


@pytest.mark.parametrize("program", [random_program, nearly_parallel_program])
def test_the_maximum_is_that_of_all_vertices(program):
    for seed in range(300):
        check(program(seed), f"seed {seed}")


@pytest.mark.slow
def test_the_maximum_is_that_of_all_vertices_on_many_programs():
    for seed in range(300, 3000):
        check((random_program, nearly_parallel_program)[seed % 2](seed // 2), f"seed {seed}")


def test_the_rows_to_begin_with_change_nothing_but_the_way():
    for seed in range(300):
        program = random_program(seed)
        check(program, f"seed {seed}", np.random.default_rng(seed).permutation(len(program[2]))[: seed % 4])


def test_many_borders_through_one_corner_do_not_make_it_cycle():
    """Forty planes through the origin, the objective a combination of them: every pivot leaves the corner in place."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        rows = rng.integers(-2, 3, size=(40, 3)).astype(float)
        rows[:3] = np.eye(3)
        found = exact_maximum(rng.integers(0, 3, size=3), rows, np.zeros(40), -np.ones(3), np.ones(3))
        assert found.value == 0, f"seed {seed}"


def test_scales_far_apart():
    """Nothing over- or underflows: rows of 1e-300 and 1e300, a box from 1e-320 to 1e308."""
    check(
        (
            np.array([1e-300, 1e300]),
            np.array([[1e-300, 1e-300], [1e300, -1e300]]),
            np.array([1e-300, 1e-320]),
            np.array([1e-320, -1e308]),
            np.array([1e308, 1e308]),
        ),
        "scales",
    )


def test_no_rows_no_variables_and_empty_boxes():
    none = np.zeros((0, 2)), np.zeros(0)
    assert exact_maximum([1.0, -1.0], *none, [-1.0, -2.0], [3.0, 4.0]).value == 5
    assert exact_maximum([], np.zeros((2, 0)), [0.0, 1.0], [], []).value == 0
    assert exact_maximum([], np.zeros((1, 0)), [-1.0], [], []) is None
    assert exact_maximum([1.0], np.zeros((0, 1)), [], [1.0], [0.0]) is None


@pytest.mark.parametrize("place", range(5))
def test_numbers_must_be_finite(place):
    program = [np.ones(1), np.ones((1, 1)), np.ones(1), np.zeros(1), np.ones(1)]
    program[place] = program[place] * np.inf if place != 3 else np.array([np.nan])
    with pytest.raises(ValueError, match="not finite"):
        exact_maximum(*program)
