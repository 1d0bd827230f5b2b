"""Where a part of the work stands, between two steps of a walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.reach.drift import Columns
from nnequiv.reach.plan import Plan


@dataclass(frozen=True, eq=False)
class State:
    """Where a part stands.

    ``step``: the next one. ``neurons`` (columns,): of the values in work. ``values``: what is proved about all neurons
    of that step, after ReLU if there is one; ``outputs``: about the outputs so far. ``bisections``: how many planes made
    the part; if any, ``lower, upper`` (d,) are its own box, else its boxes are whole.
    """

    step: int
    neurons: np.ndarray
    values: Columns
    outputs: Columns
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    bisections: int = 0
    near_misses: bool = False


def part_box(plan: Plan, state: State, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Homes of a part, and the lower and upper bounds (homes, d) of its own boxes."""
    homes = np.unique(rows[:, plan.d]).astype(int)
    if state.bisections:
        return homes, state.lower[None], state.upper[None]
    return homes, plan.lower[homes], plan.upper[homes]
