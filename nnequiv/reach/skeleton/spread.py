"""All leaves of an exploration entered in a tally: here, or in parts by other processes."""

from __future__ import annotations

from concurrent.futures import Executor, Future, as_completed
from contextlib import suppress
from dataclasses import replace

from nnequiv.control import Control, Stopped
from nnequiv.reach.skeleton.exploration import Exploration
from nnequiv.reach.skeleton.plan import Job
from nnequiv.reach.skeleton.tally import Tally, record
from nnequiv.worker import lost_work


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
    """Divide the one job into parts and hand them to the executor; what it loses stays with ``search``.

    Raises
    ------
    Stopped, KeyboardInterrupt
        What has not reported until then is added to ``search.failed``, as if nothing of it were done: a task in a
        thread of this process changes while it runs, so it is taken down before it is sent.
    """
    walk = search.begin()
    if walk is None or not walk.stack:
        return
    walk.spread(parts, control)
    out: dict[Future, list[Job]] = {}
    try:
        with suppress(RuntimeError):  # shut down, or broken
            while walk.stack:
                task = replace(search, todo=[], failed=[], walk=walk.with_stack([walk.stack[-1]]))
                jobs = task.as_jobs()
                out[executor.submit(_run, task, objectives, input_sets, control.remaining, threshold)] = jobs
                walk.stack.pop()
        stopped = _collect(out, search, tally, control, threshold)
    except (Stopped, KeyboardInterrupt):
        for future, jobs in out.items():
            future.cancel()
            search.failed += jobs
        raise
    if stopped is not None:
        raise Stopped(stopped)


def _collect(out: dict[Future, list[Job]], search: Exploration, tally: Tally, control: Control, threshold):
    """Enter results as they come, and take them out of ``out``; why a task stopped, or None."""
    stopped = None
    for future in as_completed(list(out)):
        try:
            part, failed, reason = future.result()
        except Exception as failure:  # a worker that died
            search.todo += out.pop(future)
            text = lost_work(failure)
            tally.proof += [] if text in tally.proof else [text]
            continue
        tally.add(part)
        search.failed += failed
        del out[future]
        stopped = reason if reason is not None else stopped
        control.check(lower=tally.lower[0], pieces=int(tally.pieces[0]), left=len(out))
        if threshold is not None and tally.lower[0] > threshold:
            raise Stopped("")
    return stopped


def _run(task: Exploration, objectives, input_sets, seconds: float, threshold):
    """In another process: the tally of a part, the jobs left undone in it, and why it stopped (None if it did not)."""
    tally, reason = Tally.empty(len(input_sets)), None
    try:
        enter_all(task, tally, objectives, input_sets, Control(time_limit=seconds), threshold)
    except Stopped as stop:
        reason = str(stop)
    return tally, task.as_jobs(), reason
