"""Splitting ReLUs: one objective on one box, with some neurons' signs fixed, bounded by duality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.lp import HighspySolver, LPError
from nnequiv.reach.branch_and_bound.bounds import RowForms, row_forms, term_forms
from nnequiv.reach.branch_and_bound.differential import Pair
from nnequiv.reach.branch_and_bound.dual import Rows, dual_upper, input_rows, relu_rows
from nnequiv.reach.branch_and_bound.newton import multipliers
from nnequiv.reach.branch_and_bound.pair_rows import pair_rows
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.search import Children, Search, outside
from nnequiv.reach.intervals import center_and_radius
from nnequiv.rounding import gamma

#: Newton steps for a part that can still be split, and for one where every neuron is fixed.
STEPS, FINAL_STEPS = 12, 40

#: Numbers in the stacked matrices of one call: 64 MB of float64 each.
ENTRIES = 8_000_000


@dataclass(frozen=True, eq=False)
class _Program:
    """``max center + objective · e`` subject to rows, for P parts; no smaller value than ``least`` occurs on them."""

    center: np.ndarray
    objective: np.ndarray
    rows: Rows
    least: np.ndarray

    def without_empty(self, upper: np.ndarray) -> np.ndarray:
        """Upper bounds, −inf where they fall below every value there can be: no point satisfies all rows."""
        return np.where(upper < self.least, -np.inf, upper)


def neuron_of_generator(forms: RowForms) -> np.ndarray:
    """The hidden neuron (counted over all networks) behind each generator, −1 for inputs and padding, ``(B, K)``."""
    columns = [np.full((len(forms.center), len(forms.free)), -1)]
    neuron = 0
    for trace in forms.traces:
        for layer in trace.hidden:
            real = np.take_along_axis(layer.unstable, layer.index, axis=1)
            columns.append(np.where(real, layer.index + neuron, -1))
            neuron += layer.lower.shape[1]
    return np.concatenate(columns, axis=1)


def _inputs(forms: RowForms, center: np.ndarray, radius: np.ndarray, e: np.ndarray) -> np.ndarray:
    """The inputs that values ``e (P, d)`` of the free inputs' variables stand for."""
    points = center.copy()
    points[:, forms.free] += radius[:, forms.free] * e
    return points


def _program(question: Question, pair: Pair | None, forms: RowForms, parts, fields, center, radius, upper) -> _Program:
    """The linear program of chosen parts, in the zonotope's variables.

    Several goals: ``max t`` with ``t ≤ every goal`` and t in [least, upper], one more variable in [−1, 1].
    """
    objective = fields["objective"][parts]
    goals, guards = question.goals[objective], question.guards[objective]
    rows = relu_rows(forms, fields["signs"][parts], parts)
    if pair is not None:
        rows += pair_rows(forms, pair.lines_of(fields["signs"][parts])[0], parts)
    matrix, bound = question.input_set.cuts
    if len(bound):
        rows.append(input_rows(matrix, bound, center[parts], radius[parts], forms))
    if guards.shape[1]:
        middle, generators, error, real = term_forms(question, forms, parts, guards)
        rows.append(Rows.padded(-generators, middle + error, real))
    middle, generators, error, real = term_forms(question, forms, parts, goals)
    reach = (np.abs(generators).sum(axis=2) + error) * (1 + gamma(generators.shape[2] + 4))
    least = np.where(real, middle - reach - gamma(4) * np.abs(middle), np.inf).min(axis=1)
    if goals.shape[1] == 1:
        joined = Rows.join(rows) if rows else Rows(generators[:, :0], middle[:, :0])
        return _Program(middle[:, 0] + error[:, 0], generators[:, 0], joined, least)
    level, half = center_and_radius(np.minimum(least, upper[parts]), upper[parts])
    rows = [Rows(np.concatenate([r.matrix, np.zeros((*r.bound.shape, 1))], axis=2), r.bound) for r in rows]
    lift = np.concatenate([-generators, np.broadcast_to(half[:, None, None], (*real.shape, 1))], axis=2)
    slack = error + gamma(4) * (np.abs(middle) + np.abs(level)[:, None])
    rows.append(Rows.padded(lift, middle - level[:, None] + slack, real))
    last = np.zeros((len(parts), lift.shape[2]))
    last[:, -1] = half
    return _Program(level, last, Rows.join(rows), least)


