"""How many vertices a part may have: a memory budget, and what earlier parts taught about later steps.

Nothing here touches a result, only into which parts the work is cut.
"""

from __future__ import annotations

import numpy as np

from nnequiv.reach.skeleton.plan import Plan

#: Of the memory budget for parts at their cap; cuts need room on top.
SHARE = 0.64
#: Of a layer's neurons that are not negative everywhere in a part, until the first part shows how many.
KEPT = 0.6


class Budget:
    """``memory``: of all arrays, in MB.

    Attributes
    ----------
    growth : (steps + 1,) array
        By how much each step multiplies the vertices.
    widths : list of steps numbers
        How many columns rows have in each step.
    """

    def __init__(self, plan: Plan, memory: float):
        self.d, self.memory = plan.d, memory
        self.growth, self.widths = _expected_growth(plan), _expected_widths(plan)

    def cap(self, step: int, width: int) -> float:
        """Vertices a part of this row width may have before a step."""
        d, width = self.d, max(width, self.widths[min(step, len(self.widths) - 1)])
        # Bytes: rows in two buffers and in parts put aside, of which there are more if layers are wide; edges.
        vertex = (2.2 + width / 30) * 8 * (width + 2) + 1.5 * d * (40 + 2 * (d - 1))
        return SHARE * self.memory * 1e6 / vertex

    def learn_growth(self, step: int, grown: float) -> None:
        self.growth[step] = (self.growth[step] + grown) / 2

    def learn_width(self, step: int, width: int) -> None:
        self.widths[step] = width


def _expected_growth(plan: Plan) -> np.ndarray:
    """By how much each step multiplies the vertices if m planes in general position have about m^d, (steps + 1,)."""
    new = [0 if step.last else len(step.bias) for step in plan.steps] + [len(plan.questions.offsets)]
    planes = np.cumsum([1, *new])
    return (planes[1:] / planes[:-1]) ** float(plan.d)


def _expected_widths(plan: Plan) -> list[float]:
    """Columns of the rows in each step if as many neurons as usual are negative everywhere in a part, (steps,)."""
    widths, base = [], plan.d + 2
    for step in plan.steps:
        widths.append(base + len(step.bias) * (1.0 if step.last else KEPT))
        base += len(step.bias) if step.last else 0
    return widths
