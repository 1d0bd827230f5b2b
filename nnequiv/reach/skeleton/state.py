"""Where a part of the work stands, between two steps of a walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nnequiv.reach.skeleton.drift import Columns
from nnequiv.reach.skeleton.plan import Plan


@dataclass(frozen=True, eq=False)
class Cuts:
    """Planes of a step still to cut: their columns among the values; and of all neurons (n,), what ReLU needs.

    ``near``: values up to this count as zero when a plane is skipped. ``slack``: ``near`` where that happened, else 0.
    ``low, high``: least and largest value.
    """

    columns: np.ndarray
    near: np.ndarray
    slack: np.ndarray
    low: np.ndarray
    high: np.ndarray


@dataclass(frozen=True, eq=False)
class State:
    """Where a part stands.

    ``step``: the next one. ``neurons`` (columns,): of the values in work. ``values``: what is proved about all neurons
    of that step; ``outputs``: about the outputs so far. ``cuts``: what is left of a layer whose values are written but
    whose planes are not all cut; None between layers, when ``values`` are those after ReLU. ``bisections``: how many
    planes made the part; if any, ``lower, upper`` (d,) are its own box, else its boxes are whole. ``shifts`` (q,): by
    how much the question's columns are raised, once they are written.
    """

    step: int
    neurons: np.ndarray
    values: Columns
    outputs: Columns
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    cuts: Cuts | None = None
    bisections: int = 0
    near_misses: bool = False
    shifts: np.ndarray | None = None


def part_box(plan: Plan, state: State, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Homes of a part, and the lower and upper bounds (homes, d) of its own boxes."""
    homes = np.unique(rows[:, plan.d]).astype(int)
    if state.bisections:
        return homes, state.lower[None], state.upper[None]
    return homes, plan.lower[homes], plan.upper[homes]
