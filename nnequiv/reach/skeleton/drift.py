"""Why a maximum over computed vertices is a proved bound: the error of every column of the skeleton's rows.

Notation. A part of the input set is subdivided into cells; cell P has the computed vertices v with positions
x_v, a sign for every neuron (its pattern p), and conv(P) is the convex hull of those positions. ``z^p`` is
the exact affine map of neuron or output z under pattern p, with the weights as given. ``s(v)`` is the number
stored in the row of v.

**1. Cover.** Every x of the (sub-)box lies in conv(P) of some cell P, exactly, whatever rounding did to
positions. The pair check keeps the complex simple (:mod:`nnequiv.reach.skeleton.complex`). So a face of P (the
connected vertices and edges of P on some of its planes) of codimension two in another face lies in exactly
two faces between them. Build for each face a chain (mod 2) inside the convex hull of its vertices, by
dimension: an edge is its segment; the chains of a face's facets form a cycle, for each of their facets occurs
twice, and a cycle in a convex set bounds a chain in it. Let C be the sum over all cells. Its boundary is the
sum over the faces on the box's sides: inner ones occur twice. A new vertex on a side ``x_i = c`` has ``x_i =
c + t (c − c) = c`` exactly, so the chains of a side stay in the side. By induction over the sides of all
dimensions, beginning with a corner, which is one vertex, they cover each side with degree one. So C covers
the box. When a complex is bisected at ``x_i = c``, new vertices are set to c exactly, and both halves are
such complexes of their own boxes.

**2. Half-spaces.** A polytope's row is cut as the plane of ``s = b − a x + shift``, the negative side
dropped. Had it been kept, with the new vertices of the common border also in its cells, 1. would hold for the
whole. But on those cells ``s ≤ 0`` at all vertices up to rounding, less than the shift; so ``b − a x < 0``
there, and no x of the polytope is in them.

**3. Signs.** In a cell where neuron k is positive, ``s_k(v) ≥ 0`` at all vertices, and ``≤ 0`` where it is
negative. At the layer's product this is how signs are read; and interpolation, ``a + t (b − a)`` with ``0 ≤ t
≤ 1``, between two numbers ≥ 0 (≤ 0) is ≥ 0 (≤ 0) in floats, because rounding is monotone. Where a plane was
skipped, the sign of a cell holds up to ``slack``: each cell has values beyond it on one side only
(``Complex._one_sign_a_cell``).

**4. Drift,** ``|s(v) − z^p(x_v)| ≤ drift`` for every vertex v of every cell with pattern p. A layer's product
adds its rounding and the deliberate shift of its bias. One interpolation errs by at most ``6 u`` times the
largest of the column, and moves the position by at most ``6 u`` times the largest coordinate, worth ``slope @
that`` in ``z^p`` with ``slope ≥ |∂z^p/∂x|``; drift is convex along the edge otherwise. n planes cut in a
layer nest at most n deep.

**5. Bend,** ``|z(x) − z^p(x)| ≤ bend`` for the true network z and every x in conv(P): ``z^p(x)`` is a convex
combination of ``z^p(v)``, so its sign is right up to drift and slack, and a ReLU taken by the wrong sign of a
number that small errs by no more.

So for every x in the box and every row of a goal: ``goal · y(x) ≤ max over v of goal · s(v) + |goal| · (drift
+ bend)``.

Sound: yes, rounding included; no step rests on a test in floats without its error. Vectors are over neurons,
not over columns. All sums of bounds are rounded up by :data:`UP`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nnequiv.rounding import UNDERFLOW, UNIT, dot_error

#: Covers the rounding of the bounds themselves: sums of at most 10⁶ non-negative terms.
UP = 1 + 1e-9
#: Rounding of one interpolation, per largest value of the column: three operations on numbers up to twice that.
INTERPOLATION = 6 * UNIT


@dataclass(frozen=True, eq=False)
class Columns:
    """What is proved about n columns of the rows: ``slope`` (n, d); ``drift, bend, size`` (n,), size ≥ |stored|."""

    slope: np.ndarray
    drift: np.ndarray
    bend: np.ndarray
    size: np.ndarray

    @classmethod
    def none(cls, d: int) -> Columns:
        return cls(np.zeros((0, d)), np.zeros(0), np.zeros(0), np.zeros(0))

    @property
    def error(self) -> np.ndarray:
        """How far a true value in a cell can be from what the stored values at its vertices say, ``(n,)``."""
        return (self.drift + self.bend) * UP

    def interpolated(self, times: int, reach: np.ndarray) -> Columns:
        """After at most ``times`` nested interpolations; ``reach`` (d,) ≥ |x|."""
        once = INTERPOLATION * (self.size + self.slope @ reach) + 8 * UNDERFLOW * (1 + self.slope.sum(axis=1))
        return replace(self, drift=(self.drift + times * once) * UP, size=self.size * (1 + 4 * UNIT * times))

    def relu(self, low: np.ndarray, high: np.ndarray, slack: np.ndarray) -> Columns:
        """Post-activations, given the least and the largest stored value (n,) and the slack of skipped planes (n,)."""
        dead, alive = high < 0, low >= 0
        bend = self.bend + self.drift + slack
        bend = np.where(alive, np.maximum(self.bend, self.drift - low), bend)
        bend = np.where(dead, np.maximum(0.0, high + self.drift + self.bend), bend)
        return Columns(
            slope=np.where(dead[:, None], 0.0, self.slope),
            drift=np.where(dead, 0.0, (self.drift + np.where(alive, 0.0, slack)) * UP),
            bend=bend * UP,
            size=np.where(dead, 0.0, np.minimum(np.maximum(high, 0.0) * UP, self.size)),
        )

    def affine(self, weight: np.ndarray, bias: np.ndarray) -> Columns:
        """Of ``weight @ columns + bias``, rounding included. ``size`` is the sum of the sizes of the terms."""
        weight = np.abs(weight)
        size = (weight @ self.size + np.abs(bias)) * UP
        return Columns(
            slope=weight @ self.slope * UP,
            drift=weight @ self.drift * UP + dot_error(weight.shape[1], size),
            bend=weight @ self.bend * UP,
            size=size,
        )

    def shifted(self, shift: np.ndarray) -> Columns:
        """After ``shift`` ≥ 0 was added to the bias."""
        return replace(self, drift=(self.drift + shift) * UP, size=(self.size + shift) * UP)

    def measured(self, low: np.ndarray, high: np.ndarray) -> Columns:
        """With the least and the largest stored value (n,), once they are known."""
        return replace(self, size=np.maximum(np.abs(low), np.abs(high)))

    def beside(self, other: Columns) -> Columns:
        return Columns(
            np.concatenate([self.slope, other.slope]),
            np.concatenate([self.drift, other.drift]),
            np.concatenate([self.bend, other.bend]),
            np.concatenate([self.size, other.size]),
        )
