"""Finishing small boxes exactly: all pieces of many boxes at once, by the engine ``skeleton``."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nnequiv.control import Control, Stopped
from nnequiv.reach.branch_and_bound.bounds import row_forms
from nnequiv.reach.branch_and_bound.input_splitting import finishable, halve, sign_parts, split_axis
from nnequiv.reach.branch_and_bound.search import Children, Search
from nnequiv.reach.intervals import center_and_radius
from nnequiv.reach.skeleton import Skeleton
from nnequiv.sets import Box

#: Steps of the skeleton for a batch, some milliseconds each: where near-equal planes are too much for it, smaller boxes
#: are the better way. Steps, not seconds: the search is the same on every machine, and after a checkpoint.
PATIENCE = 1000


@dataclass(frozen=True)
class Leaves:
    """Parts are boxes ``lower, upper (B, n)`` with bounds ``values (B, objectives)``; for linear objectives on boxes.

    The skeleton's bound exceeds its witness by what rounding and its shifts may have moved, about 1e-9 of the outputs.
    Where the question is finer than that, boxes around the maximum are halved until they have at most ``few`` unstable
    neurons, and :class:`.relu_splitting.ReluSplitting` has the last word.
    """

    few: int
    engine: Skeleton = Skeleton(memory=100.0)

    def expand(self, bound: np.ndarray, parts: dict, search: Search) -> dict[str, Children]:
        """List the pieces of a batch of boxes; what is left of those with a bound still above the target.

        Sound: a part is closed only by a proved bound, and children cover their parent.
        """
        question, lower, upper = search.question, parts["lower"], parts["upper"]
        boxes = [Box(*ends) for ends in zip(lower, upper, strict=True)]
        control = Control(progress=_limit(PATIENCE), interval=0.0)
        found = self.engine.maximise_each(question.networks, boxes, question.objectives, 0.0, control)
        if any(optimum.reason == "interrupted" for optimum in found):
            raise KeyboardInterrupt  # it was meant for the whole search
        search.nodes += len(bound)
        search.lps += sum(optimum.lps for optimum in found)
        witnesses = [optimum.witness for optimum in found if optimum.witness is not None]
        search.best.offer(np.reshape(witnesses, (-1, lower.shape[1])))
        values = np.fmin(parts["values"], np.array([optimum.upper for optimum in found])[:, None])
        alive = values > search.target
        search.close(values[~alive])
        left = np.flatnonzero(alive.any(axis=1))
        if not len(left) or search.decided:
            search.give_up(values[left])
            return {}
        lower, upper, values, alive = lower[left], upper[left], values[left], alive[left]
        center, radius = center_and_radius(lower, upper)
        forms = row_forms(question, center, radius)
        row = question.row[question.goals[values.argmax(axis=1), 0]]
        first, second, thin = halve(lower, upper, split_axis(forms, row, np.arange(len(left)), radius))
        last = thin | finishable(question.input_set.box, lower, upper, forms.unstable, self.few)
        halves = {
            "lower": np.concatenate([first[0][~last], second[0][~last]]),
            "upper": np.concatenate([first[1][~last], second[1][~last]]),
            "values": np.tile(values[~last], (2, 1)),
        }
        signs = sign_parts(question, lower, upper, values, alive & last[:, None])
        return {"leaves": Children(halves["values"].max(axis=1), halves), "signs": signs}


def _limit(steps: int) -> Callable:
    """Progress that stops an engine after so many steps."""
    count = itertools.count(1)

    def step(**_) -> None:
        if next(count) > steps:
            raise Stopped(f"more than {steps} steps")

    return step
