"""What repair must reach, on every input set: a distance to f, a set of differences ``f − g``, or a margin of labels.

Each target is a list of linear rows on the stacked outputs ``[f(x), g(x)]`` (of g alone where there is no f); the
target is reached iff none of them is above ``threshold`` anywhere. So the engines bound it, the linear programs of
:mod:`nnequiv.repair.minimax` minimise it, and neither has to know which target it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from nnequiv.control import Control
from nnequiv.equivalence import check_question, evidence, max_discrepancies, maximise_each
from nnequiv.lp import HighspySolver, LPError, solve_scaled
from nnequiv.network import Network
from nnequiv.reach.choose import choose
from nnequiv.reach.engine import InputSet
from nnequiv.relations import Objective, discrepancy_objectives
from nnequiv.repair.result import Violation
from nnequiv.results import Answer, Asked
from nnequiv.sets import Box, Polytope

#: How much farther than its margin a label is pushed by a last layer that can push it at all: labels have no scale, so
#: any margin can be had once one can.
SPARE_MARGIN = 0.01


@dataclass(frozen=True, eq=False)
class Distance:
    """``|f_i − g_i| ≤ threshold`` in every output: the paper's target set, a box around 0."""

    f: Network
    threshold: float
    floor = 0.0  # no value is below it

    def __post_init__(self):
        check_target(self.threshold)

    @property
    def partners(self) -> tuple[Network, ...]:
        return (self.f,)

    @property
    def given(self) -> float:
        return self.threshold

    def kind(self, number: int) -> int:
        """Input sets of one kind have the same rows."""
        return 0

    def objectives(self, kind: int) -> list[Objective]:
        return discrepancy_objectives(self.f.n_outputs)

    def look(self, g: Network, input_sets: Sequence[InputSet], search: dict, time_limit) -> list[Answer]:
        """The largest value on each input set, proved."""
        return max_discrepancies(self.f, g, input_sets, **search, time_limit=time_limit)

    def missed(self, worst: float) -> str:
        return f"the discrepancy is up to {worst:.4g}, above the target {self.threshold:g}"

    @property
    def aim(self) -> float | np.ndarray:
        """The difference ``f − g`` that training aims at."""
        return 0.0


@dataclass(frozen=True, eq=False)
class Inside:
    """``f(x) − g(x)`` in a set O of differences, ``{d : matrix @ d ≤ bound}``; the value is how far a row leaves it."""

    f: Network
    given: Box | Polytope
    threshold = 0.0

    def __post_init__(self):
        if self.given.dimension != self.f.n_outputs:
            raise ValueError(
                f"the target set has dimension {self.given.dimension}, but the networks have {self.f.n_outputs} outputs"
            )

    @property
    def partners(self) -> tuple[Network, ...]:
        return (self.f,)

    @cached_property
    def rows(self) -> tuple[np.ndarray, np.ndarray]:
        """All rows of O, ``(r, outputs)`` and ``(r,)``: those of its box are written out."""
        given = self.given
        box = given if isinstance(given, Box) else given.within
        unit = np.eye(given.dimension)
        parts = [(unit, box.upper), (-unit, -box.lower)] if box is not None else []
        parts += [(given.matrix, given.bound)] if isinstance(given, Polytope) else []
        return np.vstack([matrix for matrix, _ in parts]), np.concatenate([bound for _, bound in parts])

    @cached_property
    def _deepest(self) -> tuple[float, np.ndarray]:
        """How deep in O a difference can be, in units of its rows (capped if O is unbounded), and the difference there.

        A guide for training and for the linear programs; nothing is proved by it.
        """
        matrix, bound = self.rows
        cap = float(np.abs(bound).max(initial=0.0)) or 1.0
        program = np.column_stack([matrix, np.ones(len(bound))])
        last = np.append(np.zeros(matrix.shape[1]), 1.0)
        free = np.full(matrix.shape[1], np.inf)
        try:
            solution = solve_scaled(
                HighspySolver(), last, program, bound, np.append(-free, -np.inf), np.append(free, cap)
            )
        except LPError:
            return cap, np.zeros(matrix.shape[1])
        return float(solution.point[-1]), solution.point[:-1]

    @property
    def floor(self) -> float:
        return -max(self._deepest[0], 0.0) * (1 + 1e-9)

    @property
    def aim(self) -> np.ndarray:
        """0 if it is in O, else the deepest point."""
        matrix, bound = self.rows
        return np.zeros(matrix.shape[1]) if (bound >= 0).all() else self._deepest[1]

    def kind(self, number: int) -> int:
        return 0

    def objectives(self, kind: int) -> list[Objective]:
        return [_linear(np.concatenate([row, -row]), -bound) for row, bound in zip(*self.rows, strict=True)]

    def look(self, g: Network, input_sets: Sequence[InputSet], search: dict, time_limit) -> list[Answer]:
        return largest_violations(self, g, input_sets, search, time_limit)

    def missed(self, worst: float) -> str:
        return f"f - g leaves the target set by up to {worst:.4g}"


