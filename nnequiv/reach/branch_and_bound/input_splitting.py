"""Splitting the input: boxes, bounded by zonotopes and halved where that helps the answer most."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from nnequiv.reach.branch_and_bound.bounds import RowForms, row_forms, smear
from nnequiv.reach.branch_and_bound.differential_zonotope import differential_rows
from nnequiv.reach.branch_and_bound.question import Question
from nnequiv.reach.branch_and_bound.search import Children, Search, outside
from nnequiv.reach.intervals import center_and_radius, interval_bound
from nnequiv.sets import Box


def deciding_term(question: Question, forms: RowForms, terms: np.ndarray, objective: np.ndarray, target: float):
    """Which goal or guard of each part's objective is nearest to closing the part, ``(B,)`` terms.

    A goal closes it when its bound falls to the target, a guard when its bound falls below 0; nearness is what is
    missing, over the width of the row. For a linear objective it is its one goal.
    """
    goals, guards = question.goals[objective], question.guards[objective]
    parts = np.arange(len(objective))[:, None]
    missing = terms[parts, goals] - (target if np.isfinite(target) else 0.0)
    both = np.concatenate([goals, guards], axis=1)
    missing = np.concatenate([missing, terms[parts, guards]], axis=1)
    real = both < len(question.row)
    row = question.row[np.where(real, both, 0)]
    width = forms.high[parts, row] - forms.low[parts, row]
    missing = np.where(real, missing, 0.0)
    nearness = np.where(real, missing / np.maximum(width, 1e-12 * np.abs(missing) + 1e-300), np.inf)
    return both[parts[:, 0], nearness.argmin(axis=1)]


def split_axis(forms: RowForms, row: np.ndarray, parts: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """The input to halve in each of some boxes ``(P,)``, for one row each; input 0 where all are fixed."""
    if not len(forms.free):
        return np.zeros(len(parts), dtype=int)
    score = smear(forms, row, parts) * (radius[:, forms.free] > 0)
    # Where no error generator reaches the row, only the widths are left to choose by.
    score = np.where(score.max(axis=1, keepdims=True) > 0, score, radius[:, forms.free])
    return forms.free[score.argmax(axis=1)]


def halve(lower: np.ndarray, upper: np.ndarray, axis: np.ndarray):
    """Both halves of boxes ``(B, n)`` across one axis each; and which boxes are too thin for floats to halve."""
    part = np.arange(len(lower))
    low, high = lower[part, axis], upper[part, axis]
    middle = low + 0.5 * (high - low)
    left, right = upper.copy(), lower.copy()
    left[part, axis], right[part, axis] = middle, middle
    return (lower, left), (right, upper), (middle <= low) | (middle >= high)


def sign_parts(question: Question, lower, upper, values: np.ndarray, chosen: np.ndarray) -> Children:
    """Chosen pairs of boxes and objectives, ``(B, O)`` with bounds ``values``, as parts with no sign fixed yet."""
    part, objective = np.nonzero(chosen)
    signs = np.zeros((len(part), sum(network.n_hidden for network in question.networks)), dtype=np.int8)
    fields = {"lower": lower[part], "upper": upper[part], "objective": objective, "signs": signs}
    return Children(values[part, objective], fields)


def finishable(box: Box, lower: np.ndarray, upper: np.ndarray, unstable: np.ndarray, few: float) -> np.ndarray:
    """Parts ``(B,)`` of a box to be finished exactly: ``few`` unstable neurons at most, one more a round of halvings.

    Where many planes meet in a face, boxes along it have all these neurons however small they are: to halve them
    without end would be to cover the face by ever more boxes.
    """
    width = (box.upper - box.lower)[box.free]
    with np.errstate(divide="ignore", over="ignore"):
        halvings = np.log2(width / (upper - lower)[:, box.free]).sum(axis=1)
    return unstable <= few + np.maximum(halvings, 0.0) / max(len(width), 1)


@dataclass(frozen=True)
class InputSplitting:
    """Parts are boxes ``lower, upper (B, n)``, for all objectives at once.

    ``few``: a part with no more unstable neurons than this is handed over, to be finished exactly (:func:`finishable`).
    ``differential``: the two networks are nearly equal; their difference is bounded as well.
    ``finish``: as what kind of parts they are handed over, "signs" or "leaves".
    """

    few: float
    differential: bool = False
    finish: str = "signs"

    def root(self, search: Search) -> Children:
        box = search.question.input_set.box
        highest = interval_bound(search.question.networks, box, search.question.objectives)
        return Children(np.array([highest]), {"lower": box.lower[None], "upper": box.upper[None]})

    def expand(self, bound: np.ndarray, parts: dict, search: Search) -> dict[str, Children]:
        """Bound a batch of boxes; returns smaller boxes, and parts to be finished by splitting ReLUs.

        Sound: a part is closed only by a proved bound, and children cover their parent.
        """
        question, lower, upper = search.question, parts["lower"], parts["upper"]
        center, radius = center_and_radius(lower, upper)
        search.nodes += len(bound)
        forms = self._forms(question, center, radius)
        terms = question.term_upper(forms.low, forms.high)
        values = np.fmin(question.objective_upper(terms), bound[:, None])  # (B, objectives); NaN says nothing
        values[outside(question, center, radius)] = -np.inf
        worst = values.argmax(axis=1)
        search.best.offer(self._candidates(question, forms, terms, worst, center, radius))
        target = search.target
        alive = values > target
        search.close(np.where(alive, -np.inf, values))
        kept = np.flatnonzero(alive.any(axis=1))
        if not len(kept) or search.decided:
            search.give_up(values[kept])
            return {}
        term = deciding_term(question, forms, terms, worst, target)[kept]
        axis = split_axis(forms, question.row[term], kept, radius[kept])
        first, second, thin = halve(lower[kept], upper[kept], axis)
        exact = thin | finishable(question.input_set.box, lower[kept], upper[kept], forms.unstable[kept], self.few)
        halves = [np.concatenate([a[~exact], b[~exact]]) for a, b in zip(first, second, strict=True)]
        highest = values.max(axis=1)[kept][~exact]
        boxes = Children(np.tile(highest, 2), {"lower": halves[0], "upper": halves[1]})
        if self.finish == "leaves":
            some = kept[exact]
            fields = {"lower": lower[some], "upper": upper[some], "values": values[some]}
            return {"boxes": boxes, "leaves": Children(values[some].max(axis=1), fields)}
        signs = sign_parts(question, lower[kept], upper[kept], values[kept], alive[kept] & exact[:, None])
        return {"boxes": boxes, "signs": signs}

    def _forms(self, question: Question, center: np.ndarray, radius: np.ndarray) -> RowForms:
        forms = row_forms(question, center, radius)
        if not self.differential:
            return forms
        low, high = differential_rows(question, forms, center, radius)
        # NaN says nothing.
        return replace(forms, low=np.fmax(forms.low, low), high=np.fmin(forms.high, high))

    @staticmethod
    def _candidates(question, forms, terms, worst, center, radius) -> np.ndarray:
        """Centres, and the corners where the linear part of the worst objective's lowest goal is largest."""
        part = np.arange(len(center))
        goals = question.goals[worst]
        goal = goals[part, terms[part[:, None], goals].argmin(axis=1)]
        slope = forms.generators[part, : len(forms.free), question.row[goal]] * question.sign[goal][:, None]
        corner = center.copy()
        corner[:, forms.free] += np.sign(slope) * radius[:, forms.free]
        return np.concatenate([center, corner])
