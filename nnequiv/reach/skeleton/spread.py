"""All leaves of an exploration entered in a tally: here, or in parts by other processes."""

from __future__ import annotations

from concurrent.futures import Executor, Future, as_completed
from dataclasses import replace

from nnequiv.control import Control, Stopped
from nnequiv.reach.skeleton.exploration import Exploration
from nnequiv.reach.skeleton.tally import Tally, record


def enter_all(search: Exploration, tally: Tally, objectives, input_sets, control: Control, threshold) -> None:
    """Enter every leaf in the tally.

    Raises
    ------
    Stopped
        When the time is up, or (for no reason) when the threshold of a single input set is passed.
    """
    for leaf, plan in search.leaves(control):
        record(tally, leaf, plan, objectives, input_sets)
        if len(input_sets) == 1:
            control.check(lower=tally.lower[0], pieces=int(tally.pieces[0]), left=len(search.walk.stack))
            if threshold is not None and tally.lower[0] > threshold:
                search.walk.state = None  # this leaf is entered
                raise Stopped("")


def spread(
    search: Exploration,
    tally: Tally,
    objectives,
    input_sets,
    control: Control,
    threshold: float | None,
    executor: Executor,
    parts: int,
) -> None:
    """Divide the one job into parts and hand them to the executor; what fails there stays with ``search``."""
    walk = search.begin()
    if walk is None or not walk.stack:
        return
    walk.spread(parts, control)
    tasks: dict[Future, Exploration] = {}
    try:
        while walk.stack:
            task = replace(search, todo=[], failed=[], walk=walk.with_stack([walk.stack[-1]]))
            limit = None if control.time_limit is None else control.remaining
            tasks[executor.submit(_run, task, objectives, input_sets, limit, threshold)] = task
            walk.stack.pop()
        stopped = _collect(tasks, search, tally, control, threshold)
    except (Stopped, KeyboardInterrupt):
        for future, task in tasks.items():  # whatever has not reported is unfinished
            future.cancel()
            search.failed += task.as_jobs()
        raise
    if stopped is not None:
        raise Stopped(stopped)


def _collect(tasks: dict[Future, Exploration], search: Exploration, tally: Tally, control: Control, threshold):
    """Enter results as they come, and take them out of ``tasks``; why a task stopped, or None."""
    stopped = None
    for future in as_completed(list(tasks)):
        part, failed, reason = future.result()
        tally.add(part)
        search.failed += failed
        del tasks[future]
        if reason is not None:
            stopped = reason
        control.check(lower=tally.lower[0], pieces=int(tally.pieces[0]), left=len(tasks))
        if threshold is not None and tally.lower[0] > threshold:
            raise Stopped("")
    return stopped


def _run(task: Exploration, objectives, input_sets, time_limit: float | None, threshold):
    """In another process: the tally of a part, the jobs left undone in it, and why it stopped (None if it did not)."""
    tally, reason = Tally.empty(len(input_sets)), None
    try:
        enter_all(task, tally, objectives, input_sets, Control(time_limit=time_limit), threshold)
    except Stopped as stop:
        reason = str(stop)
    return tally, task.as_jobs(), reason
