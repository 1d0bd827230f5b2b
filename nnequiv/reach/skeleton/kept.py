"""A survey in parts, each kept in a checkpoint when it is done: what was counted before a kill is not counted again.

The walk is divided as for an executor (:meth:`Walk.spread`), always into the same parts. Each is then walked alone,
with a memory budget that has learned nothing from the others, so that its result does not depend on which of them were
walked before it or in an earlier run.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace

import numpy as np

from nnequiv.control import Control
from nnequiv.reach.skeleton.exploration import Exploration

#: Parts of a survey: as much work is lost at most as one of them takes.
PARTS = 64


def survey_parts(search: Exploration, control: Control, walked: Callable[[Exploration], np.ndarray]) -> np.ndarray:
    """What ``walked`` returns for each part of the one job of ``search``, (parts, …); unchanged where it is kept.

    Parts that no shift could enumerate are added to ``search.failed`` and not kept: they are walked again.
    """
    walk = search.begin()
    if walk is None or not walk.stack:
        return np.zeros((0, 0))
    walk.spread(PARTS, control)
    kept = {} if control.checkpoint.saved is None else dict(control.checkpoint.saved[1])
    found = []
    try:
        for number, part in enumerate(walk.stack):
            name = f"part {number}"
            if name in kept:
                found.append(kept[name])
                continue
            alone = walk.with_stack([part])
            alone.budget = deepcopy(walk.budget)
            task = replace(search, todo=[], failed=[], walk=alone)
            found.append(walked(task))
            search.failed += task.failed
            if not task.failed:
                kept[name] = found[-1]
                control.keep(lambda: ({}, kept))
    finally:  # stopped or not: what is in it is done
        control.keep(lambda: ({}, kept), last=True)
    walk.stack.clear()
    search.walk = None
    return np.array(found)
