"""The fixed part of a skeleton run: which boxes, which layers in which order, which plane ids, which shifts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnequiv.network import Network
from nnequiv.reach.skeleton.complex import Planes
from nnequiv.relations import Objective
from nnequiv.sets import Box

#: Signs are read after shifting a neuron's bias up by one to two times this, relative to the sum of its terms: values
#: that only rounding keeps from zero get equal signs. Part of the drift, hence of ``upper``. Which of the shifts works
#: is a matter of luck with near-equal planes; after the first fails the pair check, the next is tried.
SHIFTS = (2.0**-46, 2.0**-40, 2.0**-50, 2.0**-30, 2.0**-20)
#: Values within this many shifts of zero count as zero when a plane coincides with existing ones.
NEAR = 4.0
#: Ids kept for the planes that bisect a part; a part that has used all is not bisected further.
BISECTIONS = 64
#: Keeps our random numbers apart from a caller's: a direction drawn like the weights is parallel to a plane of theirs.
STREAM = 0x5CE1E70


@dataclass(frozen=True, eq=False)
class Job:
    """Boxes of equal dimension to enumerate together.

    Attributes
    ----------
    homes : (k,) int array
        The caller's numbers of the boxes.
    boxes : tuple of k Box
    cuts : matrix (c, n) and bound (c,)
        Half-spaces ``matrix @ x ≤ bound`` beyond the box; only for a single box.
    artificial : (2 d,) bool array
        Sides of the box (lower and upper of input 0, 1, …) that only cut the work in parts.
    attempt : int
        Index into :data:`SHIFTS`.
    """

    homes: np.ndarray
    boxes: tuple[Box, ...]
    cuts: tuple[np.ndarray, np.ndarray]
    artificial: np.ndarray
    attempt: int = 0


@dataclass(frozen=True, eq=False)
class Questions:
    """What splits the final complex, so that goals are linear and guards decided on cells: rows on stacked outputs.

    ``rows`` (q, m) and ``offsets`` (q,). ``guards[o]``: rows that are the guards of objective o. ``ties[o]``: rows that
    are differences of its goals.
    """

    rows: np.ndarray
    offsets: np.ndarray
    guards: tuple[np.ndarray, ...]
    ties: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, objectives: Sequence[Objective], n_outputs: int) -> Questions:
        known: dict[bytes, int] = {}
        rows: list[np.ndarray] = []

        def add(row, offset, either_sign=False) -> int:
            entry = np.append(row, offset) + 0.0  # no negative zeros: equal rows have equal bytes
            if either_sign and (-entry + 0.0).tobytes() in known:
                return known[(-entry + 0.0).tobytes()]
            if entry.tobytes() not in known:
                known[entry.tobytes()] = len(rows)
                rows.append(entry)
            return known[entry.tobytes()]

        guards, ties = [], []
        for o in objectives:
            guards.append(np.array([add(*pair) for pair in zip(o.guard, o.guard_offset, strict=True)], dtype=int))
            differences = [
                add(o.goal[r] - o.goal[s], o.goal_offset[r] - o.goal_offset[s], either_sign=True)
                for r in range(len(o.goal))
                for s in range(r)
            ]
            ties.append(np.array(differences, dtype=int))
        table = np.array(rows).reshape(-1, n_outputs + 1)
        return cls(table[:, :-1], table[:, -1], tuple(guards), tuple(ties))


@dataclass(frozen=True, eq=False)
class Step:
    """One affine map of the walk. ``first``: of positions; ``last``: to outputs; ``plane``: of its first neuron."""

    weight: np.ndarray
    bias: np.ndarray
    first: bool
    last: bool
    plane: int


@dataclass(frozen=True, eq=False)
class Plan:
    """Everything a walk needs and never changes."""

    networks: tuple[Network, ...]
    questions: Questions
    job: Job
    seed: int = 0

    @cached_property
    def d(self) -> int:
        return len(self.job.boxes[0].free)

    @cached_property
    def lower(self) -> np.ndarray:
        """Lower bounds of the free inputs, (boxes, d)."""
        return np.array([box.lower[box.free] for box in self.job.boxes])

    @cached_property
    def upper(self) -> np.ndarray:
        return np.array([box.upper[box.free] for box in self.job.boxes])

    @cached_property
    def reach(self) -> np.ndarray:
        """Largest |x| of each free input over all boxes, (d,)."""
        return np.maximum(np.abs(self.lower), np.abs(self.upper)).max(axis=0)

    @property
    def first_bisection(self) -> int:
        return 2 * self.d + len(self.job.cuts[1])

    @property
    def first_neuron(self) -> int:
        return self.first_bisection + BISECTIONS

    @cached_property
    def n_planes(self) -> int:
        return self.first_neuron + sum(n.n_hidden for n in self.networks) + len(self.questions.offsets)

    @property
    def first_question(self) -> int:
        return self.n_planes - len(self.questions.offsets)

    @cached_property
    def steps(self) -> tuple[Step, ...]:
        steps, plane = [], self.first_neuron
        for network in self.networks:
            for index, layer in enumerate(network.layers):
                last = index == len(network.layers) - 1
                steps.append(Step(layer.weight, layer.bias, index == 0, last, plane))
                plane += 0 if last else layer.n_out
        return tuple(steps)

    @cached_property
    def planes(self) -> Planes:
        return Planes.random(self.first_neuron, self.n_planes - self.first_neuron, self.rng(0))

    @cached_property
    def artificial(self) -> np.ndarray:
        """Which planes only cut the work in parts, or belong to the question, (planes,) bool."""
        result = np.zeros(self.n_planes, dtype=bool)
        result[: 2 * self.d] = self.job.artificial
        result[self.first_bisection : self.first_neuron] = True
        result[self.first_question :] = True
        return result

    def rng(self, purpose: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, purpose, self.job.attempt, STREAM])

    def shift(self, step: int, size: np.ndarray) -> np.ndarray:
        """How far the biases of a step are raised: different for every neuron, so that equal planes stay apart."""
        return SHIFTS[self.job.attempt] * size * (1 + self.rng(step + 1).random(len(size)))

    def first_map(self, layer_weight: np.ndarray, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A first layer on the free inputs of each box: weights (boxes, n, d) and constants (boxes, n)."""
        free = np.array([box.free for box in self.job.boxes])
        fixed = np.array([np.where(box.lower < box.upper, 0.0, box.lower) for box in self.job.boxes])
        return layer_weight.T[free].transpose(0, 2, 1), fixed @ layer_weight.T + bias

    def full_points(self, positions: np.ndarray, home: np.ndarray) -> np.ndarray:
        """Positions of free inputs (k, d) in the boxes ``home`` (k,), as points (k, n) inside the boxes."""
        points = np.array([box.lower for box in self.job.boxes])[home]
        free = np.array([box.free for box in self.job.boxes])[home]
        np.put_along_axis(points, free, np.clip(positions, self.lower[home], self.upper[home]), axis=1)
        return points
