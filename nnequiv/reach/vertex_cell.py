"""One piece on its way through the layers: a V-polytope of inputs, and the affine map there with its proved error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property

import numpy as np

from nnequiv.reach.engine import InputSet, Piece
from nnequiv.rounding import UNIT, dot_error, gamma
from nnequiv.sets import Box, Polytope, VertexPolytope
from nnequiv.sets.arithmetic import Floats, Integers


@dataclass(frozen=True, eq=False)
class Affine:
    """``weight @ y + bias``, and the same lifted (see :mod:`nnequiv.sets.arithmetic`)."""

    weight: np.ndarray
    bias: np.ndarray
    lifted: np.ndarray

    @classmethod
    def of(cls, weight: np.ndarray, bias: np.ndarray, arithmetic: Floats | Integers) -> Affine:
        return cls(weight, bias, arithmetic.lift(weight, bias))


@dataclass(frozen=True, eq=False)
class Cell:
    """A polytope of free inputs α, and what the layers up to now make of it: ``map @ (α, 1) ± error``.

    Attributes
    ----------
    polytope : VertexPolytope
    inputs : (n + 1, d + 1) array
        The network's input as a lifted map of α.
    map : (k + 1, d + 1) array
        Lifted map to the pre-activations of ``layer``, or to what a network gives.
    error : (k,) array
        Proved: the true values differ from ``map`` by at most this on the whole polytope. Zero in exact arithmetic.
    layer : int
    pattern : tuple of bool
    outputs : tuple of (map, error)
        Of the networks that are done.
    """

    polytope: VertexPolytope
    inputs: np.ndarray
    map: np.ndarray
    error: np.ndarray
    layer: int = -1
    pattern: tuple[bool, ...] = ()
    outputs: tuple[tuple[np.ndarray, np.ndarray], ...] = ()

    @property
    def exact(self) -> bool:
        return self.polytope.arithmetic.exact

    def affine(self, layer: Affine) -> Cell:
        """The image under an affine layer; its rounding goes into ``error``, as in :meth:`StarSet.affine_map`."""
        image = layer.lifted @ self.map
        error = np.zeros(len(layer.bias))
        if not self.exact:
            size = np.abs(layer.weight)
            magnitude = size @ (np.abs(self.map[:-1]) @ self.polytope.reach) + np.abs(layer.bias)
            length = layer.weight.shape[1] + len(self.polytope.reach)
            error = (1 + gamma(length)) * (size @ self.error) + dot_error(length, magnitude)
        return replace(self, map=image, error=error, layer=self.layer + 1)

    def enter(self, layer: Affine) -> Cell:
        """The first layer of a network, on the inputs."""
        return replace(self, map=self.inputs, error=np.zeros(len(self.inputs) - 1), layer=-1).affine(layer)

    def split(self, neuron: int) -> tuple[Cell, Cell]:
        above, below = self.polytope.split(self.map[neuron])
        return replace(self, polytope=above), replace(self, polytope=below)

    def relu(self, active: np.ndarray) -> Cell:
        """Pass on the active neurons, zero the others; what one leaves zero by on the wrong side joins its error."""
        error = self.error if self.exact else (self.error + self._violation(active)) * (1 + 4 * UNIT)
        kept = np.append(active, True)[:, None]
        return replace(self, map=self.map * kept, error=error, pattern=(*self.pattern, *active.tolist()))

    def _violation(self, active: np.ndarray) -> np.ndarray:
        """Proved: how far an active neuron falls below zero on the polytope, or an inactive one rises above it."""
        rows = np.where(active, -1.0, 1.0)[:, None] * self.map[:-1]  # should be ≤ 0
        one = self.map[-1]
        # Most neurons keep their sign on the whole box; only the others need a proof on this polytope.
        suspects = np.flatnonzero(~(self.polytope.box_maximum(rows) <= 0))  # NaN, after an overflow, is suspect too
        violation = np.zeros(len(rows))
        violation[suspects] = [max(self.polytope.maximum(np.stack([rows[k], one]))[0], 0.0) for k in suspects]
        return violation

    def finish_network(self, layers) -> Cell:
        """The map gives a network's outputs: keep it, and enter the next network on the same polytope."""
        done = replace(self, outputs=(*self.outputs, (self.map, self.error)))
        return done.enter(layers[len(done.outputs)][0]) if len(done.outputs) < len(layers) else done

    @cached_property
    def stacked(self) -> Cell:
        """The outputs of all networks side by side."""
        whole, error = self.outputs[0]
        for other, other_error in self.outputs[1:]:
            # Lifted maps carry their own positive scale: bring both to the product of the two.
            left, right = whole * other[-1, -1], other * whole[-1, -1]
            whole, error = np.vstack([left[:-1], right]), np.append(error, other_error)
        return replace(self, map=whole, error=error)

    def at_least_zero(self, k: int) -> np.ndarray:
        """A half-space that holds wherever the true value of row k is ≥ 0."""
        return self.map[k] if self.exact else _raised(self.map[k], self.error[k])

    def at_most(self, k: int, other: int) -> np.ndarray:
        """A half-space that holds wherever the computed value of row k is at most that of ``other``."""
        row = self.map[other] - self.map[k]
        if self.exact:
            return row
        return _raised(row, 2 * UNIT * ((np.abs(self.map[other]) + np.abs(self.map[k])) @ self.polytope.reach))

    def maximum(self, k: int) -> tuple[float | Fraction, int]:
        """The largest true value of row k on the polytope (over floats a proved bound), and a vertex where it is."""
        value, vertex = self.polytope.maximum(self.map[[k, -1]])
        if self.exact or value == -np.inf:  # −inf: proved to have no point
            return value, vertex
        value = value + self.error[k] + 4 * UNIT * (abs(value) + self.error[k])
        return (np.inf if np.isnan(value) else value), vertex  # an overflow proves nothing

    def input_at(self, alpha: np.ndarray) -> np.ndarray:
        """The network input ``(n,)`` that free inputs ``(d,)`` stand for, in the arithmetic of the cell."""
        image = self.inputs @ np.append(alpha.astype(self.inputs.dtype), 1)
        return np.array([self.polytope.arithmetic.ratio(v, image[-1]) for v in image[:-1]])

    def piece(self, box: Box) -> Piece:
        """The cell as a :class:`Piece` in the space of all inputs.

        An exact cell is rounded to floats here; the map's rounding is in the piece's ``error``, but its half-spaces and
        vertices are the nearest floats only.
        """
        stacked, polytope, free = self.stacked, self.polytope, box.free
        matrix, rows = np.zeros((len(stacked.error), box.dimension)), polytope.cut_rows
        forms = polytope.arithmetic.floats(stacked.map[:-1], stacked.map[-1, -1])
        cuts = np.zeros((len(rows), box.dimension))
        matrix[:, free], cuts[:, free] = forms[:, :-1], -rows[:, :-1]
        error = stacked.error + (dot_error(len(free), np.abs(forms) @ polytope.reach) if self.exact else 0.0)
        vertices = np.repeat(box.lower[None], len(polytope.points), axis=0)
        vertices[:, free] = polytope.vertices
        pattern = np.array(self.pattern, dtype=bool)
        return Piece(pattern, matrix, forms[:, -1], Polytope(cuts, rows[:, -1], box), error, vertices)


