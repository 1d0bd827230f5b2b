from fractions import Fraction

import numpy as np
import pytest

from nnequiv.sets import Box, Polytope


def square_rows(n):
    return np.vstack([np.eye(n), -np.eye(n)])


def test_the_enclosing_box_holds_every_vertex_and_is_tight():
    for seed in range(40):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(1, 5))
        corners = rng.normal(size=(n + 1, n))  # a simplex: its facets from its corners
        matrix, bound = [], []
        for out in range(n + 1):
            rest = np.delete(corners, out, axis=0)
            _, _, basis = np.linalg.svd(np.vstack([rest[1:] - rest[0], np.zeros((1, n))]))
            row = basis[-1] * -np.sign(basis[-1] @ (corners[out] - rest[0]))
            matrix.append(row)
            bound.append((rest @ row).max())
        polytope = Polytope(matrix, bound)
        assert (polytope.box.lower <= corners.min(axis=0) + 1e-12).all(), f"seed {seed}"
        assert (polytope.box.upper >= corners.max(axis=0) - 1e-12).all(), f"seed {seed}"
        np.testing.assert_allclose(polytope.box.lower, corners.min(axis=0), atol=1e-6, err_msg=f"seed {seed}")
        np.testing.assert_allclose(polytope.box.upper, corners.max(axis=0), atol=1e-6, err_msg=f"seed {seed}")


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1e6])
def test_the_size_of_rows_does_not_matter(scale):
    triangle = np.array([[-1.0, 1.0], [1.0, 1.0], [0.0, -1.0]])
    box = Polytope(triangle * scale, np.array([1.0, 1.0, 0.0]) * scale).box
    np.testing.assert_allclose([box.lower, box.upper], [[-1.0, 0.0], [1.0, 1.0]], atol=1e-9)


def test_bounds_of_single_inputs_are_exact_or_outward():
    polytope = Polytope([[3.0], [-3.0]], [1.0, 1.0])
    assert Fraction(float(polytope.box.upper[0])) >= Fraction(1, 3)
    assert Fraction(float(polytope.box.lower[0])) <= Fraction(-1, 3)
    assert polytope.box.upper[0] - 1 / 3 < 1e-16
    assert len(polytope.cuts[1]) == 2  # 1/3 is no float, so the rows still say more than the box
    exact = Polytope([[2.0], [-4.0]], [1.0, 1.0])
    assert exact.box.upper.tolist() == [0.5]
    assert exact.box.lower.tolist() == [-0.25]
    assert len(exact.cuts[1]) == 0


def test_a_bound_too_large_for_a_float_is_no_bound():
    with pytest.raises(ValueError, match="unbounded"):
        Polytope([[1e-308], [-1.0]], [1e308, 0.0]).inner_point()


@pytest.mark.parametrize(
    ("matrix", "bound"),
    [
        ([[1.0, 0.0]], [1.0]),
        ([[1.0, 1.0], [-1.0, -1.0]], [1.0, 1.0]),
        ([[1.0, 1.0], [-1.0, -1.0]], [1.0, -1.0]),
        (np.zeros((0, 2)), []),
        ([[-1.0, 0.0], [0.0, -1.0], [1.0, -1.0]], [0.0, 0.0, 1.0]),
    ],
)
def test_unbounded_sets_are_refused(matrix, bound):
    with pytest.raises(ValueError, match="the input set is unbounded: input [01]"):
        _ = Polytope(matrix, bound).box


@pytest.mark.parametrize(
    ("matrix", "bound", "within"),
    [
        ([[1.0], [-1.0]], [0.0, -1.0], None),
        ([[1.0, 1.0], [-1.0, 0.0], [0.0, -1.0]], [-1.0, 0.0, 0.0], None),
        ([[1.0, 1.0]], [-3.0], Box([-1.0, -1.0], [1.0, 1.0])),
        ([[0.0, 0.0]], [-1.0], Box([-1.0, -1.0], [1.0, 1.0])),
        ([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]], [1.0, -2.0, 1.0, 1.0], None),
    ],
)
def test_empty_sets_are_refused(matrix, bound, within):
    with pytest.raises(ValueError, match="the input set is empty"):
        Polytope(matrix, bound, within).inner_point()