@dataclass(frozen=True)
class ReluSplitting:
    """Parts are ``lower, upper (B, n)``, ``objective (B,)`` and ``signs (B, n_hidden)``: 1, −1, or 0 while free.

    ``pair``: bounds of the difference of two nearly equal networks on the whole input set, where they are worth using.
    """

    pair: Pair | None = None

    def expand(self, bound: np.ndarray, parts: dict, search: Search) -> dict[str, Children]:
        """Bound a batch of parts and split each that is left at the neuron whose error costs most.

        Sound: a part is closed only by a proved bound; the children's signs ``z ≥ 0`` and ``z ≤ 0`` cover the parent.
        """
        question = search.question
        center, radius = center_and_radius(parts["lower"], parts["upper"])
        search.nodes += len(bound)
        forms = row_forms(question, center, radius, parts["signs"])
        everything = question.objective_upper(question.term_upper(forms.low, forms.high))
        upper = np.fmin(everything[np.arange(len(bound)), parts["objective"]], bound)  # NaN says nothing
        upper[forms.infeasible | outside(question, center, radius)] = -np.inf
        neuron = neuron_of_generator(forms)
        free = (neuron >= 0).any(axis=1)
        choice = np.full(len(bound), -1)
        for steps, some in ((STEPS, free), (FINAL_STEPS, ~free)):
            chosen = np.flatnonzero(some & (upper > search.target))
            for chunk in self._chunks(chosen, forms):
                self._sharpen(search, forms, chunk, parts, (center, radius), upper, neuron, choice, steps)
        for part in np.flatnonzero((upper > search.target) & ~free) if forms.generators.shape[1] else ():
            self._finish(search, forms, np.array([part]), parts, (center, radius), upper)
        alive = upper > search.target
        search.close(upper[~alive])
        search.give_up(upper[alive & ~free])
        split = np.flatnonzero(alive & free)
        if not len(split) or search.decided:
            search.give_up(upper[split])
            return {}
        fields = {name: np.tile(values[split], (2, *[1] * (values.ndim - 1))) for name, values in parts.items()}
        first = np.arange(len(split))
        fields["signs"][first, choice[split]] = 1
        fields["signs"][first + len(split), choice[split]] = -1
        return {"signs": Children(np.tile(upper[split], 2), fields)}

    @staticmethod
    def _chunks(chosen: np.ndarray, forms: RowForms) -> list[np.ndarray]:
        width = forms.generators.shape[1]
        if not width:
            return []  # points: their bounds are exact up to rounding
        cut = max((sum(int(layer.cut.sum(1).max()) for t in forms.traces for layer in t.hidden)), 1)
        size = max(1, ENTRIES // (width * (2 * width + cut)))
        return [chosen[i : i + size] for i in range(0, len(chosen), size)]

    def _sharpen(self, search, forms, chunk, fields, box, upper, neuron, choice, steps) -> None:
        """Dual bounds of some parts, the witnesses their programs suggest, and the neuron to split."""
        center, radius = box
        n = len(forms.free)
        program = _program(search.question, self.pair, forms, chunk, fields, center, radius, upper)
        if program.rows.bound.shape[1]:
            weights, points = multipliers(program.objective, program.rows.matrix, program.rows.bound, steps)
            value = dual_upper(program.center, program.objective, program.rows, weights)
            upper[chunk] = np.fmin(upper[chunk], program.without_empty(value))
            residual = program.objective - (weights[:, None, :] @ program.rows.matrix)[:, 0]
        else:
            residual, points = program.objective, np.sign(program.objective)[None]
        # Where guards or half-spaces are tight at the optimum, rounding leaves them open: earlier iterates are inside.
        tight = search.question.guards.shape[1] or len(search.question.input_set.cuts[1])
        inputs = [*(points if tight else points[-1:])[:, :, :n], np.sign(residual[:, :n])]
        search.best.offer(np.concatenate([_inputs(forms, center[chunk], radius[chunk], e) for e in inputs]))
        count = neuron.shape[1]
        cost = np.abs(residual[:, :count]) + 0.05 * np.abs(program.objective[:, :count])
        choice[chunk] = neuron[chunk, np.where(neuron[chunk] >= 0, cost, -1.0).argmax(axis=1)]

    def _finish(self, search, forms, part, fields, box, upper) -> None:
        """One part with every neuron fixed, whose program the interior point left open: by the simplex method.

        Flat and nearly empty programs have no inner path to follow. The solver is not trusted: its multipliers give
        a bound like any others, and its point is a candidate.
        """
        center, radius = box
        program = _program(search.question, self.pair, forms, part, fields, center, radius, upper)
        matrix, bound = program.rows.matrix[0], program.rows.bound[0]
        ones = np.ones(matrix.shape[1])
        search.lps += 1
        try:
            solution = HighspySolver().solve(program.objective[0], matrix, bound, -ones, ones)
        except LPError:
            return
        weights = np.maximum(solution.multipliers, 0.0)[None]
        value = dual_upper(program.center, program.objective, program.rows, weights)
        upper[part] = np.fmin(upper[part], program.without_empty(value))
        if solution.feasible:
            e = np.clip(solution.point[None, : len(forms.free)], -1, 1)
            search.best.offer(_inputs(forms, center[part], radius[part], e))