def _raised(row: np.ndarray, by: float) -> np.ndarray:
    """The affine function a little higher: by ``by`` and the rounding of this addition."""
    return np.append(row[:-1], row[-1] + by + 4 * UNIT * (abs(row[-1]) + by))


def input_cell(input_set: InputSet, arithmetic: Floats | Integers) -> Cell:
    """The input set itself. Fixed inputs are constants; α are the free ones.

    Raises
    ------
    ValueError
        If the set is proved empty.
    """
    box, (matrix, bound) = input_set.box, input_set.cuts
    free = box.free
    fixed = np.where(box.lower < box.upper, 0.0, box.lower)
    inputs = arithmetic.lift(np.eye(box.dimension)[:, free], fixed)
    start = VertexPolytope.from_box(Box(box.lower[free], box.upper[free]) if len(free) else None, arithmetic)
    cell = Cell(start, inputs, inputs, np.zeros(box.dimension))
    rows = cell.affine(Affine.of(-matrix, bound, arithmetic))  # bound − matrix @ x ≥ 0
    for k in range(len(bound)):
        polytope = cell.polytope.clip(rows.at_least_zero(k))
        if polytope is None:
            raise ValueError(f"the input set is empty: nothing of its box satisfies its first {k + 1} half-spaces")
        cell = replace(cell, polytope=polytope)
    return cell