def test_flat_sets():
    segment = Polytope([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]], [1.0, -1.0, 1.0, 1.0])
    np.testing.assert_allclose([segment.box.lower, segment.box.upper], [[0.0, 0.0], [1.0, 1.0]], atol=1e-9)
    assert segment.contains([0.25, 0.75])
    assert not segment.contains([0.25, 0.7500001])
    assert abs(segment.inner_point().sum() - 1.0) < 1e-9
    fixed = Polytope(square_rows(2), [1.0, 0.5, 0.0, -0.5])
    assert fixed.free.tolist() == [0]
    assert fixed.inner_point()[1] == 0.5
    point = Polytope(square_rows(2), [0.5, 0.5, -0.5, -0.5])
    assert point.free.tolist() == []
    assert point.contains([0.5, 0.5])


def test_contains_makes_no_rounding_error():
    # 0.1 + 0.2 rounds to just above 0.3, but the exact sum of the two floats is also above the float 0.3.
    polytope = Polytope([[1.0, 1.0]], [0.3], Box([0.0, 0.0], [1.0, 1.0]))
    assert not polytope.contains([0.1, 0.2])
    assert polytope.contains([0.1, np.nextafter(0.2, 0.0)]) is (
        Fraction(0.1) + Fraction(float(np.nextafter(0.2, 0.0))) <= Fraction(0.3)
    )
    # In floats 1e16 + 1 − 1e16 is 0: the exact sum is 1.
    assert not Polytope([[1e16, 1.0, -1e16]], [0.5], Box([0.0] * 3, [1.0] * 3)).contains([1.0, 1.0, 1.0])
    assert not polytope.contains([-0.1, 0.2])
    assert not polytope.contains([np.nan, 0.2])
    with pytest.raises(ValueError, match=r"point has shape \(1,\), but the set has 2 inputs"):
        polytope.contains([0.1])


def test_bad_arrays_are_refused():
    with pytest.raises(ValueError, match=r"matrix has shape \(1, 2\) and bound \(2,\)"):
        Polytope([[1.0, 2.0]], [1.0, 2.0])
    with pytest.raises(ValueError, match=r"row 1 is \[nan\] x ≤ 0.0: it must be finite"):
        Polytope([[1.0], [np.nan]], [1.0, 0.0])
    with pytest.raises(ValueError, match=r"row 0 is \[1.0\] x ≤ inf"):
        Polytope([[1.0]], [np.inf])
    with pytest.raises(ValueError, match="matrix has 1 columns, but the box has 2 inputs"):
        Polytope([[1.0]], [1.0], Box([0.0, 0.0], [1.0, 1.0]))
    matrix = np.ones((1, 1))
    polytope = Polytope(matrix, [1.0], Box([0.0], [2.0]))
    matrix[0, 0] = 5.0
    assert polytope.matrix[0, 0] == 1.0
    with pytest.raises(ValueError, match="read-only"):
        polytope.bound[0] = 2.0


def test_the_proof_of_boundedness_holds_for_random_bounded_sets():
    """Rows that surround the origin: every exact point of the set lies in the proved box."""
    for seed in range(30):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 5))
        matrix = np.vstack([rng.normal(size=(2 * n + 3, n)), square_rows(n) + 0.1 * rng.normal(size=(2 * n, n))])
        polytope = Polytope(matrix, np.ones(len(matrix)))
        for direction in rng.normal(size=(50, n)):
            reach = 1.0 / max((matrix @ direction).max(), 1e-9)
            point = direction * reach * (1 - 1e-12)
            assert polytope.box.contains(point), f"seed {seed}"
