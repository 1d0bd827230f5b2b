"""A soft limit on the memory of a call, as the budget of its engine."""

from __future__ import annotations

from dataclasses import replace

#: MB that Python takes with NumPy, SciPy and cvxpy loaded. A number, not a measurement: the budget decides into which
#: parts the work is cut, and these must be the same when a checkpoint is taken up again.
PROCESS = 130.0

#: Of the rest, the share that engines get as their budget; the other is for what they hold for a moment.
SHARE = 0.6


def limited(engine, memory_limit: float | None):
    """The engine with a budget that keeps the process below ``memory_limit`` MB.

    Engines without a budget stay as they are: "star" and "vertices" hold one path of their tree.

    >>> from nnequiv.reach.skeleton import Skeleton
    >>> limited(Skeleton(), 630.0).memory
    300.0
    """
    if memory_limit is None:
        return engine
    check_limit(memory_limit)
    return replace(engine, memory=SHARE * (memory_limit - PROCESS)) if hasattr(engine, "memory") else engine


def check_limit(memory_limit: float) -> None:
    """Refuse a limit that Python alone exceeds."""
    least = PROCESS + 20
    if not memory_limit > least:
        raise ValueError(f"memory_limit is {memory_limit} MB: it must be above {least:g}, {PROCESS:g} are Python's own")
