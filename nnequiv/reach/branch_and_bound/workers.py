"""Spreading a search over an executor: groups of open parts go out, what is left of them comes back.

A task takes a group of open parts and the best witness known when it is sent, searches on for a moment, and returns its
witness, what it closed and the parts still open. So new witnesses spread within moments, and an idle worker gets parts
of the busy ones. A part that is out keeps its bound here until its task has reported: a time limit, Ctrl-C or a worker
that dies can cost time, never truth.
"""

from __future__ import annotations

import time
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from copy import deepcopy

from nnequiv.reach.branch_and_bound.frontier import Frontier
from nnequiv.reach.branch_and_bound.search import Children, Search
from nnequiv.worker import lost_work

#: Seconds that a task searches before it reports, and that the caller waits before it looks at the clock.
MOMENT, LOOK = 0.25, 0.05

#: Open parts for each task before any is sent.
WORTH = 16


class Workers:
    """Tasks at an executor.

    Parameters
    ----------
    executor : concurrent.futures.Executor or None
        Where tasks go; None: nowhere, everything is done here.
    tasks : int
        How many are out at a time.
    """

    def __init__(self, executor: Executor | None, tasks: int):
        self.executor, self.tasks = executor, tasks
        self.failure = ""
        self._out: dict[Future, dict[str, Children]] = {}
        self._started = time.perf_counter()

    @property
    def left(self) -> int:
        """Parts that are out."""
        return sum(len(some.bound) for parts in self._out.values() for some in parts.values())

    @property
    def upper(self) -> float:
        """Largest bound of a part that is out; −inf if there is none."""
        bounds = [some.bound.max() for parts in self._out.values() for some in parts.values()]
        return float(max(bounds, default=-float("inf")))

    def with_those_out(self, frontier: Frontier) -> Frontier:
        """All open parts: those of the frontier, and those whose tasks have not reported. For a checkpoint."""
        if not self._out:
            return frontier
        whole = Frontier(frontier.splits, frontier.batch, frontier.memory)
        whole.queues = deepcopy(frontier.queues)
        for parts in self._out.values():
            whole.push(parts)
        return whole

    def advance(self, frontier: Frontier, search: Search, seconds: float) -> None:
        """One step of the search: a batch here while there is little to do, else send and collect tasks.

        ``seconds``: left of the caller's time.
        """
        if not self._out and not self._worth_it(frontier):
            frontier.advance(search)
            return
        self._send(frontier, search, min(seconds, MOMENT))
        self._collect(frontier, search)

    def close(self) -> None:
        """Leave alone what has not begun; what has ends within a moment."""
        for future in self._out:
            future.cancel()

    def _worth_it(self, frontier: Frontier) -> bool:
        young = time.perf_counter() - self._started < MOMENT
        return self.executor is not None and not young and len(frontier) >= WORTH * self.tasks

    def _send(self, frontier: Frontier, search: Search, seconds: float) -> None:
        while self.executor is not None and len(frontier) and len(self._out) < self.tasks:
            parts = frontier.take(-(-len(frontier) // (self.tasks - len(self._out))))
            task = Frontier(frontier.splits, frontier.batch, frontier.memory)
            task.push(parts)
            try:
                self._out[self.executor.submit(_search, search.branch(), task, seconds)] = parts
            except RuntimeError as failure:  # shut down, or broken
                self._give_up(failure)
                frontier.push(parts)

    def _collect(self, frontier: Frontier, search: Search) -> None:
        for future in wait(self._out, timeout=LOOK, return_when=FIRST_COMPLETED).done:
            failure = CancelledError() if future.cancelled() else future.exception()
            if failure is None:
                found, parts = future.result()
                search.join(found)
            elif isinstance(failure, Exception):
                self._give_up(failure)
                parts = self._out[future]
            else:
                raise failure  # Ctrl-C reached the worker
            frontier.push(parts)
            del self._out[future]

    def _give_up(self, failure: Exception) -> None:
        """The rest is done here."""
        self.executor, self.failure = None, lost_work(failure)


def _search(search: Search, frontier: Frontier, seconds: float) -> tuple[Search, dict[str, Children]]:
    """A task: search for a moment, at least one batch; what was found, and the parts left."""
    end = time.perf_counter() + seconds
    while len(frontier) and not search.decided:
        frontier.advance(search)
        if time.perf_counter() >= end:
            break
    return search, frontier.take(len(frontier))