@dataclass(frozen=True, eq=False)
class Labelled:
    """``g_label(x) ≥ g_j(x) + margin`` for every other output j, with a label for each input set; there is no f."""

    labels: tuple[int, ...]
    margin: float
    n_outputs: int
    threshold = 0.0
    partners = ()

    def __post_init__(self):
        check_target(self.margin)
        for number, label in enumerate(self.labels):
            if int(label) != label or not 0 <= label < self.n_outputs:
                raise ValueError(f"label {number} is {label}: it must be an output of g, 0 to {self.n_outputs - 1}")

    @property
    def given(self) -> float:
        return self.margin

    @property
    def floor(self) -> float:
        return -SPARE_MARGIN * (self.margin or 1.0)

    def kind(self, number: int) -> int:
        return int(self.labels[number])

    def objectives(self, kind: int) -> list[Objective]:
        unit = np.eye(self.n_outputs)
        return [_linear(unit[j] - unit[kind], self.margin, j) for j in range(self.n_outputs) if j != kind]

    def look(self, g: Network, input_sets: Sequence[InputSet], search: dict, time_limit) -> list[Answer]:
        return largest_violations(self, g, input_sets, search, time_limit)

    def missed(self, worst: float) -> str:
        return f"a label is kept by a margin of only {self.margin - worst:.4g}, below the target {self.margin:g}"


Target = Distance | Inside | Labelled


def target_of(f: Network | Sequence[int], g: Network, input_sets: Sequence[InputSet], target) -> Target:
    """The target that repair's arguments mean.

    Parameters
    ----------
    f : Network, or a label for each input set
    target : float, Box or Polytope
        A distance or a set of differences; with labels, the margin.
    """
    if isinstance(f, Network):
        return Inside(f, target) if isinstance(target, Box | Polytope) else Distance(f, float(target))
    labels = tuple(np.asarray(f).tolist()) if np.ndim(f) == 1 else ()
    if len(labels) != len(input_sets):
        raise ValueError(f"f is neither a Network nor one label for each input set: {len(input_sets)} are needed")
    if isinstance(target, Box | Polytope):
        raise ValueError("with labels the target is their margin, a number: a set of differences needs f")
    return Labelled(labels, float(target), g.n_outputs)


def check_target(target: float) -> None:
    """Refuse a target that no difference can be compared with."""
    if not (math.isfinite(target) and target >= 0):
        raise ValueError(f"target is {target}: it must be finite and at least 0")


def largest_violations(target: Target, g: Network, input_sets, search: dict, time_limit) -> list[Answer]:
    """The largest row of a target on each input set, from both sides. Sound: yes, by the engine's proof."""
    networks = (*target.partners, g)
    for input_set in input_sets:
        check_question(networks, input_set, outputs=True)
    engine, why = choose(search["engine"], networks, input_sets, "maximum")
    control = Control(None, time_limit, search["executor"])
    found: dict[int, Answer] = {}
    kinds = np.array([target.kind(k) for k in range(len(input_sets))])
    for kind in np.unique(kinds).tolist():
        chosen, objectives = np.flatnonzero(kinds == kind), target.objectives(kind)
        sets = [input_sets[k] for k in chosen]
        optima = maximise_each(engine, networks, sets, objectives, search["tolerance"], control)
        for k, (optimum, seconds) in zip(chosen, optima, strict=True):
            facts = evidence(optimum, objectives, engine, why, seconds, search["tolerance"])
            found[int(k)] = Violation(**facts, asked=Asked(networks[0], g, input_sets[k], target))
    return [found[k] for k in range(len(input_sets))]


def _linear(row: np.ndarray, offset: float, output: int | None = None) -> Objective:
    none = np.zeros((0, len(row)))
    return Objective(row[None], np.array([float(offset)]), none, np.zeros(0), output)
