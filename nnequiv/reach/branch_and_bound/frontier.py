"""All open parts of a search, whichever way they are split: the loop's body, here and in a worker alike."""

from __future__ import annotations

import numpy as np

from nnequiv.reach.branch_and_bound.parts import Queue
from nnequiv.reach.branch_and_bound.search import Children, Search

#: In this order: boxes before what is finished from them.
KINDS = ("boxes", "pairs", "leaves", "signs")


class Frontier:
    """Open parts, a queue for each way of splitting.

    Parameters
    ----------
    splits : dict
        A way of splitting for each kind of parts that occurs: its ``expand(bound, parts, search)`` bounds a batch of
        parts, closes what it can, and returns :class:`.search.Children` by kind.
    batch : int
        Parts bounded at once.
    memory : float
        Bytes of parts of each kind before the search turns depth-first.
    """

    def __init__(self, splits: dict, batch: int, memory: float):
        self.splits, self.batch, self.memory = splits, batch, memory
        self.queues = {kind: Queue(memory) for kind in KINDS}

    def __len__(self) -> int:
        return sum(map(len, self.queues.values()))

    @property
    def upper(self) -> float:
        """Largest bound of an open part; −inf if there is none."""
        return max(queue.upper for queue in self.queues.values())

    def push(self, children: dict[str, Children | None]) -> None:
        for kind, some in children.items():
            if some is not None and len(some.bound):
                self.queues[kind].push(some.bound, some.fields)

    def take(self, count: int) -> dict[str, Children]:
        """Take out about ``count`` parts, of each kind its share with the largest bounds."""
        share = min(1.0, count / max(len(self), 1))
        wanted = {kind: int(np.ceil(share * len(queue))) for kind, queue in self.queues.items()}
        return {kind: Children(*self.queues[kind].pop(number)) for kind, number in wanted.items() if number}

    def advance(self, search: Search) -> None:
        """Expand the batch with the largest bounds."""
        # Finishing parts is worth its overhead when a batch is full, and gives the best witnesses.
        full = [kind for kind in ("signs", "leaves") if len(self.queues[kind]) >= self.batch]
        kind = next(kind for kind in (*full, *KINDS) if len(self.queues[kind]))
        bound, parts = self.queues[kind].pop(self.batch)
        alive = bound > search.target
        search.close(bound[~alive])
        if alive.any():
            parts = {field: values[alive] for field, values in parts.items()}
            self.push(self.splits[kind].expand(bound[alive], parts, search))
