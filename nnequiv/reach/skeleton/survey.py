"""A survey in parts: counted by other processes, or kept in a checkpoint when they are done, or both.

The walk is divided as for any executor (:meth:`Walk.spread`), for a checkpoint always into the same parts. Each is then
walked alone, with a memory budget that has learned nothing from the others, so that its result does not depend on which
of them were walked before it or in an earlier run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, as_completed
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np

from nnequiv.control import Control, Stopped
from nnequiv.reach.engine import InputSet
from nnequiv.reach.skeleton.exploration import Exploration
from nnequiv.reach.skeleton.plan import Job
from nnequiv.reach.skeleton.tally import Tally, record
from nnequiv.relations import Objective

#: Parts of a survey that is kept: as much work is lost at most as one of them takes.
PARTS = 64


@dataclass(frozen=True)
class Survey:
    """What is counted and bounded over some leaves: pieces, and the upper bound of every objective."""

    objectives: Sequence[Objective]
    input_set: InputSet

    def of(self, search: Exploration, control: Control) -> tuple[np.ndarray, list[Job]]:
        """Pieces and upper bound by objective ``(objectives, 2)``, and the jobs that no shift could enumerate."""
        tallies = [Tally.empty(1) for _ in self.objectives]
        for leaf, plan in search.leaves(control):
            for tally, objective in zip(tallies, self.objectives, strict=True):
                record(tally, leaf, plan, [objective], [self.input_set])
        return np.array([[tally.pieces[0], tally.upper[0]] for tally in tallies], dtype=np.float64), search.failed

    def there(self, search: Exploration, seconds: float) -> tuple[np.ndarray, list[Job]]:
        """:meth:`of` in another process, with the time that is left."""
        return self.of(search, Control(time_limit=seconds))


def survey_parts(
    survey: Survey, search: Exploration, control: Control, executor: Executor | None, parts: int
) -> list[np.ndarray]:
    """What a survey gives on each part of the one job of ``search``; unchanged where a checkpoint has it.

    Parts that no shift could enumerate are added to ``search.failed`` and not kept: they are walked again.
    """
    walk = search.begin()
    if walk is None or not walk.stack:
        return []
    checkpoint = control.checkpoint
    walk.spread(parts if checkpoint is None else PARTS, control)
    kept = {} if checkpoint is None or checkpoint.saved is None else dict(checkpoint.saved[1])
    tasks = {}
    for number, part in enumerate(walk.stack):
        alone = walk.with_stack([part])
        alone.budget = deepcopy(walk.budget)
        tasks[f"part {number}"] = replace(search, todo=[], failed=[], walk=alone)
    found = [kept[name] for name in tasks if name in kept]
    try:
        left = {name: task for name, task in tasks.items() if name not in kept}
        for name, (values, failed) in _results(survey, left, control, executor):
            found.append(values)
            search.failed += failed
            if not failed:
                kept[name] = values
                control.keep(lambda: ({}, kept))
            control.check(pieces=int(sum(values[0, 0] for values in found)), left=len(tasks) - len(found))
    finally:  # stopped or not: what is in it is done
        control.keep(lambda: ({}, kept), last=True)
    walk.stack.clear()
    search.walk = None
    return found


def _results(
    survey: Survey, tasks: dict[str, Exploration], control: Control, executor: Executor | None
) -> Iterator[tuple[str, tuple[np.ndarray, list[Job]]]]:
    """The survey of each task as it is finished, here or at the executor; what the executor loses is done here."""
    if executor is None:
        yield from ((name, survey.of(task, control)) for name, task in tasks.items())
        return
    # A task in a thread of this process changes while it runs: what is done again begins from what it was.
    again = {name: replace(task, todo=task.as_jobs(), walk=None, failed=[]) for name, task in tasks.items()}
    out = {}
    try:
        for name, task in tasks.items():
            try:
                out[executor.submit(survey.there, task, control.remaining)] = name
            except RuntimeError:  # shut down, or broken
                break
        for future in as_completed(out):
            try:
                found = future.result()
            except Stopped:
                raise
            except Exception:  # a worker that died
                continue
            del again[out[future]]
            yield out[future], found
    finally:
        for future in out:
            future.cancel()
    for name, task in again.items():
        yield name, survey.of(task, control)
