"""The points at which a last layer is measured: vertices of the pieces, and witnesses.

With g's hidden layers fixed, the pieces of ``f − g`` do not move, whatever the last layer. So their vertices are listed
once, with f's outputs and g's last hidden values (its *features*), and any last layer is measured by one product.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nnequiv.control import Control
from nnequiv.network import Layer, Network
from nnequiv.reach.engine import InputSet
from nnequiv.reach.skeleton import Skeleton
from nnequiv.rounding import evaluate_with_error
from nnequiv.sets import Box
from nnequiv.tolerances import WITNESS_SHARES

#: Numbers kept at most: beyond, the last layer is found from witnesses alone.
MOST_NUMBERS = 100_000_000


def features_of(g: Network) -> Network:
    """g up to what enters its last layer, as a network: the ReLU of the last hidden layer included.

    Its last layer is the identity, so that the ReLU before it still is a hidden one.

    >>> g = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[3.0, 4.0]], [0.0])])
    >>> features_of(g).evaluate([-2.0])
    array([0., 2.])
    """
    width = g.layers[-1].n_in
    return Network([*g.hidden, Layer(np.eye(width), np.zeros(width))])


class Points:
    """Points of the input sets, with f's outputs and g's features there.

    Attributes
    ----------
    home : (k,) int array
        The number of each point's input set.
    outputs : (k, m) array
        f's outputs (none where there is no f); close to the true ones, and bounded by :meth:`exact` alone.
    features : (k, width + 1) array
        g's features and a 1, what the bias multiplies.
    """

    def __init__(self, partners: Sequence[Network], g: Network, input_sets: Sequence[InputSet]):
        self.networks = (*partners, features_of(g))
        self.input_sets = input_sets
        self.free = [input_set.free for input_set in input_sets]
        self.home = np.zeros(0, dtype=int)
        self._position = np.zeros((0, max(len(free) for free in self.free)))  # free inputs, then zeros
        self._n_outputs = sum(network.n_outputs for network in partners)
        self.outputs = np.zeros((0, self._n_outputs))
        self.features = np.zeros((0, g.layers[-1].n_in + 1))

    def __len__(self) -> int:
        return len(self.home)

    def add(self, home: np.ndarray, points: np.ndarray) -> None:
        """Add points ``(k, n)`` of the input sets ``home`` (k,)."""
        if not len(home):
            return
        stacked = np.hstack([network.evaluate(points) for network in self.networks])
        positions = np.zeros((len(home), self._position.shape[1]))
        for row, (number, point) in enumerate(zip(home, points, strict=True)):
            positions[row, : len(self.free[number])] = point[self.free[number]]
        self._append([np.asarray(home, dtype=int)], [positions], [stacked])

    def add_middles(self) -> None:
        """A point of each input set, so that none is forgotten: the middle of a box, an inner point of a polytope."""
        middle = [s.center if isinstance(s, Box) else s.inner_point() for s in self.input_sets]
        self.add(np.arange(len(middle)), np.array(middle))

    def add_vertices(self, skeleton: Skeleton, control: Control) -> bool:
        """Add the vertices of all pieces; False, and nothing is added, if they are too many."""
        homes, positions, stacked, numbers = [], [], [], 0
        for home, position, outputs in skeleton.vertices(self.networks, self.input_sets, control):
            control.check(vertices=numbers)
            numbers += outputs.size + position.size
            if numbers > MOST_NUMBERS:
                return False
            padded = np.zeros((len(home), self._position.shape[1]))
            padded[:, : position.shape[1]] = position
            homes.append(home)
            positions.append(padded)
            stacked.append(outputs)
        if homes:
            self._append(homes, positions, stacked)
        return True

    def _append(self, homes, positions, stacked) -> None:
        outputs = [values[:, : self._n_outputs] for values in stacked]
        # A feature is a ReLU: its vertices may leave zero by rounding.
        features = [np.column_stack([values[:, self._n_outputs :], np.ones(len(values))]) for values in stacked]
        self.home = np.concatenate([self.home, *homes])
        self._position = np.vstack([self._position, *positions])
        self.outputs = np.vstack([self.outputs, *outputs])
        self.features = np.vstack([self.features, *features])

    def inside(self, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The chosen points ``(k, n)``, or ones close by that lie in their input sets exactly; and whether they do."""
        points, held = np.zeros((len(chosen), self.networks[0].n_inputs)), np.ones(len(chosen), dtype=bool)
        for row, index in enumerate(chosen):
            number = self.home[index]
            input_set, free = self.input_sets[number], self.free[number]
            position = self._position[index, : len(free)]
            middle = None
            for share in WITNESS_SHARES if len(input_set.cuts[1]) else (0.0,):
                if share:
                    middle = self._middle(number) if middle is None else middle
                    position = self._position[index, : len(free)] * (1 - share) + share * middle
                points[row] = input_set.box.lower
                points[row, free] = position
                points[row] = input_set.box.clip(points[row])
                held[row] = input_set.contains(points[row])
                if held[row]:
                    break
        return points, held

    def doubled(self, among: np.ndarray) -> np.ndarray:
        """Which of some features (and the 1), bool ``(width + 1,)``, have the weights and bias of an earlier one."""
        layers, result = self.networks[-1].layers, np.zeros(len(among), dtype=bool)
        chosen = np.flatnonzero(among[:-1])
        if len(layers) > 1 and len(chosen):
            rows = np.column_stack([layers[-2].weight, layers[-2].bias])[chosen] + 0.0  # no negative zeros
            result[np.delete(chosen, np.unique(rows, axis=0, return_index=True)[1])] = True
        return result

    def _middle(self, number: int) -> np.ndarray:
        return self._position[self.home == number, : len(self.free[number])].mean(axis=0)

    def exact(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Features and a 1 at points ``(k, n)``, with proved rounding errors: two ``(k, width + 1)`` arrays.

        A neuron that is proved to be inactive at a point is 0 there, with no error at all.
        """
        if len(self.networks[-1].layers) == 1:
            values, errors = points, np.zeros(points.shape)
        else:
            values, errors = evaluate_with_error(Network(self.networks[-1].hidden), points)
            errors = np.where(values < -errors, 0.0, errors)
            values = np.maximum(values, 0.0)
        ones = np.ones((len(points), 1))
        return np.hstack([values, ones]), np.hstack([errors, 0.0 * ones])
