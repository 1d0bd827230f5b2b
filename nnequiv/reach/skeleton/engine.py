"""All pieces at once: maxima, ranges and pieces from the vertices of the polyhedral complex.

A piece with d free inputs has many vertices, and each vertex belongs to about 2^d pieces; so vertices and edges of the
whole complex, each kept once, are far fewer than those of all pieces one by one. The maximum of a function that is
affine on each piece is at a vertex. Read in this order: ``complex`` (what is kept, how a plane cuts it), ``walk``
(through all layers, under a memory budget), ``drift`` (why the maximum is proved), ``tally`` (answers), ``spread``
(over processes), then this file (the engine).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from nnequiv.control import Control, Stopped
from nnequiv.network import Network
from nnequiv.reach.engine import InputSet, Optimum, Piece
from nnequiv.reach.intervals import interval_bound
from nnequiv.reach.skeleton.exploration import Exploration
from nnequiv.reach.skeleton.pieces import pieces_of, point_piece
from nnequiv.reach.skeleton.plan import Job, Questions
from nnequiv.reach.skeleton.spread import enter_all, spread
from nnequiv.reach.skeleton.survey import Survey, survey_parts
from nnequiv.reach.skeleton.tally import Tally, record_point
from nnequiv.relations import Objective, output_objectives
from nnequiv.sets import Polytope

#: Boxes enumerated in one complex: enough to share the calls, few enough to stay in the cache.
TOGETHER = 256
#: Free inputs beyond which nothing is tried: a complex starts from the 2^d corners of its box.
MOST_FREE = 16


@dataclass(frozen=True)
class Skeleton:
    """Enumeration of all pieces by vertices and edges; for up to about six free inputs.

    Parameters
    ----------
    memory : float
        Budget for the arrays, in MB.
    executor : concurrent.futures.Executor, optional
        Takes parts of the work as tasks.
    parts : int
        Into how many tasks the work is divided for the executor.
    seed : int
        Of the hashes and of the shifts that keep equal planes apart.

    Notes
    -----
    Sound: yes, rounding included (:mod:`nnequiv.reach.skeleton.drift`). Complete: yes, up to drift and bend, about
    1e-9 of the outputs and part of ``upper``. Where near-equal planes defeat the pair check under every shift, that
    part of the input set goes to :class:`nnequiv.reach.star.Star`; ``proof`` says so.
    Source: Berzins 2023 (arXiv 2306.07212); see :mod:`nnequiv.reach.skeleton.complex`.

    Examples
    --------
    >>> from nnequiv.sets import Box
    >>> net = Network([([[1.0], [-1.0]], [0.0, 0.0]), ([[1.0, 1.0]], [0.0])])
    >>> Skeleton().survey((net,), Box([-1.0], [2.0]), Control())[0]
    2
    >>> sorted(piece.matrix.item() for piece in Skeleton().pieces((net,), Box([-1.0], [2.0]), Control()))
    [-1.0, 1.0]
    """

    memory: float = 500.0
    executor: Executor | None = None
    parts: int = 4
    seed: int = 0
    name: ClassVar[str] = "skeleton"

    def __post_init__(self):
        if not self.memory > 0:
            raise ValueError(f"memory is {self.memory}: it must be above 0 MB")
        if self.parts < 1:
            raise ValueError(f"parts is {self.parts}: it must be at least 1")

    def maximise(
        self,
        networks: Sequence[Network],
        input_set: InputSet,
        objectives: Sequence[Objective],
        tolerance: float,
        control: Control,
        threshold: float | None = None,
    ) -> Optimum:
        """The largest objective, over the vertices; guards and several goals subdivide the complex further.

        An empty polytope has no vertices: ``upper`` is then −inf, which is proved, and there is no witness.
        """
        return self._solve(networks, [input_set], objectives, tolerance, control, threshold)[0]

    def maximise_each(
        self,
        networks: Sequence[Network],
        input_sets: Sequence[InputSet],
        objectives: Sequence[Objective],
        tolerance: float,
        control: Control,
    ) -> list[Optimum]:
        """:meth:`maximise` on each of many input sets; boxes with equally many free inputs share a complex.

        Examples
        --------
        >>> from nnequiv.sets import Box
        >>> net = Network([([[1.0]], [-1.0]), ([[1.0]], [0.0])])
        >>> boxes = [Box([0.0], [2.0]), Box([1.0], [4.0])]
        >>> goal = output_objectives(1, pair=False)[:1]
        >>> [round(r.lower, 9) for r in Skeleton().maximise_each((net,), boxes, goal, 1e-6, Control())]
        [1.0, 3.0]
        """
        return self._solve(networks, input_sets, objectives, tolerance, control, None)

    def survey(
        self, networks: Sequence[Network], input_set: InputSet, control: Control
    ) -> tuple[int, np.ndarray, np.ndarray]:
        """Number of pieces with interior, and proved bounds ``lower, upper`` on the outputs: of f, or f − g of a pair.

        Raises
        ------
        Stopped
        """
        objectives = output_objectives(networks[0].n_outputs, pair=len(networks) == 2)
        tallies = [Tally.empty(1) for _ in objectives]
        search, survey = self._search(networks, input_set, objectives), Survey(objectives, input_set)
        if not len(input_set.free):
            for tally, objective in zip(tallies, objectives, strict=True):
                record_point(tally, 0, networks, input_set, [objective])
        executor, parts = self._executor(control), []
        if search.todo and (executor is not None or control.checkpoint is not None):
            parts = survey_parts(survey, search, control, executor, self.parts)
        parts.append(survey.of(search, control)[0])
        for part in parts:
            for tally, (pieces, upper) in zip(tallies, part, strict=True):
                tally.pieces[0] += int(pieces)
                tally.upper[0] = max(tally.upper[0], upper)
        for tally, objective in zip(tallies, objectives, strict=True):
            self._fall_back(tally, search.failed, networks, [objective], 0.0, control, None)
        most = np.array([tally.upper[0] for tally in tallies])
        return int(tallies[0].pieces[0]), -most[1::2], most[::2]

    def pieces(self, networks: Sequence[Network], input_set: InputSet, control: Control) -> Iterator[Piece]:
        """Every piece with interior; ``error`` is proved on the hull of its ``vertices``.

        What no shift could enumerate is left to :class:`nnequiv.reach.star.Star`: pieces of sub-boxes.
        """
        from nnequiv.reach.star import Star

        if not len(input_set.free):
            yield point_piece(networks, input_set)
            return
        search = self._search(networks, input_set)
        yield from pieces_of(search, networks, input_set, control)
        for job in search.failed:
            for box in job.boxes:
                yield from Star(lp="highspy").pieces(networks, Polytope(*job.cuts, box), control)

    def vertices(
        self, networks: Sequence[Network], input_sets: Sequence[InputSet], control: Control
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Vertices of all pieces, part by part: the input set of each ``(k,)``, its free inputs ``(k, d)`` and the
        stacked outputs ``(k, m)``.

        Evidence, not a proof: up to drift; nothing of parts that no shift could enumerate, nor of single points.
        """
        search = self._exploration(networks, _jobs(input_sets), ())
        for leaf, plan in search.leaves(control):
            yield plan.job.homes[leaf.home.astype(int)], leaf.positions.copy(), leaf.outputs.copy()

    # ---------------------------------------------------------------------------------------------------------------

    def _search(self, networks, input_set: InputSet, objectives: Sequence[Objective] = ()) -> Exploration:
        return self._exploration(networks, _jobs([input_set]), objectives)

    def _exploration(self, networks, jobs: list[Job], objectives: Sequence[Objective]) -> Exploration:
        questions = Questions.of(objectives, sum(network.n_outputs for network in networks))
        return Exploration(tuple(networks), questions, self.memory, self.seed, jobs)

    def _solve(self, networks, input_sets, objectives, tolerance, control, threshold) -> list[Optimum]:
        tally, reason = Tally.empty(len(input_sets)), ""
        search = self._exploration(networks, _jobs(input_sets), objectives)
        try:
            for k, input_set in enumerate(input_sets):
                if not len(input_set.free):
                    record_point(tally, k, networks, input_set, objectives)
            executor = self._executor(control)
            if executor is not None and search.todo and len(search.todo[0].homes) == 1:
                spread(search, tally, objectives, input_sets, control, threshold, executor, self.parts)
            enter_all(search, tally, objectives, input_sets, control, threshold)
            self._fall_back(tally, search.failed, networks, objectives, tolerance, control, threshold)
            search.failed.clear()
        except (Stopped, KeyboardInterrupt) as stop:
            reason = str(stop) if isinstance(stop, Stopped) else "interrupted"
            for k, box in search.unfinished():
                tally.upper[k] = max(tally.upper[k], interval_bound(networks, box, objectives))
        return [tally.optimum(k, reason) for k in range(len(input_sets))]

    def _executor(self, control: Control) -> Executor | None:
        return self.executor if self.executor is not None else control.executor

    def _fall_back(self, tally, failed: list[Job], networks, objectives, tolerance, control, threshold) -> None:
        """Leave to LPs what no shift could enumerate."""
        for job in failed:
            from nnequiv.reach.star import Star

            for k, box in zip(job.homes, job.boxes, strict=True):
                part = Polytope(*job.cuts, box) if len(job.cuts[1]) else box
                found = Star(lp="highspy").maximise(networks, part, objectives, tolerance, control, threshold)
                tally.upper[k] = max(tally.upper[k], found.upper)
                if found.witness is not None:
                    tally.improve(k, found.lower, found.objective, found.witness)
                tally.pieces[k] += found.pieces
                tally.lps += found.lps
                text = "parts with near-equal planes by star: " + found.proof
                tally.proof += [] if text in tally.proof else [text]
                if found.reason:
                    raise Stopped(found.reason)


def _jobs(input_sets: Sequence[InputSet]) -> list[Job]:
    """Boxes with equally many free inputs together, polytopes alone, points not at all."""
    together: dict[int, list[int]] = {}
    jobs = []
    for k, input_set in enumerate(input_sets):
        d = len(input_set.free)
        if d > MOST_FREE:
            raise ValueError(f"{d} inputs are free: engine 'skeleton' takes at most {MOST_FREE}, use branch-and-bound")
        if len(input_set.cuts[1]) and d:
            jobs.append(Job(np.array([k]), (input_set.box,), input_set.cuts, np.zeros(2 * d, dtype=bool)))
        elif d:
            together.setdefault(d, []).append(k)
    for d, members in together.items():
        for first in range(0, len(members), TOGETHER):
            homes = members[first : first + TOGETHER]
            boxes = tuple(input_sets[k].box for k in homes)
            jobs.append(Job(np.array(homes), boxes, boxes[0].cuts, np.zeros(2 * d, dtype=bool)))
    return jobs
