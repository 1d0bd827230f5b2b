"""V-polytopes against scipy's qhull, and where counting borders would go wrong."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial import HalfspaceIntersection

from nnequiv.rounding import rounded_down, rounded_up
from nnequiv.sets import Box, VertexPolytope
from nnequiv.sets.arithmetic import Floats, Integers

both = pytest.mark.parametrize("arithmetic", [Floats(), Integers()], ids=["float", "exact"])


def half_space(arithmetic, normal, offset):
    return arithmetic.lift([np.asarray(normal, dtype=float)], [float(offset)])[0]


def as_set(vertices) -> set:
    return {tuple(round(float(v), 9) + 0.0 for v in vertex) for vertex in vertices}


@both
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_vertices_of_random_cuts_are_qhulls(arithmetic, d):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        polytope = VertexPolytope.from_box(Box(-np.ones(d), np.ones(d)), arithmetic)
        rows = []
        for _ in range(6):
            rows.append(np.append(rng.normal(size=d), rng.uniform(0.1, 1.0)))  # 0 stays inside
            polytope = polytope.clip(half_space(arithmetic, rows[-1][:-1], rows[-1][-1]))
        found = as_set(polytope.vertices)
        assert len(found) == len(polytope.points), f"seed {seed}: a vertex twice"
        if d == 1:
            ends = [-b / a for a, b in rows]
            low = max([-1.0, *(e for e, (a, _) in zip(ends, rows, strict=True) if a > 0)])
            high = min([1.0, *(e for e, (a, _) in zip(ends, rows, strict=True) if a < 0)])
            expected = as_set([[low], [high]])
        else:
            sides = np.vstack([np.eye(d), -np.eye(d)])
            half_spaces = np.vstack([-np.array(rows), np.column_stack([sides, -np.ones(2 * d)])])
            expected = as_set(HalfspaceIntersection(half_spaces, np.zeros(d)).intersections)
        assert found == expected, f"seed {seed}"


@both
def test_non_simple_polytope_is_cut_along_true_edges_only(arithmetic):
    """The octahedron |x| + |y| + |z| ≤ 1: four borders in every vertex. The plane x = 1/4 cuts four edges."""
    polytope = VertexPolytope.from_box(Box(-2 * np.ones(3), 2 * np.ones(3)), arithmetic)
    for signs in np.ndindex(2, 2, 2):
        polytope = polytope.clip(half_space(arithmetic, 2 * np.array(signs) - 1, 1))
    assert as_set(polytope.vertices) == as_set([*np.eye(3), *-np.eye(3)])
    above, below = polytope.split(half_space(arithmetic, [1, 0, 0], -0.25))
    assert len(above.points) == 5 and len(below.points) == 9


@both
def test_three_borders_through_one_line_do_not_make_an_edge(arithmetic):
    """In 4-D, x ≥ 0, y ≥ 0 and x + y ≥ 0 meet in a plane: three common borders, of rank two, are not an edge."""
    cube = VertexPolytope.from_box(Box([0, 0, 0, 0], [1, 1, 1, 1]), arithmetic)
    redundant = half_space(arithmetic, [1, 1, 0, 0], 0)
    on = arithmetic.signs(redundant[None], cube.points, cube.reach) == 0
    padded = VertexPolytope(
        cube.points, np.vstack([cube.rows, redundant]), np.hstack([cube.incidence, on]), cube.box, arithmetic
    )
    plane = half_space(arithmetic, [0, 0, 1, 1], -1)  # through opposite corners of that square: it cuts no edge there
    assert len(padded.split(plane)[0].points) == len(cube.split(plane)[0].points)
    plane = half_space(arithmetic, [0.25, 0.25, 1, 1], -0.75)
    assert as_set(padded.split(plane)[0].vertices) == as_set(cube.split(plane)[0].vertices)


@both
def test_plane_through_corners_adds_no_vertex(arithmetic):
    square = VertexPolytope.from_box(Box([0, 0], [1, 1]), arithmetic)
    above, below = square.split(half_space(arithmetic, [1, -1], 0))
    assert as_set(above.vertices) == {(0, 0), (1, 0), (1, 1)} and len(above.points) == 3
    assert as_set(below.vertices) == {(0, 0), (0, 1), (1, 1)} and len(below.points) == 3


@both
def test_flat_polytope_splits_along_its_edges(arithmetic):
    """The triangle x + y + z = 1 in the cube, made flat by a face, and cut again."""
    cube = VertexPolytope.from_box(Box([0, 0, 0], [1, 1, 1]), arithmetic)
    corner = cube.clip(half_space(arithmetic, [-1, -1, -1], 1))
    triangle = corner.clip(half_space(arithmetic, [1, 1, 1], -1))
    assert as_set(triangle.vertices) == as_set(np.eye(3))
    above, below = triangle.split(half_space(arithmetic, [1, 0, 0], -0.5))
    assert len(above.points) == 3 and len(below.points) == 4


@both
def test_clip_knows_faces_and_emptiness(arithmetic):
    square = VertexPolytope.from_box(Box([0, 0], [1, 1]), arithmetic)
    assert square.clip(half_space(arithmetic, [1, 1], 0)) is square
    assert as_set(square.clip(half_space(arithmetic, [-1, 0], 0)).vertices) == {(0, 0), (0, 1)}
    assert square.clip(half_space(arithmetic, [1, 1], -3)) is None


def test_point_of_no_dimension():
    point = VertexPolytope.from_box(None, Integers())
    assert point.maximum(Integers().lift(np.zeros((1, 0)), [0.75])) == (Fraction(3, 4), 0)
    assert point.clip(Integers().lift(np.zeros((1, 0)), [-1.0])[0]) is None


def test_float_maximum_is_proved_whatever_the_vertices_say():
    """With vertices that are plainly wrong, the bound stays above the true maximum."""
    square = VertexPolytope.from_box(Box([0.0, 0.0], [1.0, 1.0]), Floats())
    triangle = square.clip(np.array([-1.0, -1.0, 1.5]))
    wrong = VertexPolytope(triangle.points * [0.5, 0.5, 1.0], triangle.rows, triangle.incidence, square.box, Floats())
    form = np.array([[1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    assert 2.5 <= triangle.maximum(form)[0] <= 2.5 + 1e-12
    assert 2.5 <= wrong.maximum(form)[0] <= 2.5 + 1e-12


def test_wedge_at_a_tiny_angle_is_bounded_to_the_last_digit():
    """Two borders 1e-9 apart in angle: the multipliers at their vertex are huge, so integers take over."""
    box = Box([-1.0, -1.0], [1.0, 1.0])
    wedge = VertexPolytope.from_box(box, Floats()).clip(np.array([0.0, 1.0, 0.0]))
    wedge = wedge.clip(np.array([-1e-9, -1.0, 0.3e-9]))  # 0 ≤ y ≤ 1e-9 (0.3 − x): x is at most 0.3
    value, _ = wedge.maximum(np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert abs(value - 0.3) < 1e-7 and value >= Fraction(0.3e-9) / Fraction(1e-9)


def test_rounding_outward():
    third = Fraction(1, 3)
    assert Fraction(rounded_down(third)) < third < Fraction(rounded_up(third))
    assert rounded_up(third) - rounded_down(third) == np.spacing(1 / 3)
    assert rounded_up(Fraction(0)) == rounded_down(Fraction(0)) == 0.0
    assert rounded_up(Fraction(10) ** 400) == np.inf and rounded_down(Fraction(10) ** 400) == np.finfo(float).max


def test_too_many_inputs_are_refused():
    with pytest.raises(ValueError, match="17 free inputs"):
        VertexPolytope.from_box(Box(np.zeros(17), np.ones(17)), Floats())
