"""All leaves of some jobs: other shifts after :class:`Degenerate`, and an account of what is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np

from nnequiv.control import Control
from nnequiv.network import Network
from nnequiv.reach.skeleton.complex import Degenerate
from nnequiv.reach.skeleton.plan import SHIFTS, Job, Plan, Questions
from nnequiv.reach.skeleton.state import part_box
from nnequiv.reach.skeleton.walk import Leaf, Walk
from nnequiv.sets import Box


@dataclass(eq=False)
class Exploration:
    """Walks over jobs. ``todo``: jobs not begun; ``walk``: in work; ``failed``: every shift failed on these."""

    networks: tuple[Network, ...]
    questions: Questions
    memory: float
    seed: int
    todo: list[Job]
    walk: Walk | None = None
    failed: list[Job] = field(default_factory=list)

    def begin(self) -> Walk | None:
        """The next job's walk with its input sets on the stack; None if the shifts of its attempt failed."""
        plan = Plan(self.networks, self.questions, self.todo[-1], self.seed)
        walk = Walk(plan, self.memory)
        try:
            walk.start()
        except Degenerate:
            walk = None
        if walk is None:
            self._again(self.todo.pop())
            return None
        self.walk = walk
        self.todo.pop()  # only now: an interruption must not lose a job
        return walk

    def leaves(self, control: Control) -> Iterator[tuple[Leaf, Plan]]:
        """Every leaf, valid until the next. May raise Stopped; :meth:`unfinished` then says what is missing."""
        while self.todo or self.walk:
            if self.walk is None and self.begin() is None:
                continue
            try:
                for leaf in self.walk.leaves(control):
                    yield leaf, self.walk.plan
                self.walk = None
            except Degenerate:
                self._again(self._job_of(self.walk.boxes))
                self.walk.state = None

    def unfinished(self) -> list[tuple[int, Box]]:
        """Boxes that no leaf covers yet, with the caller's numbers."""
        return [pair for job in self.as_jobs() for pair in zip(job.homes.tolist(), job.boxes, strict=True)]

    def as_jobs(self) -> list[Job]:
        """All that no leaf covers yet."""
        jobs = [*self.todo, *self.failed]
        if self.walk is not None:
            parts = [part_box(self.walk.plan, state, part.rows) for state, part in self.walk.stack]
            parts += [self.walk.boxes] if self.walk.state is not None else []
            jobs += [self._job_of(boxes) for boxes in parts]
        return jobs

    def _again(self, job: Job) -> None:
        if job.attempt + 1 < len(SHIFTS):
            self.todo.append(replace(job, attempt=job.attempt + 1))
        else:
            self.failed.append(job)

    def _job_of(self, boxes: tuple[np.ndarray, np.ndarray, np.ndarray]) -> Job:
        """Some boxes of the walk, or a part of one, as a job of its own."""
        homes, lower, upper = boxes
        plan, job = self.walk.plan, self.walk.plan.job
        parts = []
        for home, low, high in zip(homes, lower, upper, strict=True):
            ends = [job.boxes[home].lower.copy(), job.boxes[home].upper.copy()]
            ends[0][job.boxes[home].free], ends[1][job.boxes[home].free] = low, high
            parts.append(Box(*ends))
        moved = np.stack([lower > plan.lower[homes], upper < plan.upper[homes]], axis=-1)  # (homes, d, 2)
        artificial = job.artificial | moved.any(axis=0).ravel()
        return Job(job.homes[homes], tuple(parts), job.cuts, artificial, job.attempt)
