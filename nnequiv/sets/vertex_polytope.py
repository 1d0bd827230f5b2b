"""The V-polytope: vertices, half-spaces, and which vertex lies on which. Splitting it clips its edges."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np
from scipy.optimize import nnls

from nnequiv.lp import safe_upper
from nnequiv.rounding import UNIT, dot_error, rounded_up
from nnequiv.sets.arithmetic import Floats, Integers
from nnequiv.sets.box import Box
from nnequiv.tolerances import PLANE_TOL

#: A box has 2^d corners; beyond this many free inputs they are not listed.
MOST_INPUTS = 16


@dataclass(frozen=True, eq=False)
class VertexPolytope:
    """``{α in box : rows @ (α, 1) ≥ 0}`` together with its vertices. Any dimension from 0, flat ones included.

    The half-spaces *are* the polytope; the vertices say the same, exactly over integers and up to rounding over
    floats. α are the free inputs of a network.

    Attributes
    ----------
    points : (k, d + 1) array
        Vertices, homogeneous (see :mod:`nnequiv.sets.arithmetic`).
    rows : (m, d + 1) array
        Half-spaces; the first 2 d are the sides of the box.
    incidence : (k, m) bool array
        Which vertex lies on the border of which half-space.
    box : Box or None
        Of the free inputs; None if there are none.
    arithmetic : Floats or Integers

    Examples
    --------
    The unit square, and the triangle above its diagonal:

    >>> square = VertexPolytope.from_box(Box([0.0, 0.0], [1.0, 1.0]), Integers())
    >>> triangle, _ = square.split(np.array([-1, 1, 0], dtype=object))
    >>> len(square.points), len(triangle.points)
    (4, 3)
    >>> triangle.maximum(np.array([[1, -3, 0], [0, 0, 1]], dtype=object))[0]
    Fraction(0, 1)
    """

    points: np.ndarray
    rows: np.ndarray
    incidence: np.ndarray
    box: Box | None
    arithmetic: Floats | Integers

    @classmethod
    def from_box(cls, box: Box | None, arithmetic: Floats | Integers) -> VertexPolytope:
        """The box with its 2^d corners; None is the single point of dimension 0.

        Raises
        ------
        ValueError
            If the box has more than ``MOST_INPUTS`` inputs.
        """
        d = box.dimension if box is not None else 0
        if d > MOST_INPUTS:
            raise ValueError(f"{d} free inputs: a box has 2^d corners, and at most {MOST_INPUTS} inputs are listed so")
        if d == 0:
            point = arithmetic.lift(np.zeros((0, 0)), np.zeros(0))
            return cls(point, point[:0], np.zeros((1, 0), dtype=bool), None, arithmetic)
        at_upper = (np.arange(2**d)[:, None] >> np.arange(d)) & 1 == 1  # (2^d, d)
        corners = np.where(at_upper, box.upper, box.lower)
        sides = np.vstack([np.eye(d), -np.eye(d)])
        offsets = np.concatenate([-box.lower, box.upper])
        rows = [arithmetic.lift([side], [offset])[0] for side, offset in zip(sides, offsets, strict=True)]
        return cls(
            points=np.vstack([arithmetic.lift(np.zeros((d, 0)), corner).T for corner in corners]),
            rows=np.array(rows),
            incidence=np.hstack([~at_upper, at_upper]),
            box=box,
            arithmetic=arithmetic,
        )

    @property
    def dimension(self) -> int:
        return self.points.shape[1] - 1

    @property
    def vertices(self) -> np.ndarray:
        """``(k, d)``: floats, or Fractions in exact arithmetic."""
        ratio, shape = self.arithmetic.ratio, (len(self.points), self.dimension)
        return np.array([ratio(v, point[-1]) for point in self.points for v in point[:-1]]).reshape(shape)

    @property
    def cut_rows(self) -> np.ndarray:
        """Half-spaces beyond the box, ``row @ (α, 1) ≥ 0``, in floats: as they are, or rounded from integers."""
        rows = self.rows[2 * self.dimension :]
        if not self.arithmetic.exact:
            return rows
        scaled = [self.arithmetic.floats(row, max(abs(v) for v in row[:-1])) for row in rows]
        return np.array(scaled).reshape(rows.shape)

    @cached_property
    def reach(self) -> np.ndarray:
        """The largest ``|(α, 1)|`` in the box."""
        box = self.box
        return np.append(np.maximum(np.abs(box.lower), np.abs(box.upper)), 1.0) if box is not None else np.ones(1)

    def signs(self, rows: np.ndarray) -> np.ndarray:
        """Signs −1, 0, 1 of affine functions ``rows (m, d + 1)`` at the vertices: ``(k, m)``."""
        return self.arithmetic.signs(rows, self.points, self.reach)

    def box_maximum(self, rows: np.ndarray) -> np.ndarray:
        """Sound upper bounds of the affine functions ``rows (m, d + 1)`` over the box alone, in floats."""
        value = rows[:, -1]
        if self.box is not None:
            value = np.maximum(rows[:, :-1] * self.box.lower, rows[:, :-1] * self.box.upper).sum(axis=1) + value
        return value + dot_error(rows.shape[1], np.abs(rows) @ self.reach)

    def split(self, row: np.ndarray) -> tuple[VertexPolytope, VertexPolytope]:
        """The part with ``row @ (α, 1) ≥ 0`` and the part with ``≤ 0``, for a plane with vertices on either side.

        Vertices on the plane belong to both parts, and so do the points where edges cross it. Every point of the
        polytope satisfies one of the two half-spaces, whatever rounding did to row or vertices.
        """
        row = self.arithmetic.plane(row)
        signs = self.signs(row[None])[:, 0]
        upper, lower = self._edges(np.flatnonzero(signs > 0), np.flatnonzero(signs < 0))
        values = self.points @ row
        # On the edge from u to v the value is zero at value(u) v − value(v) u (homogeneous points).
        crossing = values[upper, None] * self.points[lower] - values[lower, None] * self.points[upper]
        on = np.column_stack([self.incidence, signs == 0])
        on_crossing = np.column_stack([self.incidence[upper] & self.incidence[lower], np.ones(len(upper), dtype=bool)])
        points = np.vstack([self.points, self.arithmetic.normalised(crossing)])
        incidence, side = np.vstack([on, on_crossing]), np.append(signs, np.zeros(len(upper)))
        above, below = side >= 0, side <= 0
        return (
            replace(self, points=points[above], incidence=incidence[above], rows=np.vstack([self.rows, row])),
            replace(self, points=points[below], incidence=incidence[below], rows=np.vstack([self.rows, -row])),
        )

    def _edges(self, above: np.ndarray, below: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Pairs (vertex above, vertex below) that an edge joins: the borders through both have rank d − 1.

        To count those borders would be right for simple polytopes only: three planes may share a line.
        """
        counts = self.incidence[above].astype(int) @ self.incidence[below].T.astype(int)
        pairs = []
        for i, j in np.argwhere(counts >= self.dimension - 1):
            common = self.incidence[above[i]] & self.incidence[below[j]]
            if self.arithmetic.rank(self.rows[common, :-1]) >= self.dimension - 1:
                pairs.append((above[i], below[j]))
        upper, lower = np.array(pairs, dtype=int).reshape(-1, 2).T
        return upper, lower

    def clip(self, row: np.ndarray) -> VertexPolytope | None:
        """The part with ``row @ (α, 1) ≥ 0``, possibly a face only; None if it is proved empty."""
        signs = self.signs(row[None])[:, 0]
        if not (signs < 0).any():
            return self
        if (signs > 0).any():
            return self.split(row)[0]
        on = signs == 0
        if on.any():
            incidence = np.column_stack([self.incidence, on])[on]
            return replace(self, points=self.points[on], rows=np.vstack([self.rows, row]), incidence=incidence)
        # Float vertices alone prove nothing: without a proof the polytope is kept whole.
        return None if self.arithmetic.exact or self._proved_maximum(row) < 0 else self

    def maximum(self, form: np.ndarray) -> tuple[float | Fraction, int]:
        """The largest value of an affine function, and a vertex where it is.

        Parameters
        ----------
        form : (2, d + 1) array
            The function and the constant 1, lifted alike.

        Returns
        -------
        value : Fraction or float
            Exact over integers. Over floats a proved upper bound of the maximum over all points that satisfy the
            half-spaces, whatever the vertices are worth.
        vertex : int
        """
        numerators, denominators = self.points @ form[0], self.points @ form[1]
        values = [self.arithmetic.ratio(a, b) for a, b in zip(numerators, denominators, strict=True)]
        vertex = max(range(len(values)), key=values.__getitem__)
        return (values[vertex] if self.arithmetic.exact else self._proved_maximum(form[0])), vertex

    def _proved_maximum(self, row: np.ndarray) -> float:
        """Upper bound of ``row @ (α, 1)`` over the half-spaces, from floats, by weak duality.

        A vertex is a maximum because ``row`` is a combination, with multipliers ≥ 0, of the borders through it;
        :func:`nnequiv.lp.safe_upper` makes a proof of any multipliers. Where they leave a gap (borders that meet at
        a tiny angle need huge multipliers, and those round), the same half-spaces are cut from the box over integers.
        """
        d = self.dimension
        if d == 0 or not np.isfinite(row).all():
            return float(row[-1]) if d == 0 else np.inf  # an overflow proves nothing
        values = self.points @ row
        normals, cuts = -self.rows[:, :-1], slice(2 * d, None)  # safe_upper knows the sides of the box by itself
        tight = np.flatnonzero(self.incidence[np.argmax(values)])
        multipliers = np.zeros(len(self.rows))
        multipliers[tight] = _non_negative_solution(normals[tight].T, row[:-1])
        lower, upper = self.box.lower, self.box.upper
        bound = safe_upper(row[:-1], normals[cuts], self.rows[cuts, -1], lower, upper, multipliers[cuts])
        bound += float(row[-1])
        bound += 4 * UNIT * (abs(bound) + abs(float(row[-1])))
        if bound <= values.max() + PLANE_TOL * (np.abs(row) @ self.reach):
            return bound
        if self._over_integers is None:
            return -np.inf
        return min(bound, rounded_up(self._over_integers.maximum(Integers().lift([row[:-1]], [row[-1]]))[0]))

    @cached_property
    def _over_integers(self) -> VertexPolytope | None:
        """The same half-spaces, exactly; None if they have no point in common."""
        exact = VertexPolytope.from_box(self.box, Integers())
        for row in self.rows[2 * self.dimension :]:
            exact = exact and exact.clip(Integers().lift([row[:-1]], [row[-1]])[0])
        return exact


def _non_negative_solution(matrix: np.ndarray, target: np.ndarray) -> np.ndarray:
    """``x ≥ 0`` with ``matrix @ x`` nearest to ``target``; zeros if the solver gives up, which only proves less."""
    try:
        return nnls(matrix, target)[0] if matrix.size else np.zeros(matrix.shape[1])
    except RuntimeError:
        return np.zeros(matrix.shape[1])
